"""T11: every answer that a gateway may give, to every call that the shop makes."""

import traceback
from collections.abc import Iterable

from django.db import transaction

from tests.lifecycle.answers import ANSWERS, SKEWS, answered
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import METHODS, new_world
from torture.trial import Tally, Trial
from torture.trials.schedules import alipay_keys

MATRIX = [(method, kind) for kind in ANSWERS for method in METHODS]
REPEATS = 3


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys:
        for case in cases:
            method, kind = MATRIX[case % len(MATRIX)]
            with transaction.atomic(), new_world(keys, skew=SKEWS[method]) as world:
                try:
                    answered(world, Witness(world), method, kind)
                except AssertionError as error:
                    tally.violation(case, f"{method}, {kind}: {where(error)}")
                tally.count("calls of the shop", len(world.line.calls))
                transaction.set_rollback(True)
            tally.case_done()


def where(error: AssertionError) -> str:
    """The line of the assertion, and what it said."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.name}: {frame.line} {error}".strip()


TRIAL = Trial(
    name="T11",
    title=f"{len(ANSWERS)} answers of a gateway to each of {len(METHODS)} calls",
    unit="pairs of a call and an answer",
    gate=len(MATRIX),
    long=REPEATS * len(MATRIX),
    database="memory",
    run=run,
    batch=len(MATRIX),
)
