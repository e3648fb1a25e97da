"""Cashier sessions and trades: what exists and who may pay it (protocol 3 and 4.3); how it ends is in `endings`."""

import json
from dataclasses import asdict, dataclass

from .book import Book, Row
from .clock import Clock
from .endings import Endings
from .errors import BusinessError
from .ids import Ids
from .notify import NotifyQueue
from .orders import Order
from .trade import OF_THE_VIEW, Trade, read_trade

PAID = ("TRADE_SUCCESS", "TRADE_FINISHED")


@dataclass(frozen=True, slots=True)
class Session:
    """One visit to the cashier. `account` is "" until the buyer scanned or signed in."""

    pay_order_id: str
    order: Order
    account: str
    opened_at: float
    expires_at: float | None


def _session(row: Row) -> Session:
    return Session(
        row["pay_order_id"], Order(**json.loads(row["order_data"])), row["account"], row["opened_at"], row["expires_at"]
    )


class Trades:
    """The rules of sessions and trades over the book."""

    def __init__(self, book: Book, clock: Clock, notifies: NotifyQueue, endings: Endings, ids: Ids) -> None:
        self.book = book
        self.clock = clock
        self.notifies = notifies
        self.endings = endings
        self.ids = ids

    def find(self, *, out_trade_no: str = "", trade_no: str = "") -> Trade | None:
        """Return a trade as it stands now; `trade_no` wins over `out_trade_no` (protocol 5.1)."""
        self.endings.lapse()
        return read_trade(self.book, out_trade_no=out_trade_no, trade_no=trade_no)

    def existing(self, *, out_trade_no: str = "", trade_no: str = "") -> Trade:
        """Return a trade as it stands now; BusinessError if there is none."""
        trade = self.find(out_trade_no=out_trade_no, trade_no=trade_no)
        if trade is None:
            raise BusinessError("ACQ.TRADE_NOT_EXIST")
        return trade

    def newest(self, limit: int) -> list[Trade]:
        """Return the latest trades, the newest first."""
        self.endings.lapse()
        rows = self.book.all(
            "SELECT trade_states.* FROM trade_states JOIN trades USING (out_trade_no) "
            "ORDER BY trades.created_at DESC, trades.rowid DESC LIMIT ?",
            limit,
        )
        return [Trade(**dict(row)) for row in rows]

    def close(self, trade: Trade, reason: str) -> None:
        """End a trade that waits for its buyer, whoever asks (Alipay documentation of alipay.trade.close)."""
        if trade.status != "WAIT_BUYER_PAY":
            raise BusinessError("ACQ.TRADE_STATUS_ERROR")
        with self.book.transaction():
            self.endings.close(trade.out_trade_no, self.clock.now(), reason)

    def freeze(self, trade: Trade, *, frozen: bool) -> None:
        """Hold a trade's money back in a dispute, or let it go again."""
        with self.book.transaction():
            if frozen:
                self.book.run("INSERT OR IGNORE INTO freezes (out_trade_no) VALUES (?)", trade.out_trade_no)
            else:
                self.book.run("DELETE FROM freezes WHERE out_trade_no = ?", trade.out_trade_no)
            kind = "trade.frozen" if frozen else "trade.thawed"
            self.book.record(kind, self.clock.now(), out_trade_no=trade.out_trade_no)

    def refuse_unless_payable(self, order: Order, expires_at: float | None) -> Trade | None:
        """Return the trade of an order that may still be paid, None if there is none yet; BusinessError otherwise.

        The order of the refusals is the simulator's own (protocol 3 gives the codes only): what was paid stays paid,
        time that is over is over, and only then the data are compared.
        """
        trade = self.find(out_trade_no=order.out_trade_no)
        if trade and trade.status in PAID:
            raise BusinessError("ACQ.TRADE_HAS_SUCCESS")
        if expires_at is not None and self.clock.now() >= expires_at:
            raise BusinessError("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR")
        if trade and trade.status == "TRADE_CLOSED":
            raise BusinessError("ACQ.TRADE_HAS_CLOSE")
        if trade and (trade.total_fen, trade.subject) != (order.total_fen, order.subject):
            raise BusinessError("ACQ.CONTEXT_INCONSISTENT")
        return trade

    def open_session(self, order: Order) -> str:
        """Store a cashier session and return its payOrderId. No trade comes into being (protocol 0.9)."""
        self.refuse_unless_payable(order, order.time_expire)
        pay_order_id = self.ids.pay_order_id()
        now = self.clock.now()
        with self.book.transaction():
            self.book.run(
                "INSERT INTO sessions (pay_order_id, out_trade_no, order_data, opened_at, expires_at) "
                "VALUES (?, ?, ?, ?, ?)",
                *(pay_order_id, order.out_trade_no, json.dumps(asdict(order)), now, order.time_expire),
            )
            self.book.record(
                "session.opened", now, out_trade_no=order.out_trade_no, data={"pay_order_id": pay_order_id}
            )
        return pay_order_id

    def session(self, pay_order_id: str) -> Session:
        """Return a session, starting its time-out at the first look; BusinessError if there is none."""
        row = self.book.one("SELECT * FROM sessions WHERE pay_order_id = ?", pay_order_id)
        if row is None:
            raise BusinessError("ACQ.TRADE_NOT_EXIST")
        session = _session(row)
        if session.expires_at is None:
            expires_at = session.order.expiry(self.clock.now())
            self.book.run("UPDATE sessions SET expires_at = ? WHERE pay_order_id = ?", expires_at, pay_order_id)
            return self.session(pay_order_id)
        return session

    def enter(self, pay_order_id: str, account: str, way: str) -> Trade:
        """The buyer scanned or signed in: from now on the trade exists (protocol 4.3). Returns it."""
        with self.book.transaction():
            session = self.session(pay_order_id)
            trade = self.refuse_unless_payable(session.order, session.expires_at)
            self.book.run("UPDATE sessions SET account = ? WHERE pay_order_id = ?", account, pay_order_id)
            return trade or self._create(session, account, way)

    def _create(self, session: Session, account: str, way: str) -> Trade:
        now, order = self.clock.now(), session.order
        trade = Trade(
            out_trade_no=order.out_trade_no,
            trade_no=self.ids.trade_no(now),
            status="WAIT_BUYER_PAY",
            total_fen=order.total_fen,
            subject=order.subject,
            body=order.body,
            passback_params=order.passback_params,
            notify_url=order.notify_url,
            account=account,
            created_at=now,
            expires_at=session.expires_at or order.expiry(now),
            paid_at=None,
            closed_at=None,
            paid_by="",
        )
        row = {name: value for name, value in asdict(trade).items() if name not in OF_THE_VIEW}
        marks = ", ".join("?" * len(row))
        self.book.run(f"INSERT INTO trades ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608
        data = {"trade_no": trade.trade_no, "way": way, "total_fen": trade.total_fen, "account": account}
        self.book.record("trade.created", now, out_trade_no=trade.out_trade_no, data=data)
        self.notifies.queue("wait_buyer_pay", trade)
        return trade

    def pay(self, pay_order_id: str) -> Trade:
        """Take the buyer's money and queue the notify, in one transaction. Paying twice in one session pays once.

        Raises BusinessError when the trade can no longer be paid.
        """
        with self.book.transaction():
            session = self.session(pay_order_id)
            paid = self.find(out_trade_no=session.order.out_trade_no)
            if paid and paid.paid_by == pay_order_id:
                return paid
            if self.refuse_unless_payable(session.order, session.expires_at) is None or not session.account:
                raise BusinessError("ACQ.TRADE_NOT_EXIST")
            return self._take_money(session)

    def _take_money(self, session: Session) -> Trade:
        """Without a refund window the trade is finished at once, and the merchant hears of it all the same."""
        now, number = self.clock.now(), session.order.out_trade_no
        self.book.run(
            "UPDATE trades SET status = ?, paid_at = ?, paid_by = ?, account = ? WHERE out_trade_no = ?",
            *(self.endings.status_when_paid(), now, session.pay_order_id, session.account, number),
        )
        trade = self.existing(out_trade_no=number)
        data = {"trade_no": trade.trade_no, "pay_order_id": session.pay_order_id, "account": trade.account}
        self.book.record("payment.received", now, out_trade_no=number, amount_fen=trade.total_fen, data=data)
        self.notifies.queue("trade_success", trade)
        return trade
