"""What the shop asks of a payment company, and what it gets back.

A provider translates between these frozen values and one company's wire format. It keeps no state and knows neither
Django nor the database. Every call has three outcomes: yes (a value), no (ProviderRejected) and *unknown*
(ProviderUnavailable); unknown never changes money state.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Protocol

from backend.payments.providers.bill import BillRow


class TradeState(Enum):
    """Where a trade stands at the provider. A word we do not know is PENDING: never success, never failure."""

    PENDING = "pending"
    PAID = "paid"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Trade:
    """One authenticated statement of the provider about one trade: a verified notify, or a signed answer to our query.

    Amounts are fen, times are aware. ``refunded_fen`` is the sum refunded so far, where the statement says it;
    ``refund_amount_fen`` is that of the one refund ``refund_request_no``, where it was asked about by its number.
    """

    provider: str
    out_trade_no: str
    trade_no: str
    state: TradeState
    amount_fen: int
    paid_at: datetime | None = None
    refunded_fen: int | None = None
    refund_request_no: str | None = None
    refund_amount_fen: int | None = None


@dataclass(frozen=True, slots=True)
class PayRequest:
    """What a pay URL is signed over. ``expires_at`` is aware: after it the provider takes no money for this trade."""

    out_trade_no: str
    amount_fen: int
    subject: str
    expires_at: datetime


class CloseResult(Enum):
    """What came of closing a trade."""

    CLOSED = "closed"  # by this call
    NOT_FOUND = "not_found"  # the provider has no such trade; for a page pay that is not final
    STATUS_CHANGED = "status_changed"  # it waits for money no more: query, and follow what that says


class RefundState(Enum):
    """Where one refund stands at the provider."""

    SUCCEEDED = "succeeded"
    """The money is moved."""

    NOT_SEEN = "not_seen"
    """The provider has no trace of it, or this call did not move it: ask, or try again with the same number."""

    WAITING = "waiting"
    """Refused for now, the seller's balance being too low: try again later with the same number."""

    FAILED = "failed"
    """Refused for good. When an earlier attempt ended unknown, ask query_refund before you believe it: a trade that
    this very refund emptied refuses a repeat in the same words."""


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """One refund. ``out_request_no`` makes a repeat harmless: it is stored before the first call and never changes."""

    out_trade_no: str
    out_request_no: str
    amount_fen: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefundResult:
    """What the provider says of one refund.

    ``refunded_fen`` is the sum refunded of the whole trade so far, where the answer says it. ``code`` and ``message``
    are the provider's own words for a no.
    """

    state: RefundState
    refunded_fen: int | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ReturnClaim:
    """What the browser brought back, its signature good.

    It has no status and proves no payment: it is a reason to ask.
    """

    out_trade_no: str
    trade_no: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A notify as its sender's words, once its signature and addressees are good: what of it we keep for the inbox."""

    notify_id: str
    trade_status: str
    trade: Trade


class ProviderError(Exception):
    """Everything that a provider call may raise."""


class ProviderUnavailable(ProviderError):
    """The outcome is unknown: time-out, garbage, bad signature, the provider's own fault. Ask again later."""


class ProviderRejected(ProviderError):
    """The provider said no, signed. ``code`` and ``message`` are its own words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class TradeNotFound(ProviderRejected):
    """The provider has no such trade.

    For a page pay this holds until the buyer opens the cashier, so it is not final.
    """


class BillNotReady(ProviderRejected):
    """There is no bill of that day: it is not made yet, or nothing was traded. The provider does not say which."""


class BillUnreadable(ProviderUnavailable):
    """A bill came that cannot be read to its end. The text says why, and at which line; it quotes nothing of it."""


class MessageRefused(ProviderError):
    """A notify or return that must not be acted on. ``reason`` is one of the words below, for the inbox and the log."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    DUPLICATE_FIELD = "duplicate_field"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    WRONG_APP = "wrong_app"
    BAD_SIGNATURE = "bad_signature"
    WRONG_SELLER = "wrong_seller"
    UNKNOWN_STATUS = "unknown_status"
    FOREIGN_TEXT = "foreign_text"
    BAD_AMOUNT = "bad_amount"
    SIGNED = frozenset({FOREIGN_TEXT, WRONG_SELLER, UNKNOWN_STATUS, BAD_AMOUNT})
    """What is found only after the signature was good: the provider itself said it, and real money may be in it."""

    def __init__(self, reason: str, detail: str = "", *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.fields: Mapping[str, str] = fields or {}

    @property
    def is_signed(self) -> bool:
        return self.reason in self.SIGNED


class BadSignature(MessageRefused):
    """The signature does not belong to the message, to the key, or is none at all."""

    def __init__(self, detail: str = "", *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(MessageRefused.BAD_SIGNATURE, detail, fields=fields)


class Provider(Protocol):
    """Speaks one payment company's language."""

    name: str

    def pay(self, request: PayRequest) -> str:
        """The URL to send the buyer to. Signed here: no call leaves the machine."""
        ...

    def query(self, out_trade_no: str, *, deadline: float = 10.0) -> Trade:
        """What the provider says now, within ``deadline`` seconds in all. Raises ProviderError."""
        ...

    def close(self, out_trade_no: str, *, deadline: float = 10.0) -> CloseResult:
        """Ends a trade that waits for money, and no other. Raises ProviderRejected or ProviderUnavailable."""
        ...

    def refund(self, request: RefundRequest, *, deadline: float = 10.0) -> RefundResult:
        """Gives money back, once for each ``out_request_no``. Raises ProviderUnavailable: then it may have happened."""
        ...

    def query_refund(self, request: RefundRequest, *, deadline: float = 10.0) -> RefundResult:
        """Whether this very refund has happened: SUCCEEDED or NOT_SEEN. Raises ProviderUnavailable."""
        ...

    def parse_notification(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        """The verified notice in a notify's body. Raises MessageRefused."""
        ...

    def parse_return(self, query: str) -> ReturnClaim:
        """The verified claim in a return's query string, with or without "?". Raises MessageRefused."""
        ...

    def bill(
        self, day: date, *, deadline: float = 600.0, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[BillRow]:
        """The rows of the provider's bill of ``day`` (Beijing), as hints: nothing is asked before the first is taken.

        Asking and fetching take ``deadline`` seconds at most, reading is as slow as its reader. ``progress`` hears the
        bytes read and the bytes there are. Raises BillNotReady, ProviderRejected, or ProviderUnavailable, of which
        BillUnreadable may come after rows were given.
        """
        ...
