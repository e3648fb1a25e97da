"""The money that moved in a bill's time, in order, read a page at a time; and the faults that strike single rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .bill_period import Period
from .book import Book
from .faults import ROW_KINDS, Fault, Faults

PAGE = 1000
PAYMENT_KINDS = ("row_missing", "amount_changed", "duplicate_row")
REFUND_KINDS = ("refund_missing", "refund_changed")
MOVES = """
    SELECT events.seq, events.at, events.amount_fen, events.out_trade_no, trades.trade_no, trades.subject, trades.body,
        trades.account, trades.created_at, coalesce(json_extract(events.data, '$.out_request_no'), '') AS out_request_no
    FROM events JOIN trades ON trades.out_trade_no = events.out_trade_no
    WHERE events.amount_fen != 0 AND (events.at, events.seq) > (?, ?) AND events.at < ?
    ORDER BY events.at, events.seq LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One payment, or one refund with its `out_request_no` and an amount below zero; fen and epoch seconds."""

    seq: int
    at: float
    amount_fen: int
    out_trade_no: str
    trade_no: str
    subject: str
    body: str
    account: str
    created_at: float
    out_request_no: str = ""


def has_entries(book: Book, period: Period) -> bool:
    """Tell whether any money moved."""
    return bool(book.all(MOVES, period.start, -1, period.end, 1))


def read_entries(book: Book, period: Period) -> Iterator[Entry]:
    """Yield what the book has; no more than a page of it is held at a time."""
    at, seq = period.start, -1
    while rows := book.all(MOVES, at, seq, period.end, PAGE):
        for row in rows:
            yield Entry(**dict(row))
        at, seq = rows[-1]["at"], rows[-1]["seq"]


def balance_before(book: Book, moment: float) -> int:
    """Return the fen that earlier payments and refunds left in the account."""
    row = book.one("SELECT total(amount_fen) AS fen FROM events WHERE amount_fen != 0 AND at < ?", moment)
    return int(row["fen"]) if row else 0


def spoilt(entries: Iterator[Entry], faults: Faults, period: Period) -> Iterator[Entry]:
    """Let each waiting fault strike the first row that it fits: a fault's `times` count bills, not rows."""
    waiting = faults.of(*ROW_KINDS)
    for entry in entries:
        fault = next((fault for fault in waiting if _fits(fault, entry)), None)
        if fault is None:
            yield entry
            continue
        waiting.remove(fault)
        faults.strike(fault, entry.out_trade_no)
        yield from _struck(entry, fault)
    for fault in waiting:
        if fault.kind == "foreign_row":
            faults.strike(fault, "")
            yield _foreign(fault, period)


def _fits(fault: Fault, entry: Entry) -> bool:
    """A refund's fault may name its out_request_no as `value`."""
    if fault.out_trade_no not in ("", entry.out_trade_no):
        return False
    if entry.amount_fen > 0:
        return fault.kind in PAYMENT_KINDS
    return fault.kind in REFUND_KINDS and fault.value in ("", entry.out_request_no)


def _struck(entry: Entry, fault: Fault) -> list[Entry]:
    if fault.kind in ("row_missing", "refund_missing"):
        return []
    if fault.kind == "duplicate_row":
        return [entry, entry]
    more = int(fault.number)  # of what was paid, or of what was given back
    return [replace(entry, amount_fen=entry.amount_fen + (more if entry.amount_fen > 0 else -more))]


def _foreign(fault: Fault, period: Period) -> Entry:
    """A payment that no merchant of this simulator asked for, in the last second of the time."""
    return Entry(
        seq=0,
        at=period.end - 1,
        amount_fen=int(fault.number),
        out_trade_no=fault.value or "foreign_1",
        trade_no=f"{period.name[:6]}0122001000000000000001",
        subject="foreign",
        body="",
        account="someone@example.com",
        created_at=period.end - 2,
    )
