"""SUMMARY.md: what a folder of evidence says, for people."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torture.evidence import Evidence, Record

HEADLINE = (
    (("T1",), "", "seeded fault schedules"),
    (("T4-workers", "T4-servers"), "", "kill -9"),
    (("T5-crashes",), "", "database crashes"),
    (("T7", "T7B"), "messages", "forged notices"),
    (("T6",), "notifies", "concurrent duplicates"),
)
"""Trials, which of their counts (their cases where none is named), and what they are."""
PROMISES = "0 lost payments, 0 double deliveries, 0 ghost payments, 0 status regressions, 0 fen off"


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Of all JSON files of the folder, also of trials that this run had nothing to do with."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def write_summary(evidence: Evidence) -> Path:
    known = records(evidence.folder)
    path = evidence.folder / "SUMMARY.md"
    evidence.folder.mkdir(parents=True, exist_ok=True)
    path.write_text(summary(known) if known else "# Evidence\n\nNothing has run yet.\n")
    return path


def summary(known: dict[str, dict[str, Any]]) -> str:
    names = sorted(known, key=by_number)
    some = known[names[0]]
    machine, seeds = some["machine"], sorted({str(record["seed"]) for record in known.values()})
    tree = some["commit"][:12] + (" with changes that are not committed" if some["dirty"] else "")
    about = [
        f"- Commit {tree}; seed {', '.join(seeds)}",
        f"- {min(r['began'] or r['last'] for r in known.values())} to {max(r['last'] for r in known.values())}",
        f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory']}",
        f"- {machine['os']}, Python {machine['python']}, PostgreSQL {machine['postgresql']}",
    ]
    parts = ["# Evidence", headline(known), "\n".join(about), rows([known[name] for name in names])]
    parts += wrongs(known[name] for name in names)
    parts.append("Made from the JSON files beside it. What each trial does, and how to run it again: docs/torture.md.")
    return "\n\n".join(parts) + "\n"


def by_number(name: str) -> tuple[int, str]:
    digits = "".join(letter for letter in name.split("-")[0] if letter.isdigit())
    return int(digits or 99), name


def headline(known: dict[str, dict[str, Any]]) -> str:
    """The sentence of the README with the figures of this run, whatever they are."""
    done = []
    for names, count, what in HEADLINE:
        here = [known[name] for name in names if name in known]
        if here:
            done.append(f"{sum(r['counts'].get(count, 0) if count else r['done'] for r in here):,} {what}")
    violations = sum(len(record["violations"]) for record in known.values())
    result = f"{violations} VIOLATIONS" if violations else PROMISES
    planted = known.get("T16")
    if planted:
        result += f" — and {planted['done'] - len(planted['violations'])} of {planted['target']} planted bugs caught"
    return f"**{', '.join(done) or 'This run'}: {result}.**"


def rows(records: list[dict[str, Any]]) -> str:
    head = ["| Trial | What | Done | Violations | Seconds | Counted |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(row(record) for record in records)])


def row(record: dict[str, Any]) -> str:
    counted = ", ".join(f"{number:,} {what}" for what, number in sorted(record["counts"].items()))
    done = f"{record['done']:,} of {record['target']:,} {record['unit']}"
    if record["missing"]:
        done = f"not run: {record['missing']}"
    figures = f"{len(record['violations'])} | {record['seconds']:,.0f}"
    return f"| {record['trial']} | {record['title']} | {done} | {figures} | {counted} |"


def wrongs(records: Iterable[dict[str, Any]]) -> list[str]:
    return [
        f"**{record['trial']}, seed {record['seed']}:** {violation}"
        for record in records
        for violation in record["violations"]
    ]


def table(records: list[Record]) -> str:
    """The same for a terminal."""
    lines = [f"{'':8} {'cases':>17} {'seconds':>8} {'violations':>10}  what"]
    for record in records:
        cases = "not run" if record.missing else f"{record.done:,}/{record.target:,}"
        found = len(record.violations)
        lines.append(f"{record.trial:8} {cases:>17} {record.seconds:>8.1f} {found:>10}  {record.title}")
    return "\n".join(lines)
