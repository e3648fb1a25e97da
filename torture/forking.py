"""One pytest run for many variants of the shop: the tests run once as it is, and then again in forks of this process.

A fork has everything imported and its database, which is in memory, filled: what a variant costs is its tests. Nothing
that it does is seen by the next one.
"""

import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from torture.planting import NotPlanted, all_functions

LIVES_IN_A_THREAD = ("_one_gateway",)
"""Fixtures of the whole session that a fork must make anew: their thread stayed behind."""
GREEN, RED, BROKEN, HUNG, NOT_MADE = 0, 1, 2, 3, 4
"""All green; a test is red; the changed module does not even load; stopped by its limits; the change was not made."""


@dataclass
class Verdict:
    """What the tests made of a variant: the first that failed and what it said, or why none was needed."""

    code: int
    red: str = ""
    said: str = ""

    @property
    def is_caught(self) -> bool:
        return self.code in (RED, BROKEN, HUNG)


@dataclass(eq=False)
class Forks:
    """A plugin of pytest. ``then`` is called after the first run, if all was green, with this object."""

    then: Callable[["Forks"], None]
    measure: Any = None
    """A coverage.Coverage that says which test runs which line."""
    items: dict[str, pytest.Item] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """CPU of each test. Where it is known from an earlier run, a few tests are enough of a first run."""
    failed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    distrusted: set[str] = field(default_factory=set)
    """Tests that were red though nothing was changed: they hang on what ran before them, and are asked no more."""
    _trusted: set[str] = field(default_factory=set)
    _threaded: list[Any] = field(default_factory=list)
    _left_behind: list[Any] = field(default_factory=list)

    def pytest_configure(self) -> None:
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # that it is red is enough
        hypothesis.settings.register_profile("forks", database=None, derandomize=True, phases=phases, deadline=None)
        hypothesis.settings.load_profile("forks")

    def pytest_fixture_setup(self, fixturedef: Any) -> None:
        if fixturedef.argname in LIVES_IN_A_THREAD:
            self._threaded.append(fixturedef)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        items = list(session.items)
        if self.seconds.keys() >= self.items.keys():
            items = items[:: max(1, len(items) // 20)]  # enough to have everything imported and the tables made
        if self.measure:
            self.measure.start()
        self.run_once(items)
        if self.measure:
            self.measure.stop()
        if not self.failed:
            all_functions()
            gc.collect()
            gc.freeze()  # a collection in a fork would copy what it looks at
            self.then(self)
        session.testsfailed = len(self.failed)
        return True

    def run_once(self, items: Sequence[pytest.Item]) -> None:
        """Each test, with the session's fixtures left as they are at the end."""
        for item, following in zip(items, [*items[1:], items[0]], strict=True):
            if self.measure:
                self.measure.switch_context(item.nodeid)
            began = time.process_time()
            reports = runtestprotocol(item, log=False, nextitem=following)
            self.seconds.setdefault(item.nodeid, time.process_time() - began)
            if any(report.failed for report in reports):
                self.failed.append(item.nodeid)
                self.said += [str(report.longrepr) for report in reports if report.failed]

    def try_out(self, change: Callable[[], None], nodeids: Sequence[str]) -> Verdict:
        """Run these tests with the change made, up to the first that fails.

        The first time that a test is red, the same tests up to it must be green in a fork of the shop as it is.
        """
        believed = [nodeid for nodeid in nodeids if nodeid not in self.distrusted]
        verdict = self._fork(change, believed)
        red = verdict.red if verdict.code == RED else ""
        if not red or red in self._trusted:
            return verdict
        if not self._fork(lambda: None, believed[: believed.index(red) + 1]).is_caught:
            self._trusted.add(red)
            return verdict
        self.distrusted.add(red)
        return self.try_out(change, nodeids)

    def _fork(self, change: Callable[[], None], nodeids: Sequence[str]) -> Verdict:
        """In seconds of CPU it may take a few times what it took without the change: a change that makes a loop endless
        is found, whatever else this machine does.
        """
        cpu = 3 + 5 * sum(self.seconds[nodeid] for nodeid in nodeids)
        told, tell = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            self._live_as_a_variant(change, nodeids, cpu, tell)
        os.close(tell)
        with os.fdopen(told, encoding="utf-8", errors="replace") as pipe:
            return wait(pid, pipe, wall=60 + cpu * 20)

    def _live_as_a_variant(self, change: Callable[[], None], nodeids: Sequence[str], cpu: float, tell: int) -> None:
        code, red, text = BROKEN, "", ""
        try:
            limit = int(cpu) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            red, text = self._first_red(change, [self.items[nodeid] for nodeid in nodeids])
            code = RED if red else GREEN
        except NotPlanted as error:
            code, red = NOT_MADE, str(error)
        except BaseException as error:
            red = f"{type(error).__name__}: {error}".replace("\n", " ")
        finally:
            with suppress(OSError):
                os.write(tell, f"{code}\n{red}\n{text}".encode("utf-8", "replace")[:4000])
            os._exit(code)

    def _first_red(self, change: Callable[[], None], items: Sequence[pytest.Item]) -> tuple[str, str]:
        self._left_behind = [list(fixture._finalizers) for fixture in self._threaded]  # to end them would wait for ever
        for fixture in self._threaded:
            fixture._finalizers.clear()
            fixture.cached_result = None
        change()
        for item, following in zip(items, [*items[1:], items[0]], strict=True):
            for report in runtestprotocol(item, log=False, nextitem=following):
                if report.failed:
                    crash = getattr(report.longrepr, "reprcrash", None)
                    return item.nodeid, str(crash.message if crash else report.longrepr)
        return "", ""


def wait(pid: int, pipe: Any, wall: float) -> Verdict:
    """The verdict of a fork. One that ends without a word was stopped by its limits."""
    if not select.select([pipe], [], [], wall)[0]:
        os.kill(pid, signal.SIGKILL)
    said = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if not said:
        return Verdict(HUNG, f"stopped, status {status}")
    code, red, text = said.split("\n", 2)
    return Verdict(int(code), red, text)


def run(paths: Sequence[str], plugin: Forks, *options: str) -> int:
    """Collect the tests of these paths and let the plugin do the rest, on a database in memory."""
    os.environ.pop("DATABASE_URL", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings

    settings.DATABASES["default"]["TEST"] = {"NAME": None}
    plain = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=short"]
    return int(pytest.main([*plain, *options, *paths], plugins=[plugin]))
