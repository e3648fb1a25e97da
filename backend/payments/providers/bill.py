"""A row of a payment company's daily bill: not signed, so a reason to ask and never a statement about money."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class BillKind(Enum):
    """What a row tells of."""

    PAYMENT = "payment"
    REFUND = "refund"
    OTHER = "other"
    """A word that we do not know: to be counted, not to be guessed at."""


@dataclass(frozen=True, slots=True)
class BillRow:
    """One row. All of a seller's business is in a bill, so its numbers need not be ours.

    ``amount_fen`` is what the buyer's order came to, or for a refund what went back, and never negative. ``fee_fen`` is
    what the provider charges, with the sign that the bill gives it. ``finished_at`` is aware. ``out_request_no`` is
    blank where there is no refund, or none with a number. ``line`` counts from 1 in the file.
    """

    kind: BillKind
    trade_no: str
    out_trade_no: str
    out_request_no: str
    amount_fen: int
    fee_fen: int
    finished_at: datetime
    line: int
