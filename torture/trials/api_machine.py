"""T2: the lives of T1, through the GraphQL and HTTP views, on PostgreSQL, and every transaction is really committed.

So what is done on commit (nudges, live updates) is done, and each request is its own transaction, as in production.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import patch

from tests.lifecycle.lives import live
from torture.customers import empty
from torture.trial import Tally, Trial, dice
from torture.trials.schedules import alipay_keys, take_in

STEPS = 25


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys, committed():
        for place, case in enumerate(cases):
            empty()
            history = live(keys, dice(seed, case), STEPS)
            take_in(tally, case, history)
            if place == 0:
                empty()
                if live(keys, dice(seed, case), STEPS).digest != history.digest:
                    tally.violation(case, "lived again it is another history")
            tally.case_done()
        empty()


@contextmanager
def committed() -> Iterator[None]:
    """A life's own transaction, which would undo it in the end, is none."""
    none = SimpleNamespace(atomic=nullcontext, set_rollback=lambda rollback: None)
    with patch("tests.lifecycle.lives.transaction", none):
        yield


TRIAL = Trial(
    name="T2",
    title="Random fault schedules through GraphQL and HTTP on PostgreSQL, each transaction committed",
    unit=f"schedules of {STEPS} steps",
    gate=60,
    long=1000,
    database="postgres",
    run=run,
    batch=100,
)
