"""What a trial is: a numbered list of cases, each decided by the seed and its number alone."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import Literal

Database = Literal["memory", "sqlite", "postgres", "own"]
"""Where the cases run: SQLite in memory, SQLite in a file, a PostgreSQL that the runner has started and migrated (its
address is DATABASE_URL), or servers that the trial starts for itself."""


class Missing(Exception):
    """This machine lacks what the trial needs, such as a server: it is skipped and listed, and fails in CI."""


@dataclass
class Tally:
    """What the cases of one run came to. Violations are what must stay empty."""

    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def count(self, what: str, how_many: int = 1) -> None:
        """So many notifies, kills, paid orders: the figures of the evidence."""
        self.counts[what] += how_many

    def case_done(self) -> None:
        self.done += 1

    def violation(self, case: int, what: str) -> None:
        """An invariant that did not hold, with the case by which it is seen again."""
        self.violations.append(f"case {case}: {what}")


@dataclass(frozen=True)
class Trial:
    """One row of docs/torture.md.

    ``run`` is given case numbers, the seed and the tally; it calls ``case_done`` after each case and ``violation`` for
    each breach, and raises only when the trial itself cannot go on (``Missing`` where the machine cannot run it). A
    case's outcome may depend on nothing but its number and the seed, so that it can be run again alone, as far as the
    kernel's timing lets it.
    """

    name: str
    title: str
    unit: str
    gate: int
    long: int
    database: Database
    run: Callable[[Iterable[int], int, Tally], None]
    batch: int = 100
    """Cases a process: after each batch the evidence is written, and a long run can be resumed from there."""
    deadline: float = 600
    """Seconds a batch may take: one that takes longer hangs, and that is a violation."""


def dice(seed: int, case: int) -> Random:
    """The case's own source of chance."""
    return Random(f"{seed}/{case}")


def failed(error: AssertionError) -> str:
    """Which assertion it was: outside pytest an error has no words of its own."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{Path(place.filename).name}:{place.lineno}: {place.line} {error}".strip()
