"""The schedule of notifies and the faults that befall them, as data: what goes out now, and what came of it.

A notify is sent up to eight times with one notify_id, each send with its own time and signature, until the answer is
HTTP 200 and exactly `success` (protocol 4.4).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .book import Book, Row
from .clock import Clock
from .config import Config
from .faults import NOTIFY, NOTIFY_KINDS, Fault, Faults
from .messages import notify_form
from .money import parse_yuan, yuan

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SHOWN = 200
POSTPONING = ("delay", "reorder")
AT_ONCE = tuple(kind for kind in NOTIFY_KINDS if kind not in POSTPONING)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one send: a status and the start of a body, or the error that prevented both."""

    status: int | None
    body: str
    error: str
    accepted: bool


def answered(status: int, body: bytes) -> Answer:
    """Read an answer: only 200 with exactly `success` ends the sending."""
    return Answer(status, body.decode(errors="replace")[:SHOWN], "", accepted=status == 200 and body == b"success")


def failed(error: str) -> Answer:
    """No answer came."""
    return Answer(None, "", error[:SHOWN], accepted=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One form to post. `copy` counts what a `duplicate` fault sends at the same time; only copy 0 is a try."""

    notify_id: str
    url: str
    form: str
    sent_at: float
    manual: bool = False
    copy: int = 0
    fault: str = ""


class Deliveries:
    """Moves each notify along its schedule."""

    def __init__(self, book: Book, clock: Clock, config: Config, key: RSAPrivateKey, faults: Faults) -> None:
        self.book = book
        self.clock = clock
        self.delays = config.notify_delays
        self.key = key
        self.faults = faults

    def due(self, limit: int) -> list[str]:
        """The notifies whose time has come, the longest overdue first; those a fault holds back are not among them."""
        rows = self.book.all(
            "SELECT notify_id FROM notifies WHERE state = 'PENDING' AND next_tick <= ? "
            "AND notify_id NOT IN (SELECT notify_id FROM held_notifies) ORDER BY next_tick, rowid LIMIT ?",
            *(self.clock.ticks(), limit),
        )
        return [row["notify_id"] for row in rows]

    def seconds_to_next(self, busy: list[str], longest: float) -> float:
        """Real seconds until something that is not busy is due."""
        marks = ", ".join("?" * len(busy))
        row = self.book.one(
            "SELECT min(next_tick) AS tick FROM notifies WHERE state = 'PENDING' "  # noqa: S608
            f"AND notify_id NOT IN (SELECT notify_id FROM held_notifies) AND notify_id NOT IN ({marks})",
            *busy,
        )
        if row is None or row["tick"] is None:
            return longest
        return float(row["tick"] - self.clock.ticks()) / self.clock.dial.speed

    def prepare(self, notify_id: str, *, manual: bool = False) -> list[Outgoing]:
        """Write the forms of one send; none when there is no such notify or a fault lets nothing out.

        A send by hand cannot be postponed, but it can be lost or spoilt.
        """
        row = self.book.one("SELECT * FROM notifies WHERE notify_id = ?", notify_id)
        if row is None:
            return []
        kinds = AT_ONCE if manual else NOTIFY_KINDS
        fault = self.faults.take(NOTIFY, row["out_trade_no"], *kinds)
        if fault and fault.kind in POSTPONING:
            self._postpone(notify_id, fault)
            return []
        sent_at = row["created_at"] + self.clock.ticks() - row["created_tick"]
        params = spoilt(json.loads(row["params"]), fault)
        form = notify_form(params, sent_at, self.key, corrupt=fault is not None and fault.kind == "corrupt")
        kind = fault.kind if fault else ""
        copies = int(fault.number) if fault and kind == "duplicate" else 1
        outgoing = [Outgoing(notify_id, row["url"], form, sent_at, manual, copy, kind) for copy in range(copies)]
        if kind in ("drop", "drop_all"):
            self.settle(outgoing[0], failed("lost on its way by a fault"))
            return []
        return outgoing

    def settle(self, one: Outgoing, answer: Answer) -> None:
        """Write down what came of a send and when the next is due. The first copy is the try; others only count."""
        with self.book.transaction():
            row = self.book.one("SELECT * FROM notifies WHERE notify_id = ?", one.notify_id)
            if row is None:  # the book was reset meanwhile
                return
            self._move(row, answer, first=one.copy == 0)
            if not one.fault.startswith("drop"):
                self.book.run("DELETE FROM held_notifies WHERE notify_id != ?", one.notify_id)
            self.book.run("DELETE FROM held_notifies WHERE notify_id = ?", one.notify_id)
            data = {**asdict(answer), **asdict(one)}
            self.book.record(
                "notify.sent", self.clock.now(), out_trade_no=row["out_trade_no"], notify_id=one.notify_id, data=data
            )

    def last_answer(self, notify_id: str) -> Answer | None:
        """What came of the latest send of a notify; None when there was none."""
        row = self.book.one(
            "SELECT data FROM events WHERE notify_id = ? AND kind = 'notify.sent' ORDER BY seq DESC", notify_id
        )
        if row is None:
            return None
        data: dict[str, Any] = json.loads(row["data"])
        return Answer(data["status"], data["body"], data["error"], accepted=data["accepted"])

    def _postpone(self, notify_id: str, fault: Fault) -> None:
        if fault.kind == "delay":
            tick = self.clock.ticks() + fault.number
            self.book.run("UPDATE notifies SET next_tick = ? WHERE notify_id = ?", tick, notify_id)
        else:
            self.book.run("INSERT OR IGNORE INTO held_notifies (notify_id) VALUES (?)", notify_id)

    def _move(self, row: Row, answer: Answer, *, first: bool) -> None:
        """Move the notify along its schedule; one resent by hand after its end only counts."""
        sends = row["sends"] + first
        state, next_tick = row["state"], row["next_tick"]
        if answer.accepted:
            state = "DELIVERED"
        elif state == "PENDING" and sends >= len(self.delays):
            state = "EXHAUSTED"
        elif state == "PENDING":
            next_tick = self.clock.ticks() + self.delays[sends]
        self.book.run(
            "UPDATE notifies SET state = ?, sends = ?, next_tick = ? WHERE notify_id = ?",
            *(state, sends, next_tick, row["notify_id"]),
        )


def spoilt(params: dict[str, str], fault: Fault | None) -> dict[str, str]:
    """The fields of one send, some of them wrong; they are signed properly all the same."""
    if fault is None:
        return params
    if fault.kind == "wrong_amount":
        cent_more = yuan(parse_yuan(params["total_amount"]) + 1)
        return {**params, "total_amount": fault.value or cent_more}
    if fault.kind == "wrong_app":
        return {**params, **dict.fromkeys(("app_id", "auth_app_id"), fault.value or "9021000199999999")}
    if fault.kind == "wrong_seller":
        return {**params, "seller_id": fault.value or "2088199999999999"}
    return params
