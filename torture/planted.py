"""Plants the bugs of ``torture.bugs`` one after the other: does any of its tests notice?

``.venv/bin/python -m torture.planted [--cases 0,1,…]`` prints a line for each, and ends with 1 if one was not noticed.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TextIO

from torture.bugs import BUGS, Bug
from torture.forking import Forks, run
from torture.planting import plant


@dataclass
class Planting:
    """For ``Forks.then``. ``noticed``: of each bug by its number, the test that is red, or blank."""

    bugs: dict[int, Bug]
    out: TextIO
    noticed: dict[int, str] = field(default_factory=dict)

    def __call__(self, forks: Forks) -> None:
        for number, bug in self.bugs.items():
            tests = [nodeid for name in bug.caught_by for nodeid in forks.items if is_of(nodeid, name)]
            verdict = forks.try_out(partial(plant, *bug.edits), tests) if tests else None
            # A bug that cannot be planted, or ends in no test, proves nothing.
            self.noticed[number] = verdict.red if verdict and verdict.red in forks.items else ""
            why = (verdict.said or verdict.red) if verdict else "there are no such tests"
            line = {"case": number, "name": bug.name, "red": self.noticed[number], "why": why[:200]}
            self.out.write(json.dumps(line, ensure_ascii=False) + "\n")
            self.out.flush()


def is_of(nodeid: str, name: str) -> bool:
    return nodeid == name or nodeid.startswith(name + "[")


def plant_and_look(bugs: dict[int, Bug], out: TextIO) -> int:
    """0 when every bug was noticed, and without any the same tests were green."""
    planting = Planting(bugs, out)
    forks = Forks(planting)
    paths: Iterable[str] = dict.fromkeys(name for bug in bugs.values() for name in bug.caught_by)
    status = run(list(paths), forks)
    if forks.failed or status:
        text = f"red without a bug: {', '.join(forks.failed) or status} {' '.join(forks.said)[-900:]}"
        out.write(json.dumps({"case": -1, "name": "no bug", "red": "", "why": text}) + "\n")
        return 1
    return 0 if all(planting.noticed.get(number) for number in bugs) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m torture.planted", description=__doc__)
    parser.add_argument("--cases", default=",".join(map(str, range(len(BUGS)))))
    chosen = [int(number) for number in parser.parse_args(arguments).cases.split(",")]
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as out:  # pytest keeps the other
        return plant_and_look({number: BUGS[number] for number in chosen}, out)


if __name__ == "__main__":
    raise SystemExit(main())
