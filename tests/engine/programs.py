"""The programs of the engine as real processes: Alipay's simulator, Celery's workers and beat, `run_jobs`."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from django.conf import settings

from alipay_simulator.control import Control
from alipay_simulator.keys import PRIVATE_NAME, PUBLIC_NAME
from backend import keyfiles
from tests.concurrency.conftest import database_url
from tests.events.endpoint import SECRET
from tests.live.conftest import all_pids, session_of
from tests.ports import free_ports
from tests.settings import ALIPAY_KEY, ALIPAY_PUBLIC_KEY, APP_KEY

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
"""Seconds; it only bounds a test that has gone wrong."""


@dataclass
class Program:
    """A process and all that it started: they share a session."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def family(self) -> list[int]:
        return [pid for pid in all_pids() if session_of(pid) == self.process.pid]

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"in vain; it said:\n{self.said()}"
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9 of all of it at once, as a power cut would."""
        assert self.process.poll() is None, f"it had ended with {self.process.returncode}:\n{self.said()}"
        self.end()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        while pids := self.family():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def tracebacks(self) -> list[str]:
        """Of the shop's own code. Celery logs some of its own when its broker goes away."""
        blocks = re.findall(r"^Traceback .*\n(?:[ \t].*\n)*\S.*$", self.said(), re.M)
        return [block.splitlines()[-1] for block in blocks if f"{ROOT}/backend/" in block]


@dataclass
class Programs:
    """Starts programs on the database of the test run; all are ended with the test."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    running: list[Program] = field(default_factory=list)
    alipay: Program | None = None

    def start(self, *arguments: str, **env: str) -> Program:
        """Python with these arguments."""
        log = self.folder / f"program{len(self.running)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **self.env, **env},
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running.append(Program(process, log))
        return self.running[-1]

    def simulator(self) -> Control:
        """Alipay, with the keys of the test run; it posts no notifies."""
        data = self.folder / "simulator"
        data.mkdir()
        shutil.copy(ALIPAY_KEY, data / PRIVATE_NAME)
        shutil.copy(ALIPAY_PUBLIC_KEY, data / PUBLIC_NAME)
        (data / "app.pem").write_text(keyfiles.public_key_of(APP_KEY.read_text()))
        (port,) = free_ports(1)
        options = ["--data", str(data), "--app-public-key", str(data / "app.pem"), "--triggers", ""]
        program = self.start("-m", "alipay_simulator", "--port", str(port), *options)
        url = f"http://127.0.0.1:{port}"
        program.wait_until(lambda: answers(url))
        self.env["ALIPAY_GATEWAY_URL"] = f"{url}/gateway.do"
        self.alipay = program
        return Control(url)

    @contextlib.contextmanager
    def alipay_silent(self) -> Iterator[None]:
        """Alipay answers nobody meanwhile: so much is left to do after it as before."""
        assert self.alipay is not None
        self.alipay.process.send_signal(signal.SIGSTOP)
        yield
        self.alipay.process.send_signal(signal.SIGCONT)

    def worker(self, broker_url: str, *more: str) -> Program:
        """One of Celery's, of two processes; returns when it takes work. Each has a name: they are on one machine."""
        name = f"worker{len(self.running)}@%h"
        options = ["--concurrency", "2", "--hostname", name, "--loglevel", "INFO"]
        program = self.celery(broker_url, "worker", *options, *more)
        program.wait_until(lambda: "ready." in program.said())
        return program

    def beat(self, broker_url: str) -> Program:
        return self.celery(broker_url, "beat", "--schedule", str(self.folder / "beat"))

    def celery(self, broker_url: str, *arguments: str) -> Program:
        return self.start("-m", "celery", "-A", "backend", *arguments, CELERY_BROKER_URL=broker_url)

    def run_jobs(self, **env: str) -> Program:
        return self.start("manage.py", "run_jobs", "--pause", "0.2", **env)

    def end(self) -> None:
        for program in self.running:
            program.end()
        end_sessions_left_behind()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    return False


def end_sessions_left_behind() -> None:
    """What a killed program did in PostgreSQL goes on until the server sees that it is gone; a flush would wait."""
    if settings.ON_POSTGRES:
        with psycopg.connect(database_url(), autocommit=True) as server:
            mine = os.getpid()
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND application_name = %s",
                [f"engine-{mine}"],
            )


def environment(**more: str) -> dict[str, str]:
    """Production's settings, with the keys and the database of the test run, and leases that lapse soon."""
    url = database_url()
    return {
        "DJANGO_SETTINGS_MODULE": "backend.settings",
        "DATABASE_URL": url,
        "PGAPPNAME": f"engine-{os.getpid()}",
        "PYTHONUNBUFFERED": "1",
        "JOB_LEASE_SECONDS": "5",
        "ORDER_GRACE_SECONDS": "1",
        "PROVIDER_RETRY_SECONDS": "1",
        "EVENT_SECRET": SECRET,
        **more,
    }
