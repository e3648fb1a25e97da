"""A crowd of processes on the shop's database that do things at the same moment, thousands of times over.

Each is forked once, from a warm interpreter that has never seen the database (as in tests.concurrency), connects and
stays: a race costs what is raced, not the start of processes.
"""

import gc
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.concurrency.conftest import database_url
from tests.concurrency.processes import CONTEXT, PATIENCE, start_nursery

Work = Callable[[], Any]


class Crowd:
    """So many processes. ``race`` may be called again and again; ``meeting`` is a barrier of all, for sabotage."""

    def __init__(self, size: int) -> None:
        start_nursery(database_url())
        self.gate, self.meeting = CONTEXT.Barrier(size), CONTEXT.Barrier(size)  # kept: they end with their last name
        self.pipes, self.processes = [], []
        for _ in range(size):
            ours, theirs = CONTEXT.Pipe()
            process = CONTEXT.Process(target=stand_ready, args=(theirs, self.gate, self.meeting), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def race(self, works: Sequence[Work]) -> list[Any]:
        """Do all of it at once, one work a process; what each returned, in order. Raises what one of them raised."""
        assert len(works) == len(self.pipes), "a work for each process"
        for pipe, work in zip(self.pipes, works, strict=True):
            pipe.send(work)
        outcomes = [self.outcome(pipe) for pipe in self.pipes]
        if raised := [value for kind, value in outcomes if kind == "raised"]:
            raise AssertionError(raised[0])
        return [value for _, value in outcomes]

    @staticmethod
    def outcome(pipe: Any) -> tuple[str, Any]:
        if not pipe.poll(PATIENCE):
            return "raised", "a process did not answer"
        try:
            return pipe.recv()
        except EOFError:
            return "raised", "a process died"

    def go_home(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(5)
            process.kill()
            process.join()


@contextmanager
def crowd(size: int) -> Iterator[Crowd]:
    people = Crowd(size)
    try:
        yield people
    finally:
        people.go_home()


MEETING: Any = None
"""In a process of the crowd: the barrier at which all of it can meet in the middle of their work."""


def stand_ready(pipe: Any, gate: Any, meeting: Any) -> None:
    """The life of one process: a work, the gate, the answer; until nobody asks any more."""
    global MEETING
    from django.test import override_settings

    from tests.concurrency.child import warm_up

    MEETING = meeting
    gc.freeze()  # or all of them walk the whole of Django at the same moment, and who holds a lock stands still
    be_patient()
    warm_up()
    with override_settings(RATE_LIMITS=False):
        while (work := next_work(pipe)) is not None:
            pipe.send(outcome_of(work, gate))


def be_patient() -> None:
    """Wait for a lock as long as it takes: on a machine with more processes than processors its holder may stand still
    for longer than the two seconds that production allows, and that would be said of the machine, not of the shop."""
    from django.db import connection

    options = connection.settings_dict["OPTIONS"]
    if "options" in options:
        options["options"] = "-c statement_timeout=60s -c lock_timeout=60s"


def next_work(pipe: Any) -> Work | None:
    try:
        work: Work = pipe.recv()
    except (EOFError, OSError):
        return None
    return work


def outcome_of(work: Work, gate: Any) -> tuple[str, Any]:
    gate.wait(PATIENCE)
    try:
        return "returned", work()
    except Exception:
        return "raised", traceback.format_exc()


def at_the_meeting(protections: Callable[[Any], Any]) -> Any:
    """A sabotage of tests.concurrency.sabotage, whose two halves meet at the crowd's own barrier."""
    return protections(MEETING)
