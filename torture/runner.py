"""Runs trials in worker processes, batch by batch, in two lanes, and keeps the evidence."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture.databases import Databases
from torture.evidence import ROOT, Evidence, Record
from torture.progress import Progress
from torture.trial import Database, Missing, Trial

TO_CLEAN_UP = 20
"""Seconds for a worker that was asked to end: it may have servers to stop."""
LANES: Sequence[tuple[Database, ...]] = (("memory", "sqlite", "postgres"), ("own", "postgres", "memory", "sqlite"))
"""What each lane may take, dearest first. Trials with servers of their own fill a core: never two of them at once."""
ONE_LANE: Sequence[tuple[Database, ...]] = (("memory", "sqlite", "postgres", "own"),)


@dataclass
class Run:
    """Some trials, and how far each has come."""

    trials: list[Trial]
    records: dict[str, Record]
    evidence: Evidence
    progress: Progress
    minutes: float = float("inf")
    in_turns: bool = False
    """A batch of each, so that a run which is broken off has something of every trial; else one after the other."""
    worker: str = "torture.worker"
    busy: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = field(default_factory=time.monotonic)

    def go(self, lanes: Sequence[tuple[Database, ...]]) -> None:
        """Until all is done, the time is over, or ``stopped`` is set."""
        self.databases = Databases()
        threads = [threading.Thread(target=self.lane, args=(kinds,)) for kinds in lanes]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()
            self.databases.close()
            self.progress.close()

    def lane(self, kinds: tuple[Database, ...]) -> None:
        try:
            while trial := self.take(kinds):
                self.batch(trial)
                with self._lock:
                    self.busy.discard(trial.name)
        except BaseException:
            self.stopped.set()
            raise

    def take(self, kinds: tuple[Database, ...]) -> Trial | None:
        """The next trial for a lane; none when there is nothing left for it, now or ever."""
        with self._lock:
            if self.stopped.is_set() or time.monotonic() - self._began > 60 * self.minutes:
                return None
            free = [
                trial
                for trial in self.trials
                if trial.database in kinds and trial.name not in self.busy and not self.records[trial.name].is_over
            ]
            if not free:
                return None
            share = (lambda trial: self.records[trial.name].share) if self.in_turns else (lambda trial: 0)
            chosen = min(free, key=lambda trial: (share(trial), kinds.index(trial.database)))
            self.busy.add(chosen.name)
            return chosen

    def batch(self, trial: Trial) -> None:
        record = self.records[trial.name]
        first, last = record.next, min(record.next + trial.batch, record.target)
        began = time.monotonic()
        try:
            with self.databases.environment(trial.database) as environment:
                report, tried = self.work(trial, first, last, environment)
        except Missing as error:
            report, tried = {"missing": str(error)}, 0
        with self._lock:
            record.take_in(report, seconds=time.monotonic() - began, cases=tried)
            self.evidence.write(record)
            self.progress.batch_done(record)

    def work(self, trial: Trial, first: int, last: int, environment: dict[str, str]) -> tuple[dict[str, Any], int]:
        """What a worker reports of these cases, and how many of them need not be tried again."""
        seed = self.records[trial.name].seed
        cases = ["--seed", str(seed), "--first", str(first), "--last", str(last)]
        worker = Worker.start([self.worker, trial.name, *cases], environment, self.databases.folder)
        end = time.monotonic() + trial.deadline
        while worker.runs() and not self.stopped.is_set() and time.monotonic() < end:
            self.progress.case_done(trial.name, first + worker.report().get("done", 0))
        late, stopped = time.monotonic() >= end, self.stopped.is_set()
        code = worker.end()
        report = worker.report()
        done = report.get("done", 0)
        if report.get("ended"):
            if report["violations"]:
                self.progress.say(worker.last_words())
            return report, min(done + 1, last - first) if report["broken"] else last - first
        if stopped and not late:
            return report, done
        why = f"no end after {trial.deadline:.0f} s" if late else f"the worker died with exit code {code}"
        self.progress.say(worker.last_words())
        violations = [*report.get("violations", []), f"case {first + done}: {why}"]
        return {**report, "violations": violations, "broken": True}, min(done + 1, last - first)


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    file: Path
    log: Path

    @classmethod
    def start(cls, what: Sequence[str], environment: dict[str, str], folder: Path) -> "Worker":
        handle, name = tempfile.mkstemp(dir=folder, suffix=".log")
        os.close(handle)
        log, file = Path(name), Path(name).with_suffix(".json")
        command = [sys.executable, "-m", *what, "--report", str(file)]
        with log.open("wb") as output:
            # A session of its own: Ctrl-C is the runner's, who asks its workers to end, and ends what they leave.
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        return cls(process, file, log)

    def runs(self) -> bool:
        """Whether it still does, a moment later."""
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            return True
        return False

    def end(self) -> int:
        """Its exit code; it is asked to end, and then made to, with all that it has started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(TO_CLEAN_UP)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def report(self) -> dict[str, Any]:
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def last_words(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def replay(record: Record, violation: str) -> str:
    """The command that shows it again: with the cases before it in its batch."""
    match = re.match(r"case (\d+)(?: of the batch from (\d+))?:", violation)
    case, first = match.groups() if match else ("0", None)
    cases = f"--first {first or case} --last {int(case) + 1}"
    return f".venv/bin/python -m torture {record.trial} --seed {record.seed} {cases}"
