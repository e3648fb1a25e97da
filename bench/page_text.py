"""The part of docs/performance.md between its two marks: the machine, the pictures, and every bench's tables."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import growth_tables, nodes, other_tables, purchase_tables, run_tables

BEGINS = "<!-- Figures, made by: python -m bench.plots -->"
ENDS = "<!-- End of the figures. -->"
SECTIONS = {
    "run": ("Requests", run_tables.tables),
    "purchase": ("A whole purchase", purchase_tables.tables),
    "growth": ("With many orders", growth_tables.tables),
    "nodes": ("Behind nginx, one node and two", nodes.tables),
    "jobs": ("Work in the background", other_tables.jobs),
    "bill": ("A day's bill", other_tables.bill),
    "stream": ("Waiting clients", other_tables.stream),
}
"""In the page's order, by the name of the result."""

Results = Mapping[str, Mapping[str, Any]]


def kept(folder: Path) -> Results:
    """What each bench found, by its name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def rewrite(page: Path, found: Results) -> None:
    """Put the figures in the place of those that are there. The rest of the page is written by hand."""
    text = page.read_text()
    before, rest = text.split(BEGINS)
    page.write_text("\n".join([f"{before}{BEGINS}", "", *figures(page, found), ENDS]) + rest.split(ENDS)[1])


def figures(page: Path, found: Results) -> Iterator[str]:
    known = {name: found[name] for name in SECTIONS if name in found}
    yield from machine(known)
    for name, result in known.items():
        title, tables = SECTIONS[name]
        yield from (f"## {title}", "")
        if (page.with_suffix("") / f"{name}.svg").exists():
            yield from (f"![{title}]({page.stem}/{name}.svg)", "")
        yield from (table.markdown() for table in tables(result))


def machine(known: Results) -> Iterator[str]:
    """Where and when; each bench's own date and commit, because they need not be of one day."""
    yield from ("## The machine", "", "| | |", "|---|---|")
    newest = max(known.values(), key=lambda result: str(result["date"]))
    yield from (f"| {what} | {value} |" for what, value in newest["machine"].items())
    yield from ("", "| `python -m` | day | commit | load before it |", "|---|---|---|---:|")
    yield from (
        f"| bench.{name} | {run['date']} | {run['commit']} | {run['load_before']} |" for name, run in known.items()
    )
    if any(run["commit"].endswith("+") for run in known.values()):
        yield from ("", "A plus: that commit, and changes to it that were not committed yet.")
    if any(run["machine"] != newest["machine"] for run in known.values()):
        yield from ("", "Not all of them ran on this machine.")
    yield ""
