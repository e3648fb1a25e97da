"""The shop's server as a process that can be killed, and what is to be known of any process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.engine.programs import Program, Programs

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PATIENCE = 60
"""Seconds; it only bounds a trial that has gone wrong."""


class Web:
    """The shop's server as ``torture.prefork`` forks it: warm, so that a start costs nothing."""

    def __init__(self, programs: Programs, port: int, *options: str, **env: str) -> None:
        log = programs.folder / f"program{len(programs.running)}.log"
        command = [sys.executable, "-m", "torture.prefork", str(port), *options]
        with log.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **programs.env, **env},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )  # fmt: skip
        self.program = Program(process, log)
        programs.running.append(self.program)
        self.url, self.master = f"http://{HOST}:{port}", 0

    def wait(self) -> None:
        """Until it can fork."""
        assert self.hear() == "ready", f"it did not start:\n{self.program.said()}"

    def hear(self) -> str:
        assert self.program.process.stdout is not None
        return self.program.process.stdout.readline().decode().strip()

    def up(self) -> None:
        """Returns when requests are served."""
        assert self.program.process.stdin is not None
        self.program.process.stdin.write(b"up\n")
        self.program.process.stdin.flush()
        self.master = int(self.hear())
        wait_until(lambda: is_served(self.url), "the shop to answer")

    def children(self) -> list[int]:
        """The workers, and the jobs."""
        try:
            return [int(pid) for pid in Path(f"/proc/{self.master}/task/{self.master}/children").read_text().split()]
        except OSError:
            return []

    def kill_one(self, choice: float) -> bool:
        """kill -9 of one process, chosen by a number from 0 to 1."""
        living = sorted(self.children())
        if not living:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(living[int(choice * len(living))], signal.SIGKILL)
        return True

    def kill_all(self) -> None:
        """kill -9 of the server and its jobs, all at once."""
        if self.master:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.master, signal.SIGKILL)
            wait_until(lambda: not is_alive(self.master), "the server to be gone")
            self.master = 0

    def stop(self) -> None:
        """SIGTERM: what has begun is answered first."""
        os.kill(self.master, signal.SIGTERM)
        wait_until(lambda: not is_alive(self.master), "the server to end")
        self.master = 0


def end(programs: Programs) -> None:
    """A forked server has left the session of the program that forked it."""
    for program in programs.running:
        for pid in below(program.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        program.end()
        for pipe in filter(None, (program.process.stdin, program.process.stdout)):
            with contextlib.suppress(OSError):
                pipe.close()


def below(root: int) -> list[int]:
    """All descendants of a process."""
    found, todo = [], [root]
    while todo:
        for tasks in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(pid) for pid in tasks.read_text().split()]
                found += children
                todo += children
    return found


def is_alive(pid: int) -> bool:
    """A process that only waits to be collected is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_served(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz/live", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def wait_until(is_so: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still waiting for {what}")
        time.sleep(0.02)
