"""The shop as people start it: real processes on free ports, with a database of their own, always ended."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from django.conf import settings

from backend import keyfiles
from tests.canaries import IN_LOGS
from tests.ports import free_ports
from tests.startup.trees import bare_environment, copy_tree, run

START_SECONDS = 90
STOP_SECONDS = 40


def until(what: Callable[[], Any], seconds: float, waiting_for: str) -> Any:
    """The first true value; fails the test after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, f"after {seconds} s still waiting for {waiting_for}"
        time.sleep(0.1)
    return value


@dataclass
class Server:
    """A process and all it started: they share a session."""

    process: "subprocess.Popen[bytes]"
    log: Path
    url: str
    simulator: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def family(self) -> list[int]:
        """Its living processes."""
        return [pid for pid in all_pids() if session_of(pid) == self.process.pid]

    def is_up(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()}"
        try:
            return httpx.get(f"{self.url}/healthz/live", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self) -> None:
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def session_of(pid: int) -> int | None:
    """None for a process that is gone, or only waits to be collected."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else int(numbers[2])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return copy_tree(tmp_path_factory.mktemp("live"))


@pytest.fixture
def database(tmp_path) -> Iterator[str]:
    """An empty database on the kind of server that this run of the suite is about."""
    if not settings.ON_POSTGRES:
        yield f"sqlite:///{tmp_path}/live.sqlite3"
        return
    name, parts = f"live_{os.getpid()}", urlsplit(os.environ["DATABASE_URL"])
    with psycopg.connect(urlunsplit(parts), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
        yield urlunsplit(parts._replace(path=f"/{name}"))
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def cut_all_lines(database) -> Callable[[], int]:
    """Ends every session of the shop's database, and waits until all are gone; how many there were. None on SQLite,
    which has no lines.
    """

    def cut() -> int:
        if not settings.ON_POSTGRES:
            sqlite3.connect(database.removeprefix("sqlite:///")).close()
            return 0
        with psycopg.connect(database, autocommit=True) as other:
            query = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database()"
            return len(other.execute(f"{query} AND pid <> pg_backend_pid()").fetchall())

    return cut


@pytest.fixture
def start(tree, tmp_path, canary_watch) -> Iterator[Callable[..., Server]]:
    """Starts a Python program of the tree and waits until the shop in it answers."""
    servers = []

    def start(*arguments: str, env: dict[str, str], simulator: str = "") -> Server:
        log = tmp_path / f"log{len(servers)}"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=tree, env=bare_environment(**env), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        server = Server(process, log, f"http://127.0.0.1:{env['PORT']}", simulator, env)
        servers.append(server)
        until(server.is_up, START_SECONDS, f"the shop to answer; so far it said:\n{server.said()}")
        return server

    yield start
    for server in servers:
        server.end()
        canary_watch.look(server.said(), "a live server's log", IN_LOGS)


@pytest.fixture
def demo(start, database) -> Server:
    """What `make run` starts."""
    port, simulator_port = free_ports(2)
    env = {"PORT": str(port), "SIMULATOR_PORT": str(simulator_port), "DATABASE_URL": database}
    server = start("tools/run.py", env=env, simulator=f"http://127.0.0.1:{simulator_port}")
    until(lambda: "Coursepay is up." in server.said(), 30, "the welcome")
    return server


@pytest.fixture
def production_server(tree, start, database, tmp_path) -> Server:
    """What `make serve` starts, with two workers."""
    keys = tmp_path / "keys"
    app, alipay = keyfiles.new_rsa_private_key(), keyfiles.new_rsa_private_key()
    keyfiles.write_once(keys / "app.pem", app)
    keyfiles.write_once(keys / "alipay_private.pem", alipay)
    keyfiles.write_once(keys / "alipay.pem", keyfiles.public_key_of(alipay))
    port, stream_port = free_ports(2)
    env = {
        "DEBUG": "0",
        "PORT": str(port),
        "STREAM_PORT": str(stream_port),
        "WEB_WORKERS": "2",
        "SECRET_KEY": "production's own, fifty characters long and then some",
        "DATABASE_URL": database,
        "ALLOWED_HOSTS": "127.0.0.1",
        "ALIPAY_GATEWAY_URL": "http://127.0.0.1:9/gateway.do",
        "ALIPAY_APP_ID": "9021000100000001",
        "ALIPAY_SELLER_ID": "2088100000000001",
        "ALIPAY_APP_PRIVATE_KEY_FILE": str(keys / "app.pem"),
        "ALIPAY_PUBLIC_KEY_FILES": str(keys / "alipay.pem"),
    }
    for command in (["migrate", "--verbosity", "0"], ["load_demo"]):
        outcome = run(tree, "manage.py", *command, **env)
        assert outcome.code == 0, outcome.said
    return start("tools/serve.py", env=env)
