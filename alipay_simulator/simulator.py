"""One simulator: its settings, keys, clock, book and rules, put together.

`gateway_call` to `record_attempt` are the whole simulator without a socket, for tests that call it a thousand times:
with `Config(frozen_at=..., seed=..., in_memory=True)` nothing depends on the time of day or on chance.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .bills import Bills
from .book import Book, open_clock
from .config import Config
from .deliveries import Deliveries, Outgoing, answered, failed
from .desk import Desk
from .endings import Endings
from .errors import GatewayError
from .faults import Fault, Faults
from .ids import Ids
from .keys import AppKeyFile, load_or_make_keys
from .ledger import money
from .messages import return_address
from .methods import METHODS
from .notify import NotifyQueue
from .refunds import Refund, Refunds
from .replies import Reply
from .rules import Rules
from .sender import NotifySender, Post
from .trade import Trade
from .trades import Trades

logger = logging.getLogger(__name__)
RETRY = 1.0
AT_ONCE = 1000


class BadStatus(ConnectionError):
    """A gateway call or a download was answered with another HTTP status than 200."""


class Simulator:
    """What the gateway, the cashier and the console work on. `post` replaces the notify's way out, for tests."""

    def __init__(self, config: Config, post: Post | None = None) -> None:
        self.config = config
        self.key = load_or_make_keys(config.data)
        self.app_key = AppKeyFile(config.app_public_key_path)
        self.book = Book(config.book_path)
        self.clock = open_clock(self.book, config.clock_speed, config.frozen_at)
        self.ids = Ids(config.seed)
        self.rules = Rules.of(config)
        self.faults = Faults(self.book, self.clock)
        self.notifies = NotifyQueue(self.book, self.clock, config, self.rules, self.ids)
        self.endings = Endings(self.book, self.clock, self.notifies, self.rules)
        self.trades = Trades(self.book, self.clock, self.notifies, self.endings, self.ids)
        self.refunds = Refunds(self.book, self.clock, self.notifies, self.rules, self.ids)
        self.deliveries = Deliveries(self.book, self.clock, config, self.key, self.faults)
        self.bills = Bills(self.book, self.clock, config, self.rules, self.faults, self.key)
        self.desk = Desk(self)
        self.sender = NotifySender(self.deliveries, config, post)
        self.notifies.wake = self.sender.wake
        self._out: dict[str, list[Outgoing]] = {}

    async def run(self) -> None:
        """Send notifies and end overdue trades for ever; cancel to stop."""
        while True:
            try:
                await self.sender.run(self.endings.lapse)
            except sqlite3.Error:  # a full disk, another process in the book: say so and go on when it is over
                logger.exception("The book cannot be used; trying again.")
                await asyncio.sleep(RETRY)

    def close(self) -> None:
        """Release the book."""
        self.book.close()

    def reset(self) -> None:
        """Begin again as on the first day: an empty book, no faults, the rules, clock and seed of the settings."""
        self.book.reset()
        self.clock.restart()
        self.ids.restart()
        self.rules.restart(self.config)
        self.faults.restart()
        self._out.clear()

    def gateway_call(self, params: Mapping[str, str]) -> bytes:
        """Answer signed parameters with the raw reply.

        Where a fault holds the connection TimeoutError is raised, where it spoils the status BadStatus: both are
        OSError, as they are with urllib.
        """
        return self._raw(self.desk.handle(list(params.items()), "CALL").reply)

    def download(self, url: str) -> bytes:
        """Follow a `bill_download_url`: the zip, or the page that its time is over. OSError as in `gateway_call`.

        A download that stalls is a TimeoutError too.
        """
        return self._raw(self.bills.download(dict(parse_qsl(urlsplit(url).query))))

    def open_cashier(self, pay_url: str) -> str:
        """Open a pay URL (or its query alone) and return the payOrderId; GatewayError when it is refused."""
        query = urlsplit(pay_url).query or pay_url
        handled = self.desk.handle(parse_qsl(query, keep_blank_values=True), "CALL")
        if handled.broken:
            self._raw(handled.reply)
        if handled.outcome.to is None:
            body = handled.outcome.body
            raise GatewayError(body["code"], body["sub_code"])
        return handled.outcome.to.pay_order_id

    def scan(self, pay_order_id: str, account: str = "") -> Trade:
        """The buyer comes: the trade exists from now on. BusinessError when it cannot."""
        return self.trades.enter(pay_order_id, account or self.config.buyer_account, "scan")

    def pay(self, pay_order_id: str) -> Trade:
        """The buyer pays; BusinessError when the trade can no longer be paid."""
        return self.trades.pay(pay_order_id)

    def return_address(self, pay_order_id: str) -> str:
        """Where the buyer's browser is sent after paying, signed; "" when the merchant named no address."""
        session = self.trades.session(pay_order_id)
        trade = self.trades.existing(out_trade_no=session.order.out_trade_no)
        url = session.order.return_url
        return return_address(url, trade, self.config, self.clock.now(), self.key) if url else ""

    def console_refund(self, out_trade_no: str, amount_fen: int, reason: str = "") -> Refund:
        """Refund at Alipay's own console, behind the app's back; BusinessError when refused."""
        return self.refunds.by_console(self.trades.existing(out_trade_no=out_trade_no), amount_fen, reason)

    def close_trade(self, out_trade_no: str) -> None:
        """The buyer or somebody at Alipay closes an unpaid trade; BusinessError when refused."""
        self.trades.close(self.trades.existing(out_trade_no=out_trade_no), "at Alipay's console")

    def freeze_trade(self, out_trade_no: str, *, frozen: bool) -> None:
        """A dispute holds a trade's money back, or lets it go; BusinessError when there is no such trade."""
        self.trades.freeze(self.trades.existing(out_trade_no=out_trade_no), frozen=frozen)

    def fault(self, target: str, kind: str, **parameters: Any) -> Fault:
        """Let something go wrong; ValueError when it makes no sense."""
        return self.faults.add({"target": target, "kind": kind, **parameters}, tuple(METHODS))

    def money(self, out_trade_no: str = "") -> dict[str, dict[str, Any]]:
        """What was paid and given back, per out_trade_no, from the journal."""
        return money(self.book, out_trade_no)

    def advance(self, seconds: float) -> None:
        """Let time pass: deadlines, the refund window and the notify schedule move on together."""
        self.clock.advance(seconds)
        self.endings.lapse()
        self.sender.wake()

    def due_notifies(self) -> list[Outgoing]:
        """Hand out what is to be posted now, once; each wants its `record_attempt`. Not while `run` is running."""
        self.endings.lapse()
        handed: list[Outgoing] = []
        for notify_id in self.deliveries.due(AT_ONCE):
            if notify_id not in self._out and (outgoing := self.deliveries.prepare(notify_id)):
                self._out[notify_id] = outgoing
                handed += outgoing
        return handed

    def record_attempt(self, notify_id: str, status: int | None, body: bytes = b"") -> None:
        """Say what a post was answered with, or None for no answer; KeyError for a notify that was not handed out.

        The copies of a `duplicate` are answered one by one, in any order.
        """
        one = self._out[notify_id].pop(0)
        if not self._out[notify_id]:
            del self._out[notify_id]
        self.deliveries.settle(one, failed("no answer") if status is None else answered(status, body))

    @staticmethod
    def _raw(reply: Reply) -> bytes:
        if reply.held is not None:
            raise TimeoutError("the connection was held")
        if reply.status != 200:
            raise BadStatus(f"HTTP {reply.status}")
        return b"".join(reply.chunks())
