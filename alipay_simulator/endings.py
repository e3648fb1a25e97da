"""How trades end: the time to pay runs out, somebody closes, the refund window passes (protocol 4.3)."""

from .book import Book
from .clock import Clock
from .notify import NotifyQueue
from .rules import Rules
from .trade import read_trade

UNPAID = "SELECT out_trade_no, expires_at FROM trades WHERE status = 'WAIT_BUYER_PAY' AND expires_at <= ?"
REFUNDABLE = "SELECT out_trade_no FROM trades WHERE status = 'TRADE_SUCCESS' AND paid_at <= ?"


class Endings:
    """Moves trades to TRADE_CLOSED and TRADE_FINISHED; there is no way out of either."""

    def __init__(self, book: Book, clock: Clock, notifies: NotifyQueue, rules: Rules) -> None:
        self.book = book
        self.clock = clock
        self.notifies = notifies
        self.rules = rules

    def status_when_paid(self) -> str:
        """A contract without refunds finishes a trade at once (protocol 4.3)."""
        return "TRADE_SUCCESS" if self.rules.refund_window else "TRADE_FINISHED"

    def lapse(self) -> None:
        """End every trade whose time is over."""
        now, paid_before = self.clock.now(), self.clock.now() - self.rules.refund_window
        if not (self.book.one(UNPAID, now) or self.book.one(REFUNDABLE, paid_before)):
            return
        with self.book.transaction():
            for row in self.book.all(UNPAID, now):
                self.close(row["out_trade_no"], row["expires_at"], "time is over")
            for row in self.book.all(REFUNDABLE, paid_before):
                self._finish(row["out_trade_no"])

    def close(self, number: str, at: float, reason: str) -> None:
        """Close an unpaid trade as of a moment; the caller has looked at its status and holds the transaction."""
        self.book.run("UPDATE trades SET status = 'TRADE_CLOSED', closed_at = ? WHERE out_trade_no = ?", at, number)
        self._tell("trade.closed", "trade_closed", number, reason)

    def _finish(self, number: str) -> None:
        self.book.run("UPDATE trades SET status = 'TRADE_FINISHED' WHERE out_trade_no = ?", number)
        self._tell("trade.finished", "trade_finished", number, "the refund window is over")

    def _tell(self, kind: str, trigger: str, number: str, reason: str) -> None:
        self.book.record(kind, self.clock.now(), out_trade_no=number, data={"reason": reason})
        trade = read_trade(self.book, out_trade_no=number)
        assert trade is not None, "it was updated a line ago"
        self.notifies.queue(trigger, trade)
