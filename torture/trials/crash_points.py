"""T3: kill -9 at every database statement, commit and call of every operation; and T3P: twice, the second time in the
run or the repeat that was to mend the first.

A case of T3 is a whole operation: its steps are counted and each has its death, so none can be left out.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.lifecycle import deaths
from tests.lifecycle.deaths import REQUESTS, SCENES, aftermath, outlasting_world
from tests.lifecycle.invariants import Witness
from tests.lifecycle.pairs_of_deaths import Pairs
from tests.lifecycle.world import World
from torture.customers import empty
from torture.trial import Tally, Trial, dice
from torture.trials import crash_points_of_sweeps as sweeps
from torture.trials.schedules import alipay_keys

FIRST = [task.__name__ for task in REQUESTS] + ["found_paid", "refund"]
"""What moves money; the gate has these."""
OPERATIONS = [*FIRST, *(name for name in SCENES if name not in FIRST), *sweeps.OPERATIONS]


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    for case in cases:
        name = OPERATIONS[case % len(OPERATIONS)]
        report = (die_in_a_world if name in SCENES else sweeps.die)(name)
        tally.count("deaths", report.deaths)
        tally.count(f"deaths in {name}", report.deaths)
        if report.deaths != report.steps + 1:
            tally.violation(case, f"{name}: {report.deaths} deaths at {report.steps} steps")
        for wrong in report.wrongs:
            tally.violation(case, f"{name}: {wrong}")
        tally.case_done()


def die_in_a_world(name: str) -> deaths.Report:
    with a_world() as world:
        report = deaths.enumerate_deaths(world, SCENES[name])
        report.wrongs += Witness(world).look()
    return report


def run_pairs(cases: Iterable[int], seed: int, tally: Tally) -> None:
    counted: dict[str, tuple[int, object]] = {}
    with a_world() as world:
        pairs = Pairs(world)
        for case in cases:
            luck = dice(seed, case)
            name = luck.choice(list(SCENES))
            if name not in counted:
                counted[name] = pairs.steps_of(name)
            steps, expected = counted[name]
            for wrong in wrongs_of_a_pair(pairs, name, luck.randint(1, steps), luck, expected, tally):
                tally.violation(case, f"{name} of {steps} steps, {wrong}")
            tally.case_done()
        for wrong in Witness(world).look():
            tally.violation(-1, wrong)


def wrongs_of_a_pair(
    pairs: Pairs, name: str, first: int, luck: Random, expected: object, tally: Tally
) -> Iterator[str]:
    second = luck.randint(1, pairs.mending_steps(name, first))
    died, _, scene = pairs.die(name, first, second)
    tally.count("pairs with a second death", died == 2)
    if died != 2:
        yield f"to die at {first} and at {second}: {died} deaths"
    yield from (f"dead at {first} and at {second}: {wrong}" for wrong in aftermath(scene, expected))


@contextmanager
def a_world() -> Iterator[World]:
    empty()
    with (
        alipay_keys() as keys,
        tempfile.TemporaryDirectory() as folder,
        outlasting_world(keys, Path(folder) / "alipay") as world,
    ):
        yield world


TRIAL = Trial(
    name="T3",
    title="A kill -9 at every single step of every operation",
    unit="operations",
    gate=len(FIRST),
    long=len(OPERATIONS),
    database="postgres",
    run=run,
    batch=len(FIRST),
)
PAIRS = Trial(
    name="T3P",
    title="A kill -9, and another in the run that was to mend it",
    unit="pairs",
    gate=20,
    long=1000,
    database="postgres",
    run=run_pairs,
    batch=50,
)
