"""The notifies the simulator owes: written into the book together with what they tell of (protocol 4.3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from .book import Book
from .clock import Clock
from .config import Config
from .ids import Ids
from .messages import notify_fields
from .rules import Rules

if TYPE_CHECKING:
    from .refunds import Refund
    from .trade import Trade


class NotifyQueue:
    """Writes a notify into the book, inside the transaction of what it tells about."""

    def __init__(self, book: Book, clock: Clock, config: Config, rules: Rules, ids: Ids) -> None:
        self.book = book
        self.clock = clock
        self.config = config
        self.rules = rules
        self.ids = ids
        self.wake: Callable[[], None] = lambda: None

    def queue(self, trigger: str, trade: Trade, refund: Refund | None = None) -> None:
        """Owe the merchant word of an event, unless its trigger is off or the pay request named no notify_url.

        A refund's goes where the payment's went: refund requests have no notify_url (protocol 4.3).
        """
        if not trade.notify_url or trigger not in self.rules.triggers:
            return
        now, tick = self.clock.now(), self.clock.ticks()
        notify_id = self.ids.notify_id(now)
        params = notify_fields(trigger, trade, refund, self.config, notify_id)
        self.book.run(
            "INSERT INTO notifies (notify_id, out_trade_no, url, params, state, created_at, created_tick, next_tick) "
            "VALUES (?, ?, ?, ?, 'PENDING', ?, ?, ?)",
            *(notify_id, trade.out_trade_no, trade.notify_url, json.dumps(params)),
            *(now, tick, tick + self.config.notify_delays[0]),
        )
        data = {"trigger": trigger, "trade_status": trade.status}
        self.book.record("notify.queued", now, out_trade_no=trade.out_trade_no, notify_id=notify_id, data=data)
        self.wake()
