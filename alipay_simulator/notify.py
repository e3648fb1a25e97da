"""The notifies the simulator owes: queued with the payment, sent until the merchant says `success` (protocol 4.4)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

import httpx

from .book import Book, Row
from .clock import Clock
from .config import Config
from .messages import notify_form, paid_notify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from .trades import Trade

logger = logging.getLogger(__name__)

MAX_PARALLEL = 32
MAX_READ = 64 * 1024
IDLE = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one send: a status and the start of a body, or the error that prevented both."""

    status: int | None
    body: str
    error: str
    accepted: bool


Post = Callable[[str, str], Awaitable[Answer]]


class NotifyQueue:
    """Writes a notify into the book, inside the transaction of what it tells about."""

    def __init__(self, book: Book, clock: Clock, config: Config) -> None:
        self.book = book
        self.clock = clock
        self.config = config
        self.wake: Callable[[], None] = lambda: None

    def queue_paid(self, trade: Trade) -> None:
        """Owe the merchant word of a payment; nothing when the pay request named no notify_url."""
        if not trade.notify_url:
            return
        params = paid_notify(trade, self.config)
        now, tick = self.clock.now(), self.clock.ticks()
        self.book.run(
            "INSERT INTO notifies (notify_id, out_trade_no, url, params, state, created_at, created_tick, next_tick) "
            "VALUES (?, ?, ?, ?, 'PENDING', ?, ?, ?)",
            *(params["notify_id"], trade.out_trade_no, trade.notify_url, json.dumps(params)),
            *(now, tick, tick + self.config.notify_delays[0]),
        )
        self.book.record("notify.queued", now, out_trade_no=trade.out_trade_no, notify_id=params["notify_id"])
        self.wake()


@cache
def tls() -> ssl.SSLContext:
    """What an https address is checked with; made once, since reading the certificates costs more than a send."""
    return httpx.create_ssl_context(trust_env=False)


class HttpPost:
    """Posts a form: no redirects, no proxies, one deadline over the whole exchange.

    Each send has a connection of its own: a kept one that the merchant closed meanwhile would cost a try.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.headers = {"Content-Type": config.notify_content_type, "User-Agent": "alipay-simulator"}

    async def __call__(self, url: str, form: str) -> Answer:
        try:
            async with asyncio.timeout(self.config.notify_timeout):
                return await self._exchange(url, form)
        except TimeoutError:
            return Answer(None, "", f"no answer within {self.config.notify_timeout:g} s", accepted=False)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Answer(None, "", f"{type(error).__name__}: {error}"[:200], accepted=False)

    async def _exchange(self, url: str, form: str) -> Answer:
        body = b""
        async with (
            httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=False, verify=tls()) as client,  # noqa: S113
            client.stream("POST", url, content=form.encode(), headers=self.headers) as response,
        ):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_READ:
                    break
        accepted = response.status_code == 200 and body == b"success"
        return Answer(response.status_code, body.decode(errors="replace")[:200], "", accepted=accepted)


class NotifySender:
    """Sends what is due, in parallel, on the clock's schedule; what is pending lives in the book, not in memory."""

    def __init__(self, book: Book, clock: Clock, config: Config, key: RSAPrivateKey, post: Post | None = None) -> None:
        self.book = book
        self.clock = clock
        self.config = config
        self.key = key
        self.post = post or HttpPost(config)
        self._sending: dict[str, asyncio.Task[Answer]] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the book now: something was queued, or the clock was moved."""
        self._woken.set()

    async def run(self, sweep: Callable[[], None]) -> None:
        """Send for ever; `sweep` runs at every turn, at least once a second. Cancel to stop."""
        try:
            while True:
                self._woken.clear()
                sweep()
                self._start_due()
                await self._rest()
        finally:
            for task in list(self._sending.values()):
                task.cancel()
            await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _start_due(self) -> None:
        rows = self.book.all(
            "SELECT notify_id FROM notifies WHERE state = 'PENDING' AND next_tick <= ? ORDER BY next_tick LIMIT ?",
            *(self.clock.ticks(), MAX_PARALLEL + len(self._sending)),
        )
        for row in rows:
            if len(self._sending) < MAX_PARALLEL and row["notify_id"] not in self._sending:
                self._start(row["notify_id"], manual=False)

    async def _rest(self) -> None:
        busy = list(self._sending)
        marks = ", ".join("?" * len(busy))
        row = self.book.one(
            f"SELECT min(next_tick) AS tick FROM notifies WHERE state = 'PENDING' AND notify_id NOT IN ({marks})",  # noqa: S608
            *busy,
        )
        wait = IDLE
        if row and row["tick"] is not None and len(busy) < MAX_PARALLEL:
            wait = min(IDLE, max(0.005, (row["tick"] - self.clock.ticks()) / self.clock.dial.speed))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):  # not wait_for, which in Python 3.11 may lose the cancel that stops us
                await self._woken.wait()

    def _start(self, notify_id: str, *, manual: bool) -> asyncio.Task[Answer]:
        task = asyncio.create_task(self._send(notify_id, manual=manual))
        self._sending[notify_id] = task
        task.add_done_callback(lambda done: self._sent(notify_id, done))
        return task

    def _sent(self, notify_id: str, task: asyncio.Task[Answer]) -> None:
        self._sending.pop(notify_id, None)
        if not task.cancelled() and (error := task.exception()):
            logger.error("Sending notify %s broke off; it will be sent again.", notify_id, exc_info=error)
        self.wake()

    async def send_now(self, notify_id: str) -> Answer | None:
        """Send the next one at once, or a delivered or given-up one again; None if there is no such notify.

        A send that is already on its way is waited for instead.
        """
        if self.book.one("SELECT 1 FROM notifies WHERE notify_id = ?", notify_id) is None:
            return None
        return await asyncio.shield(self._sending.get(notify_id) or self._start(notify_id, manual=True))

    async def _send(self, notify_id: str, *, manual: bool) -> Answer:
        row = self.book.one("SELECT * FROM notifies WHERE notify_id = ?", notify_id)
        assert row is not None, "notifies are never removed"
        sent_at = row["created_at"] + self.clock.ticks() - row["created_tick"]
        form = notify_form(json.loads(row["params"]), sent_at, self.key)
        answer = await self.post(row["url"], form)
        with self.book.transaction():
            self._note(row, answer, manual=manual)
            data = {**asdict(answer), "sent_at": sent_at, "manual": manual, "url": row["url"], "form": form}
            self.book.record(
                "notify.sent", self.clock.now(), out_trade_no=row["out_trade_no"], notify_id=notify_id, data=data
            )
        return answer

    def _note(self, row: Row, answer: Answer, *, manual: bool) -> None:
        """Move the notify along its schedule; one resent by hand after its end only counts."""
        sends = row["sends"] + 1
        state, next_tick = row["state"], row["next_tick"]
        if answer.accepted:
            state = "DELIVERED"
        elif state == "PENDING" and sends >= len(self.config.notify_delays):
            state = "EXHAUSTED"
        elif state == "PENDING":
            next_tick = self.clock.ticks() + self.config.notify_delays[sends]
        self.book.run(
            "UPDATE notifies SET state = ?, sends = ?, next_tick = ? WHERE notify_id = ?",
            *(state, sends, next_tick, row["notify_id"]),
        )
