"""The notifies on their way out over HTTP: what is due is sent, in parallel (protocol 4.4)."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from functools import cache

import httpx

from .config import Config
from .deliveries import Answer, Deliveries, answered, failed

logger = logging.getLogger(__name__)

MAX_PARALLEL = 32
MAX_READ = 64 * 1024
IDLE = 1.0

Post = Callable[[str, str], Awaitable[Answer]]


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
            return failed(f"no answer within {self.config.notify_timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return failed(f"{type(error).__name__}: {error}")

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
        return answered(response.status_code, body)


class NotifySender:
    """Sends what is due, in parallel, on the clock's schedule; what is pending lives in the book, not in memory."""

    def __init__(self, deliveries: Deliveries, config: Config, post: Post | None = None) -> None:
        self.deliveries = deliveries
        self.post = post or HttpPost(config)
        self._sending: dict[str, asyncio.Task[Answer | None]] = {}
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
        for notify_id in self.deliveries.due(MAX_PARALLEL + len(self._sending)):
            if len(self._sending) < MAX_PARALLEL and notify_id not in self._sending:
                self._start(notify_id, manual=False)

    async def _rest(self) -> None:
        wait = IDLE
        if len(self._sending) < MAX_PARALLEL:
            wait = min(IDLE, max(0.005, self.deliveries.seconds_to_next(list(self._sending), IDLE)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):  # not wait_for, which in Python 3.11 may lose the cancel that stops us
                await self._woken.wait()

    def _start(self, notify_id: str, *, manual: bool) -> asyncio.Task[Answer | None]:
        task = asyncio.create_task(self._send(notify_id, manual=manual))
        self._sending[notify_id] = task
        task.add_done_callback(lambda done: self._sent(notify_id, done))
        return task

    def _sent(self, notify_id: str, task: asyncio.Task[Answer | None]) -> None:
        self._sending.pop(notify_id, None)
        if not task.cancelled() and (error := task.exception()):
            logger.error("Sending notify %s broke off; it will be sent again.", notify_id, exc_info=error)
        self.wake()

    async def send_now(self, notify_id: str) -> Answer | None:
        """Send the next one at once, or a delivered or given-up one again; None if there is no such notify.

        A send that is already on its way is waited for instead.
        """
        return await asyncio.shield(self._sending.get(notify_id) or self._start(notify_id, manual=True))

    async def _send(self, notify_id: str, *, manual: bool) -> Answer | None:
        """Send one round; the answer to its first copy, or None when there is nothing to send."""
        outgoing = self.deliveries.prepare(notify_id, manual=manual)
        answers = await asyncio.gather(*(self.post(one.url, one.form) for one in outgoing))
        for one, answer in zip(outgoing, answers, strict=True):
            self.deliveries.settle(one, answer)
        return answers[0] if answers else self.deliveries.last_answer(notify_id)
