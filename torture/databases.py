"""A database for each batch: a copy of one that was migrated once for the whole run."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from torture.trial import Database, Missing
from torture.worker import TEMPLATE

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = ROOT / "tools" / "postgres.sh"


class Databases:
    """Starts PostgreSQL when the first trial wants it, and migrates each kind once."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="coursepay-torture-"))
        self.folder.chmod(0o711)  # PostgreSQL, another user, goes through it to its own
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._postgres = ""
        self._missing = ""

    def close(self) -> None:
        if self._postgres:
            subprocess.run([POSTGRES, "stop", self.folder / "postgres"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def environment(self, kind: Database) -> Iterator[dict[str, str]]:
        """What a worker's environment says of its database, which is gone afterwards. Raises Missing."""
        bare = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", TEMPLATE)}
        bare["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        if kind == "memory":
            yield {**bare, "DATABASE_URL": "sqlite:///:memory:", TEMPLATE: str(self.sqlite())}
        elif kind == "sqlite":
            file = self.folder / f"batch-{next(self._numbers)}.sqlite3"
            shutil.copy(self.sqlite(), file)
            yield {**bare, "DATABASE_URL": f"sqlite:///{file}"}
            for left in self.folder.glob(f"{file.name}*"):
                left.unlink()
        elif kind == "postgres":
            with self.one_of_postgres() as url:
                yield {**bare, "DATABASE_URL": url}
        else:
            yield bare

    def sqlite(self) -> Path:
        file = self.folder / "migrated.sqlite3"
        with self._lock:
            if not file.exists():
                draft = self.folder / "draft.sqlite3"
                migrate(f"sqlite:///{draft}")
                draft.rename(file)
        return file

    def postgres(self) -> str:
        """The address of the migrated database. Nothing here is worth an fsync: T5 is about those."""
        with self._lock:
            if self._missing:
                raise Missing(self._missing)
            if not self._postgres:
                done = subprocess.run(
                    [POSTGRES, "start", self.folder / "postgres", "fsync=off"], stdout=subprocess.PIPE, check=False
                )
                if done.returncode:
                    self._missing = "PostgreSQL is not here, or does not start"
                    raise Missing(self._missing)
                self._postgres = done.stdout.decode().strip()
                migrate(self._postgres)
        return self._postgres

    @contextmanager
    def one_of_postgres(self) -> Iterator[str]:
        address = self.postgres()
        base, template = address.rsplit("/", 1)
        name = f"batch_{next(self._numbers)}"
        with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
            with self._lock:  # a template may have no other reader
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            try:
                yield f"{base}/{name}"
            finally:
                with suppress(psycopg.Error):
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def migrate(url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"],
        cwd=ROOT,
        env=environment,
        check=True,
    )
