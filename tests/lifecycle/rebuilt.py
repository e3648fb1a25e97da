"""I12: an order's history alone says what has become of it. What is rebuilt from its events equals what is stored.

Every event counts: one that is missing, one too many, or one that says something else is a difference; also one that
changes nothing of the order any more (timed out, and then paid), because other systems are told of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.events.outbox import PUBLIC
from backend.money import parse_yuan

ENDS = {"order.created": "UNPAID", "order.paid": "PAID", "order.cancelled": "CANCELLED", "order.timed_out": "TIMED_OUT"}

COMES_AFTER = {
    "order.created": ("",),
    "order.paid": ("UNPAID", "TIMED_OUT"),
    "order.cancelled": ("UNPAID",),
    "order.timed_out": ("UNPAID",),
}


@dataclass
class Rebuilt:
    """An order as its events tell it. Each attempt is for the whole price."""

    total_fen: int
    status: str = ""
    attempts: int = 0
    trades: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    asked_fen: int = 0
    """Refunds of ours that have neither succeeded nor failed."""
    refunded_fen: int = 0
    refunds: list[tuple[str, str]] = field(default_factory=list)
    opened: int = 0
    shut: int = 0
    public: list[str] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    _told: bool = True

    def take(self, name: str, detail: str) -> None:
        if name in PUBLIC:
            self.public.append(name)
        if name in ENDS:
            self._move(name)
        if name == "refund.succeeded":
            self._expect_to_be_told()
        if name not in ENDS or name == "order.paid":
            getattr(self, name.replace(".", "_"))(detail)

    def _move(self, name: str) -> None:
        if self.status not in COMES_AFTER[name]:
            self.wrongs.append(f"{name} after {self.status or 'nothing'}")
        self.status = ENDS[name]
        self.attempts += name == "order.created"

    def _expect_to_be_told(self) -> None:
        if not self._told:
            self.wrongs.append("a refund that was not told of")
        self._told = False

    def order_paid(self, detail: str) -> None:
        self.trades.append(detail)

    def payment_received(self, detail: str) -> None:
        self.trades.append(detail)

    def payment_opened(self, detail: str) -> None:
        self.attempts += 1

    def payment_closed(self, detail: str) -> None:
        self.closed.append(detail)

    def refund_requested(self, detail: str) -> None:
        self.asked_fen += amount(detail)
        self.refunds.append(("requested", detail))

    def refund_succeeded(self, detail: str) -> None:
        self.refunded_fen += amount(detail)
        self.asked_fen -= 0 if detail.endswith("at the provider") else amount(detail)
        self.refunds.append(("succeeded", detail))

    def refund_failed(self, detail: str) -> None:
        self.asked_fen -= amount(detail)
        self.refunds.append(("failed", " ".join(detail.split()[:2])))

    def order_refunded(self, detail: str) -> None:
        kept = len(self.trades) * self.total_fen - self.refunded_fen
        if self._told or amount(detail) != kept:
            self.wrongs.append(f"{kept} kept, told {detail}")
        self._told = True

    def enrollment_opened(self, detail: str) -> None:
        self.opened += how_many(detail)

    def enrollment_closed(self, detail: str) -> None:
        self.shut += how_many(detail)

    def facts(self) -> dict[str, Any]:
        wrongs = self.wrongs if self._told else [*self.wrongs, "a refund that was not told of"]
        refunds = sorted(self.refunds)
        return {
            "status": self.status,
            "attempts": self.attempts,
            "trades": sorted(self.trades),
            "closed": sorted(self.closed),
            "refunding": self.asked_fen,
            "refunded": self.refunded_fen,
            "requested": [detail for what, detail in refunds if what == "requested"],
            "failed": [detail for what, detail in refunds if what == "failed"],
            "succeeded": [d for what, d in refunds if what == "succeeded" and not d.endswith("at the provider")],
            "opened": self.opened,
            "shut": self.shut,
            "told": sorted(self.public),
            "wrongs": wrongs,
        }


def amount(detail: str) -> int:
    return parse_yuan(detail.split()[0])


def how_many(detail: str) -> int:
    match = re.fullmatch(r"(\d+) courses?", detail)
    return int(match[1]) if match else -1


def stored(books: Any, order: Any) -> dict[str, Any]:
    """The same facts from the rows."""
    payments = books.payments_of(order)
    access = [row for line in books.lines[order.pk] for row in books.access_by(line)]
    mine = [row for row in books.refunds_for(order) if row.cause != "PROVIDER"]
    said = [(row.status, f"{yuan(row.amount_fen)} {row.cause}") for row in mine]
    return {
        "status": order.status,
        "attempts": len(payments),
        "trades": sorted(payment.trade_no for payment in payments if payment.status == "PAID"),
        "closed": sorted(payment.out_trade_no for payment in payments if payment.closed_at is not None),
        "refunding": sum(payment.refunding_fen for payment in payments),
        "refunded": sum(payment.refunded_fen for payment in payments),
        "requested": sorted(detail for _, detail in said),
        "failed": sorted(detail for status, detail in said if status == "FAILED"),
        "succeeded": sorted(detail for status, detail in said if status == "SUCCEEDED"),
        "opened": len(access),
        "shut": len([row for row in access if row.closed_at is not None]),
        "told": sorted(books.told.get(order.number, [])),
        "wrongs": [],
    }


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def i12_audit(books: Any) -> Iterator[str]:
    """Every order, rebuilt from its events, equals itself."""
    for order in books.orders:
        rebuilt = Rebuilt(order.total_fen)
        for _, name, _, detail in books.events.get(order.pk, []):
            rebuilt.take(name, detail)
        told, kept = rebuilt.facts(), stored(books, order)
        for what, value in told.items():
            if value != kept[what]:
                yield f"I12 {order}: {what} is {kept[what]}, by its events {value}"
