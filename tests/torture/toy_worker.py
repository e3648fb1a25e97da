"""A worker with toy trials, for the tests of the runner: one is fine, each of the others has its own trouble."""

import os
import signal
import time
from collections.abc import Iterable

from torture import worker
from torture.trial import Missing, Tally, Trial


def fine(cases: Iterable[int], seed: int, tally: Tally) -> None:
    for case in cases:
        tally.count("seen", seed)
        tally.case_done()
        if case == 6:
            tally.violation(case, "six is wrong")


def dies(cases: Iterable[int], seed: int, tally: Tally) -> None:
    for case in cases:
        if case == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        tally.case_done()


def hangs(cases: Iterable[int], seed: int, tally: Tally) -> None:
    tally.case_done()
    time.sleep(60)


def breaks(cases: Iterable[int], seed: int, tally: Tally) -> None:
    raise ValueError("I cannot go on")


def lacks(cases: Iterable[int], seed: int, tally: Tally) -> None:
    raise Missing("no abacus")


TOYS = {
    run.__name__: Trial(run.__name__, f"a toy that {run.__name__}", "cases", 0, 0, "own", run, batch, deadline)
    for run, batch, deadline in ((fine, 4, 600), (dies, 3, 600), (hangs, 2, 2), (breaks, 2, 600), (lacks, 2, 600))
}


def run_toy(name: str, cases: range, seed: int, tally: Tally) -> None:
    TOYS[name].run(cases, seed, tally)


if __name__ == "__main__":
    worker.EVERY = 0
    worker.run = run_toy
    raise SystemExit(worker.main())
