"""Alipay's simulator as a process, and its book, which the shop never reads."""

import contextlib
import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alipay_simulator.control import Control
from alipay_simulator.keys import PRIVATE_NAME, PUBLIC_NAME
from alipay_simulator.ledger import money
from backend import keyfiles
from tests.engine.programs import Program, Programs, answers
from tests.settings import ALIPAY_KEY, ALIPAY_PUBLIC_KEY, APP_KEY
from torture.processes import HOST

CLOCK_SPEED = 300
"""Alipay's second send of a notify comes after 4 minutes: here after 0.8 s."""


class Book:
    """The simulator's own book, read from its file while the simulator writes it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def book(self) -> "Book":
        """What ``invariants.Books.read`` asks of a simulator."""
        return self

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10)) as book:
            book.row_factory = sqlite3.Row
            return book.execute(sql, values).fetchall()

    def money(self) -> dict[str, dict[str, Any]]:
        return money(self)  # type: ignore[arg-type]

    def acknowledged(self, after: int) -> list[tuple[int, dict[str, str]]]:
        """Each send since event ``after`` that was answered ``success``: the event, and the fields of the notify."""
        rows = self.all(
            "SELECT events.seq, notifies.params FROM events JOIN notifies USING (notify_id) WHERE events.seq > ?"
            " AND events.kind = 'notify.sent' AND json_extract(events.data, '$.accepted') = 1 ORDER BY events.seq",
            after,
        )
        return [(row["seq"], json.loads(row["params"])) for row in rows]

    def waiting(self) -> list[str]:
        """The notifies that are not acknowledged yet."""
        return [row["notify_id"] for row in self.all("SELECT notify_id FROM notifies WHERE state = 'PENDING'")]


@dataclass
class Alipay:
    """The simulator as a process."""

    programs: Programs
    port: int
    folder: Path
    program: Program | None = None

    def start(self) -> None:
        options = ["--data", str(self.folder), "--app-public-key", str(self.folder / "app.pem")]
        options += ["--port", str(self.port), "--clock-speed", str(CLOCK_SPEED), "--notify-timeout", "5"]
        self.program = self.programs.start("-m", "alipay_simulator", *options)
        self.program.wait_until(lambda: answers(self.url))

    def restart_with(self, private_key: str) -> None:
        """Alipay signs with another key from now on. What it had not delivered it goes on sending."""
        assert self.program is not None
        self.program.end()
        (self.folder / PRIVATE_NAME).write_text(private_key)
        (self.folder / PUBLIC_NAME).unlink()
        self.start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def book(self) -> Book:
        return Book(self.folder / "book.sqlite3")

    def send_all(self) -> None:
        """No more faults, and what is late comes now."""
        with self.control() as control:
            control.clear_faults()
            for notify_id in self.book.waiting():
                control.send_now(notify_id)

    def control(self) -> Control:
        return Control(self.url, timeout=30)


def keys_of_alipay(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(ALIPAY_KEY, folder / PRIVATE_NAME)
    shutil.copy(ALIPAY_PUBLIC_KEY, folder / PUBLIC_NAME)
    (folder / "app.pem").write_text(keyfiles.public_key_of(APP_KEY.read_text()))
    return folder
