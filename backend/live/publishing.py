"""Telling of a change, beside the money path and never on it.

A number goes into a queue when its transaction has committed, and one thread per process sends what is there. So a
notify pays for a queue alone, whether Redis answers, refuses or hangs. (``pg_notify`` inside the transaction would cost
a statement, would make all commits wait for one lock, and fails the commit when a listener lets the queue fill up.)
"""

import logging
import os
import queue
import time
from collections.abc import Callable
from functools import cache, partial
from threading import Thread
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from psycopg.conninfo import make_conninfo

logger = logging.getLogger("coursepay.live")

CHANNEL = "coursepay_orders"
BATCH = 100
"""Numbers in one message: at most 2,300 bytes, where PostgreSQL takes 8,000."""
MOST_QUEUED = 10_000
PATIENCE_SECONDS = 0.2
"""For each step of talking to Redis."""
REST_SECONDS = 0.025
"""Between two messages. A change by itself is told at once; of many, those that came meanwhile are told together."""

Send = Callable[[str], None]


def announce(number: str) -> None:
    """This order looks different to who waits for it, once the transaction is committed. Never waits, never raises."""
    if settings.REDIS_URL or connection.vendor == "postgresql":
        transaction.on_commit(partial(_tell, number), robust=True)


def _tell(number: str) -> None:
    publisher(os.getpid()).put(number)


@cache
def publisher(pid: int) -> "Publisher":
    """This process's own: a thread does not live on in a forked child."""
    return Publisher(redis_sender(settings.REDIS_URL) if settings.REDIS_URL else notify)


class Publisher:
    """Sends numbers from a thread. What cannot be sent is dropped: the streams find it by their sweep."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queue: queue.Queue[str] = queue.Queue(MOST_QUEUED)
        self._is_failing = False
        Thread(target=self._run, name="live-publisher", daemon=True).start()

    def put(self, number: str) -> None:
        try:
            self._queue.put_nowait(number)
        except queue.Full:
            logger.warning("changes of orders come faster than they can be told: one is dropped")

    def _run(self) -> None:
        while True:
            numbers = self._take()
            try:
                self._send(" ".join(dict.fromkeys(numbers)))
                self._is_failing = False
            except Exception as error:
                self._complain(error)
            for _ in numbers:
                self._queue.task_done()
            time.sleep(REST_SECONDS)

    def settle(self, seconds: float) -> bool:
        """Whether all that was put has been sent or dropped, within so many seconds."""
        with self._queue.all_tasks_done:
            return self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, seconds)

    def _take(self) -> list[str]:
        """All that waits; blocks until there is one."""
        numbers = [self._queue.get()]
        while len(numbers) < BATCH:
            try:
                numbers.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return numbers

    def _complain(self, error: Exception) -> None:
        """Once per outage."""
        if not self._is_failing:
            logger.warning("changes of orders cannot be told: %s", type(error).__name__)
        self._is_failing = True


def redis_sender(url: str) -> Send:
    """Publishes through Redis, trying once: redis-py's own retries take seconds."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client: Any = redis.Redis.from_url(
        url,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return partial(client.publish, CHANNEL)


def notify(message: str) -> None:
    """Publishes through PostgreSQL, over a connection of the process's pool."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, message])
    finally:
        connection.close()  # back into the pool


def postgres_dsn() -> str:
    """Where LISTEN goes: DATABASE_LISTEN_URL, past any pgbouncer, or the shop's database."""
    if settings.DATABASE_LISTEN_URL:
        return make_conninfo(settings.DATABASE_LISTEN_URL, connect_timeout=5)
    ours = connection.settings_dict
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    given = {name: ours[key] for name, key in names.items() if ours.get(key)}
    return make_conninfo("", connect_timeout=5, **given)
