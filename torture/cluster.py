"""A PostgreSQL that may be crashed."""

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from torture.processes import is_alive, wait_until
from torture.trial import Missing

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "postgres.sh"
NOT_INSTALLED = 3


class Postgres:
    """A cluster that can be crashed and comes back by the same address, with fsync on."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        started = subprocess.run([SCRIPT, "start", folder, *options], stdout=subprocess.PIPE, check=False)
        if started.returncode == NOT_INSTALLED:
            raise Missing("PostgreSQL")
        assert started.returncode == 0, "PostgreSQL did not start"
        self.url = started.stdout.decode().strip()
        self.port = urlsplit(self.url).port or 0

    @property
    def pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def crash(self, number: int = signal.SIGQUIT) -> None:
        """Immediate: no checkpoint, nothing flushed. SIGQUIT is ``pg_ctl stop -m immediate``; SIGKILL is worse."""
        pid = self.pid
        os.kill(pid, number)
        wait_until(lambda: not is_alive(pid), "PostgreSQL to be gone")

    def restart(self) -> None:
        """With the options of its start. After SIGKILL it cannot before its last child has seen that it is gone."""
        program = Path((self.folder / "data" / "postmaster.opts").read_text().split()[0]).with_name("pg_ctl")
        command = [str(program), "-D", str(self.folder / "data"), "-w", "-l", str(self.log), "restart"]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        wait_until(lambda: self.runs(command), "PostgreSQL to start")

    def runs(self, command: list[str]) -> bool:
        return subprocess.run(command, capture_output=True, cwd="/", check=False).returncode == 0

    def terminate_all(self) -> int:
        """End every session of the shop's database but ours; how many."""
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'shop'"
        )
        with psycopg.connect(self.url, autocommit=True) as server:
            return int(server.execute(query).fetchone()[0])  # type: ignore[index]

    def sessions(self) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop'"
        with psycopg.connect(self.url, autocommit=True) as server:
            return int(server.execute(query).fetchone()[0])  # type: ignore[index]

    def stop(self) -> None:
        subprocess.run([SCRIPT, "stop", self.folder], check=False)
