"""A PostgreSQL of its own for one run: an own folder and port, gone afterwards."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

INSTALLED = Path("/usr/lib/postgresql")


@contextmanager
def cluster(*, fsync: bool, **settings: str) -> Iterator[str]:
    """Its DATABASE_URL, for as long as the block runs. ``settings`` are PostgreSQL's own."""
    folder = Path(tempfile.mkdtemp(prefix="coursepay-bench-pg-"))
    port = free_port()
    try:
        _make(folder)
        _ctl(
            folder,
            "start",
            "-l",
            str(folder / "log"),
            "-o",
            _options(folder, port, {"fsync": "on" if fsync else "off", **settings}),
        )
        try:
            yield f"postgres://shop@127.0.0.1:{port}/postgres"
        finally:
            _ctl(folder, "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def version() -> str | None:
    """Of the programs that a cluster is made of, such as 15.14; None where there are none."""
    try:
        program = _binary("postgres")
    except SystemExit:
        return None
    asked = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    return asked.stdout.split()[2]


def postmaster(url: str) -> int:
    """The process above all of the server's at ``url``, on this machine."""
    with psycopg.connect(url) as server:
        row = server.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").fetchone()
    assert row is not None
    return int(row[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make(folder: Path) -> None:
    folder.chmod(0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    _run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "shop", "-E", "UTF8", "--locale=C", "--no-sync")


def _options(folder: Path, port: int, more: Mapping[str, str]) -> str:
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "max_connections": 60,
        "max_wal_size": "4GB",  # no checkpoint in the middle of what is measured
        **more,
    }
    return " ".join([f"-p {port}", *(f"-c {name}={value}" for name, value in settings.items())])


def _ctl(folder: Path, what: str, *more: str) -> None:
    _run("pg_ctl", "-D", str(folder / "data"), "-w", *more, what)


def _run(program: str, *arguments: str) -> None:
    """As the user postgres where we are root, whom PostgreSQL refuses to serve."""
    as_whom: Sequence[str] = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    command = [*as_whom, str(_binary(program)), *arguments]
    # pg_ctl leaves the server behind with our pipes: to a file, not to a pipe that would never end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)
        if done.returncode:
            output.seek(0)
            raise SystemExit(f"{program} failed:\n{output.read().decode(errors='replace')}")


def _binary(program: str) -> Path:
    if found := shutil.which(program):
        return Path(found)
    versions = sorted(INSTALLED.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise SystemExit("PostgreSQL is missing. On Debian: apt-get install postgresql")
    return versions[-1]
