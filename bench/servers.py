"""The production server and the floor, each started as `make serve` starts it, and what they use of the processor."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREADS = 4
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server. ``pid`` is granian's; the worker is its child."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What the whole tree has used so far."""
        return sum(cpu_of(pid) for pid in tree_of(self.pid))


@contextmanager
def served(name: str, application: str, port: int, env: Mapping[str, str]) -> Iterator[Server]:
    """A WSGI application under granian: one worker, THREADS threads, keep-alive."""
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options += ["--blocking-threads", str(THREADS), "--log-level", "warning", "--no-ws"]
    command = [sys.executable, "-m", "granian", *options, application]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
    try:
        wait_until_up(process, name, port)
        yield Server(name, port, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_up(process: "subprocess.Popen[bytes]", name: str, port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the {name} ended at start with {process.returncode}")
        try:
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asking.request("GET", "/healthz/live")
            if asking.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            asking.close()
    raise SystemExit(f"the {name} did not come up in a minute")


def tree_of(root: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := stat_of(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def cpu_of(pid: int) -> float:
    """Seconds of a process, user and system, and of its children that have ended.

    Its living threads are on a clock in nanoseconds; /proc/<pid>/stat counts in hundredths, too coarse for the floor.
    """
    fields = stat_of(pid)
    if not fields:
        return 0.0
    ended_children = (int(fields[13]) + int(fields[14])) / TICKS
    return time.clock_gettime((~pid << 3) | 2) + ended_children


def stat_of(pid: int) -> list[str]:
    """/proc/<pid>/stat from the state on; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
