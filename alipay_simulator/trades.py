"""Cashier sessions and trades: what exists, who may pay it, and when it ends (protocol 3 and 4.3)."""

import json
import secrets
from dataclasses import asdict, dataclass

from .book import Book, Row
from .clock import Clock, beijing
from .errors import BusinessError
from .notify import NotifyQueue
from .orders import Order

PAID = ("TRADE_SUCCESS", "TRADE_FINISHED")


@dataclass(frozen=True, slots=True)
class Session:
    """One visit to the cashier. `account` is "" until the buyer scanned or signed in."""

    pay_order_id: str
    order: Order
    account: str
    opened_at: float
    expires_at: float | None


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


def _session(row: Row) -> Session:
    return Session(
        row["pay_order_id"], Order(**json.loads(row["order_data"])), row["account"], row["opened_at"], row["expires_at"]
    )


class Trades:
    """The rules of sessions and trades over the book."""

    def __init__(self, book: Book, clock: Clock, notifies: NotifyQueue) -> None:
        self.book = book
        self.clock = clock
        self.notifies = notifies

    def find(self, *, out_trade_no: str = "", trade_no: str = "") -> Trade | None:
        """Return a trade as it stands now; `trade_no` wins over `out_trade_no` (protocol 5.1)."""
        self.lapse()
        column = "trade_no" if trade_no else "out_trade_no"
        row = self.book.one(f"SELECT * FROM trades WHERE {column} = ?", trade_no or out_trade_no)  # noqa: S608
        return Trade(**dict(row)) if row else None

    def lapse(self) -> None:
        """Close every unpaid trade whose time is over."""
        now = self.clock.now()
        due = "SELECT out_trade_no, expires_at FROM trades WHERE status = 'WAIT_BUYER_PAY' AND expires_at <= ?"
        if not self.book.one(due, now):
            return
        with self.book.transaction():
            for row in self.book.all(due, now):
                self.book.run(
                    "UPDATE trades SET status = 'TRADE_CLOSED', closed_at = expires_at WHERE out_trade_no = ?",
                    row["out_trade_no"],
                )
                self.book.record("trade.closed", now, out_trade_no=row["out_trade_no"], data={"reason": "time is over"})

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
        pay_order_id = f"{secrets.token_hex(16)}.{secrets.randbelow(100):02d}"
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
            trade_no=new_trade_no(now),
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
        row = asdict(trade)
        marks = ", ".join("?" * len(row))
        self.book.run(f"INSERT INTO trades ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608
        data = {"trade_no": trade.trade_no, "way": way, "total_fen": trade.total_fen, "account": account}
        self.book.record("trade.created", now, out_trade_no=trade.out_trade_no, data=data)
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
            now = self.clock.now()
            self.book.run(
                "UPDATE trades SET status = 'TRADE_SUCCESS', paid_at = ?, paid_by = ?, account = ? "
                "WHERE out_trade_no = ?",
                *(now, pay_order_id, session.account, session.order.out_trade_no),
            )
            trade = self.find(out_trade_no=session.order.out_trade_no)
            assert trade is not None, "it was updated a line ago"
            data = {"trade_no": trade.trade_no, "pay_order_id": pay_order_id, "account": trade.account}
            self.book.record("trade.paid", now, out_trade_no=trade.out_trade_no, amount_fen=trade.total_fen, data=data)
            self.notifies.queue_paid(trade)
            return trade


def new_trade_no(now: float) -> str:
    """28 digits, as in the samples: the Beijing day, 22001, and 15 more (protocol 4.1)."""
    return f"{beijing(now)[:10].replace('-', '')}22001{secrets.randbelow(10**15):015d}"
