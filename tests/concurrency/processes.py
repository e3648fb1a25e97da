"""Processes of their own for the parts of a race: forked from one warm interpreter that has never seen the database."""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
PATIENCE = 60
"""Seconds that a part may take; it only bounds a test that has gone wrong."""


@contextmanager
def environment(**values: str):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start_nursery(database_url: str) -> None:
    """Start the interpreter that all parts are forked from; they will use this database."""
    CONTEXT.set_forkserver_preload(["tests.concurrency.child"])
    with environment(DATABASE_URL=database_url, DJANGO_SETTINGS_MODULE="tests.settings"):
        forkserver.ensure_running()


class Part:
    """One process that does one thing, after all at its gate are ready."""

    def __init__(self, work: Callable[[], Any], gate: Any = None) -> None:
        self.pipe, end = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=live, args=(work, end, gate), daemon=True)
        self.process.start()
        end.close()

    def answer(self) -> Any:
        """What the work returned. An exception in it fails the test with the child's own traceback."""
        try:
            assert self.pipe.poll(PATIENCE), "the process did not answer"
            kind, value = self.pipe.recv()
        except EOFError:
            self.process.join(PATIENCE)
            raise AssertionError(f"the process ended with {self.process.exitcode} and no answer") from None
        finally:
            self.end()
        assert kind == "returned", value
        return value

    def exit_code(self) -> int:
        """Wait for the process to end; negative for a signal."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "the process did not end"
        return self.process.exitcode

    def end(self) -> None:
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(PATIENCE)
        self.pipe.close()


def live(work: Callable[[], Any], pipe: Any, gate: Any) -> None:
    from django.db import connections

    from tests.concurrency.child import warm_up

    try:
        warm_up()
        if gate is not None:
            gate.wait(PATIENCE)
        outcome = ("returned", work())
    except BaseException:
        outcome = ("raised", traceback.format_exc())
    connections.close_all()
    sys.stderr.flush()
    pipe.send(outcome)


def race(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all of it at once, each in a process of its own; what each returned, in order."""
    gate = CONTEXT.Barrier(len(works))
    parts = [Part(work, gate) for work in works]
    return [part.answer() for part in parts]
