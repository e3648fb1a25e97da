"""One simulator: its settings, keys, clock, book and rules, put together."""

import asyncio
import logging
import sqlite3

from .book import Book, open_clock
from .config import Config
from .keys import AppKeyFile, load_or_make_keys
from .notify import NotifyQueue, NotifySender, Post
from .trades import Trades

logger = logging.getLogger(__name__)
RETRY = 1.0


class Simulator:
    """What the gateway, the cashier and the console work on. `post` replaces the notify's way out, for tests."""

    def __init__(self, config: Config, post: Post | None = None) -> None:
        self.config = config
        self.key = load_or_make_keys(config.data)
        self.app_key = AppKeyFile(config.app_public_key_path)
        self.book = Book(config.data / "book.sqlite3")
        self.clock = open_clock(self.book, config.clock_speed)
        self.notifies = NotifyQueue(self.book, self.clock, config)
        self.trades = Trades(self.book, self.clock, self.notifies)
        self.sender = NotifySender(self.book, self.clock, config, self.key, post)
        self.notifies.wake = self.sender.wake

    async def run(self) -> None:
        """Send notifies and end overdue trades for ever; cancel to stop."""
        while True:
            try:
                await self.sender.run(self.trades.lapse)
            except sqlite3.Error:  # a full disk, another process in the book: say so and go on when it is over
                logger.exception("The book cannot be used; trying again.")
                await asyncio.sleep(RETRY)

    def close(self) -> None:
        """Release the book."""
        self.book.close()
