"""Money back: the rules of alipay.trade.refund over the book, for the merchant's app and for Alipay's own console.

The rules are those of the Alipay documentation of alipay.trade.refund (protocol 5.4).
"""

from dataclasses import asdict, dataclass, replace

from .book import Book
from .clock import Clock
from .errors import BusinessError
from .ids import Ids
from .notify import NotifyQueue
from .rules import Rules
from .trade import Trade

NOT_REFUNDABLE = {
    "WAIT_BUYER_PAY": "ACQ.TRADE_STATUS_ERROR",
    "TRADE_CLOSED": "ACQ.TRADE_HAS_CLOSE",
    "TRADE_FINISHED": "ACQ.TRADE_HAS_FINISHED",
}


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund of a trade; `source` is `app` or `console`."""

    out_trade_no: str
    out_request_no: str
    amount_fen: int
    reason: str
    source: str
    refunded_at: float


class Refunds:
    """Refunds are unique per trade and out_request_no: the second request with one number moves no money."""

    def __init__(self, book: Book, clock: Clock, notifies: NotifyQueue, rules: Rules, ids: Ids) -> None:
        self.book = book
        self.clock = clock
        self.notifies = notifies
        self.rules = rules
        self.ids = ids

    def find(self, trade: Trade, out_request_no: str) -> Refund | None:
        """Return one refund of a trade."""
        row = self.book.one(
            "SELECT * FROM refunds WHERE out_trade_no = ? AND out_request_no = ?", trade.out_trade_no, out_request_no
        )
        return Refund(**dict(row)) if row else None

    def by_app(self, trade: Trade, amount_fen: int, out_request_no: str, reason: str) -> tuple[Refund, bool]:
        """Refund for the merchant; returns the refund and whether it moved money now. BusinessError when refused.

        Without a number the refund gets the trade's own (protocol 4.1) and must be of the whole amount.
        """
        number = out_request_no or trade.out_trade_no
        known = self.find(trade, number)
        if known is not None:
            if known.amount_fen != amount_fen:
                raise BusinessError("ACQ.DISCORDANT_REPEAT_REQUEST")
            return known, False
        self._refuse_unless_refundable(trade, amount_fen)
        if not out_request_no and amount_fen != trade.total_fen:
            raise BusinessError("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
        self._refuse_unless_free(trade, amount_fen)
        return self._pay_back(trade, Refund(trade.out_trade_no, number, amount_fen, reason, "app", self._now())), True

    def by_console(self, trade: Trade, amount_fen: int, reason: str) -> Refund:
        """Refund behind the app's back: Alipay makes up the out_request_no. The app only hears of it."""
        self._refuse_unless_refundable(trade, amount_fen)
        self._refuse_unless_free(trade, amount_fen)
        now = self._now()
        number = self.ids.refund_no(now)
        return self._pay_back(trade, Refund(trade.out_trade_no, number, amount_fen, reason, "console", now))

    def _now(self) -> float:
        return self.clock.now()

    @staticmethod
    def _refuse_unless_refundable(trade: Trade, amount_fen: int) -> None:
        if trade.status in NOT_REFUNDABLE:
            raise BusinessError(NOT_REFUNDABLE[trade.status])
        if amount_fen > trade.total_fen - trade.refunded_fen:
            raise BusinessError("ACQ.REASON_TRADE_REFUND_FEE_ERR")

    def _refuse_unless_free(self, trade: Trade, amount_fen: int) -> None:
        if trade.frozen:
            raise BusinessError("ACQ.REASON_TRADE_BEEN_FREEZEN")
        balance = self.rules.balance_fen
        if balance is not None and amount_fen > balance:
            raise BusinessError("ACQ.SELLER_BALANCE_NOT_ENOUGH")

    def _pay_back(self, trade: Trade, refund: Refund) -> Refund:
        row = asdict(refund)
        refunded = replace(trade, refunded_fen=trade.refunded_fen + refund.amount_fen)
        full = refunded.refunded_fen == trade.total_fen
        if full:
            refunded = replace(refunded, status="TRADE_CLOSED", closed_at=refund.refunded_at)
        with self.book.transaction():
            self.book.run(f"INSERT INTO refunds ({', '.join(row)}) VALUES (?, ?, ?, ?, ?, ?)", *row.values())  # noqa: S608
            self.book.run(
                "UPDATE trades SET status = ?, closed_at = ? WHERE out_trade_no = ?",
                *(refunded.status, refunded.closed_at, trade.out_trade_no),
            )
            self._book(refund)
            self.notifies.queue("full_refund" if full else "partial_refund", refunded, refund)
        return refund

    def _book(self, refund: Refund) -> None:
        data = {"out_request_no": refund.out_request_no, "source": refund.source, "reason": refund.reason}
        self.book.record(
            "refund.paid",
            refund.refunded_at,
            out_trade_no=refund.out_trade_no,
            amount_fen=-refund.amount_fen,
            data=data,
        )
        if self.rules.balance_fen is not None:
            self.rules.balance_fen -= refund.amount_fen
