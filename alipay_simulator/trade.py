"""A trade as the book has it."""

from dataclasses import dataclass

from .book import Book

OF_THE_VIEW = ("refunded_fen", "frozen")


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of the book; amounts in fen, times in epoch seconds. `paid_by` is the session that paid."""

    out_trade_no: str
    trade_no: str
    status: str
    total_fen: int
    subject: str
    body: str
    passback_params: str
    notify_url: str
    account: str
    created_at: float
    expires_at: float
    paid_at: float | None
    closed_at: float | None
    paid_by: str
    refunded_fen: int = 0
    frozen: int = 0


def read_trade(book: Book, *, out_trade_no: str = "", trade_no: str = "") -> Trade | None:
    """Return a trade as it was written last; `trade_no` wins over `out_trade_no` (protocol 5.1)."""
    column = "trade_no" if trade_no else "out_trade_no"
    row = book.one(f"SELECT * FROM trade_states WHERE {column} = ?", trade_no or out_trade_no)  # noqa: S608
    return Trade(**dict(row)) if row else None
