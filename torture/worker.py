"""One batch of a trial, in its own process: ``.venv/bin/python -m torture.worker NAME --seed S --first F --last L``.

The runner starts it and reads its report, a JSON file that is replaced while the cases go on, so that a worker that
hangs or dies leaves what it had done.
"""

import argparse
import json
import os
import signal
import sqlite3
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from torture.trial import Missing, Tally

EVERY = 0.5  # seconds between two reports
TEMPLATE = "TORTURE_TEMPLATE"
"""Names a migrated SQLite file; without it a worker migrates for itself."""


@dataclass
class Reported(Tally):
    """A tally that is on the disk while the trial goes on."""

    missing: str = ""
    broken: bool = False
    """The trial itself could not go on: the cases after those that are done were not tried."""
    ended: bool = False
    path: Path | None = field(default=None, repr=False)
    _written_at: float = 0.0

    def case_done(self) -> None:
        super().case_done()
        if time.monotonic() - self._written_at >= EVERY:
            self.write()

    def violation(self, case: int, what: str) -> None:
        super().violation(case, what)
        self.write()

    def write(self) -> None:
        if self.path is None:
            return
        self._written_at = time.monotonic()
        fields = {
            "done": self.done,
            "counts": dict(self.counts),
            "violations": self.violations,
            "missing": self.missing,
            "broken": self.broken,
            "ended": self.ended,
        }
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(fields))
        draft.replace(self.path)


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    tally = Reported(path=arguments.report)
    cases = range(arguments.first, arguments.last)
    try:
        run(arguments.name, cases, arguments.seed, tally)
    except Missing as error:
        tally.missing = str(error) or "something that it needs"
    except Exception as error:
        traceback.print_exc()
        tally.violation(cases.start + tally.done, f"the trial broke off: {type(error).__name__}: {error}"[:600])
        tally.broken = True
    except BaseException as error:
        if type(error).__name__ != "Skipped":  # pytest's: a helper of the suite found that something is not here
            raise
        tally.missing = str(error)
    tally.ended = True
    tally.write()
    if arguments.report is None:
        print(tally)
    return 1 if tally.violations else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m torture.worker", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=1, help="the first case that is left out")
    parser.add_argument("--report", type=Path, help="where the tally goes, as JSON; printed otherwise")
    return parser.parse_args()


def interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """The runner's wish to end: context managers stop what they have started."""
    raise KeyboardInterrupt


def run(name: str, cases: range, seed: int, tally: Tally) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from torture import plan

    fill_memory()
    plan.load(name).run(cases, seed, tally)


def fill_memory() -> None:
    """A database in memory begins empty, and ends with the process."""
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "sqlite" or not connection.is_in_memory_db():
        return
    if TEMPLATE not in os.environ:
        call_command("migrate", verbosity=0)
        return
    connection.ensure_connection()
    template = sqlite3.connect(os.environ[TEMPLATE])
    template.backup(connection.connection)
    template.close()


if __name__ == "__main__":
    raise SystemExit(main())
