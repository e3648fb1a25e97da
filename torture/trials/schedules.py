"""T1: whole lives of a shop, drawn evenly from the seed, with faults of every kind at any step.

Each is looked at after every step (I1 to I9 and I12), and once more when the faults have stopped and all has come to
rest. The first case of each batch is lived twice: the same seed must be the same history.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lifecycle.lives import History, live
from tests.lifecycle.world import alipay_folder
from torture.trial import Tally, Trial, dice

STEPS = 30


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys:
        for place, case in enumerate(cases):
            history = live(keys, dice(seed, case), STEPS)
            take_in(tally, case, history)
            if place == 0 and not history.wrongs and live(keys, dice(seed, case), STEPS).digest != history.digest:
                tally.violation(case, "lived again it is another history")
            tally.case_done()


def take_in(tally: Tally, case: int, history: History) -> None:
    tally.counts.update(history.counts)
    if history.wrongs:
        tally.violation(case, history.told())


@contextmanager
def alipay_keys() -> Iterator[Path]:
    """Alipay's folder for these cases; and what the shop logs of each of their faults is not kept."""
    logger = logging.getLogger("coursepay")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield alipay_folder(Path(folder))
    finally:
        logger.setLevel(before)


SCHEDULES = Trial(
    "T1", "random fault schedules on a virtual clock", f"schedules of {STEPS} steps", 500, 10_000, "memory", run
)
