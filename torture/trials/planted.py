"""T16: the suite itself on trial. Each planted bug must turn a test of the gate red."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable

from torture.bugs import BUGS
from torture.evidence import ROOT
from torture.trial import Tally, Trial


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    """In a process of its own: pytest makes the database anew."""
    numbers = [case % len(BUGS) for case in cases]
    command = [sys.executable, "-m", "torture.planted", "--cases", ",".join(map(str, numbers))]
    variables = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith('{"case":'):
                take_in(json.loads(line), tally)
    if process.returncode != 0 and not tally.violations:
        tally.violation(numbers[0], f"pytest ended with {process.returncode}")


def take_in(said: dict[str, str | int], tally: Tally) -> None:
    case = int(said["case"])
    if not said["red"]:
        tally.violation(case, f"not noticed: {said['name']}. {said['why']}")
    if case >= 0:
        tally.count("planted bugs")
        tally.count("noticed", 1 if said["red"] else 0)
        tally.case_done()


PLANTED = Trial(
    name="T16",
    title="Planted bugs, each noticed by the suite",
    unit="bugs",
    gate=len(BUGS),
    long=len(BUGS),
    database="memory",
    run=run,
    batch=len(BUGS),
)
