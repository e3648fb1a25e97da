"""docs/mutants.md: the mutants that no test notices, and why that is all right.

The page is written by hand and held against the results: a heading for each reason, below it the mutants as the
command prints them. What lives and is not listed, and what is listed and was caught, are told.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torture.mutants.making import ROOT, Mutant

PAGE = ROOT / "docs" / "mutants.md"
UNEXPLAINED = "## Not explained yet"
_ROW = re.compile(r"- `(.+)`")


@dataclass(frozen=True)
class Differences:
    """``unlisted`` live and stand nowhere; ``caught`` stand there and are caught; ``gone`` are no mutants any more."""

    unlisted: list[str]
    caught: list[str]
    gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.unlisted or self.gone)


def listed(page: Path = PAGE) -> dict[str, str]:
    """Each mutant of the page with its reason."""
    reason, found = "", {}
    for line in page.read_text("utf-8").splitlines() if page.exists() else []:
        if line.startswith("## "):
            reason = line.removeprefix("## ")
        elif row := _ROW.fullmatch(line):
            found[plain(row[1])] = reason
    return found


def compare(alive: Iterable[str], caught: Iterable[str], every: Iterable[Mutant], page: Path = PAGE) -> Differences:
    known, names = listed(page), {plain(mutant.name) for mutant in every}
    return Differences(
        unlisted=[name for name in alive if plain(name) not in known],
        caught=[name for name in caught if plain(name) in known],
        gone=[name for name in known if name not in names],
    )


def plain(name: str) -> str:
    """A name as it can stand between two back quotes."""
    return name.replace("`", "'")


def add_unexplained(names: Iterable[str], page: Path = PAGE) -> None:
    """Put them at the end of the page, for somebody to explain or to catch."""
    rows = [f"- `{plain(name)}`" for name in names]
    if not rows:
        return
    text = page.read_text("utf-8") if page.exists() else ""
    if UNEXPLAINED not in text:
        text = f"{text.rstrip()}\n\n{UNEXPLAINED}\n"
    page.write_text("\n".join([text.rstrip(), *rows]) + "\n", "utf-8")
