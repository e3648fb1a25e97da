"""pgbouncer in transaction mode, set up as docs/growing.md says."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

TIMEOUTS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s"}
"""What the shop asks for in each connection's options, which pgbouncer cannot pass on: the role has them instead."""
PARAMETERS = "prepare_threshold=1000000000&DISABLE_SERVER_SIDE_CURSORS=True"
START_SECONDS = 20


def program() -> str | None:
    """None where pgbouncer is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def configuration(folder: Path, port: int, database_url: str) -> str:
    parts = urlsplit(database_url)
    name = parts.path.removeprefix("/")
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": folder / "users",
        "logfile": folder / "log",
        "pool_mode": "transaction",
        "default_pool_size": 10,
        "max_client_conn": 1000,
        "ignore_startup_parameters": "options",
    }
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    return f"[databases]\n{name} = host={parts.hostname} port={parts.port}\n[pgbouncer]\n{lines}"


@contextlib.contextmanager
def running(folder: Path, port: int, database_url: str) -> Iterator[str]:
    """The DATABASE_URL by which the shop reaches its database through it, with ten connections for all."""
    parts = urlsplit(database_url)
    with psycopg.connect(database_url, autocommit=True) as server:
        for name, value in TIMEOUTS.items():
            server.execute(f"ALTER ROLE {parts.username} SET {name} = '{value}'".encode())
    folder.mkdir(mode=0o755)
    (folder / "users").write_text(f'"{parts.username}" ""\n', encoding="utf-8")
    (folder / "ini").write_text(configuration(folder, port, database_url), encoding="utf-8")
    as_whom: Sequence[str] = ()
    if os.geteuid() == 0:  # whom pgbouncer refuses to serve
        shutil.chown(folder, "postgres")
        as_whom = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")
    process = subprocess.Popen([*as_whom, str(program()), "-q", str(folder / "ini")], stdin=subprocess.DEVNULL)
    try:
        wait_until_up(process, folder, port)
        yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}", query=PARAMETERS))
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def wait_until_up(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    said = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
    raise RuntimeError(f"pgbouncer did not start:\n{said}")
