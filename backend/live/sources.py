"""Where a stream process hears of changes: Redis, PostgreSQL, or a table that it reads itself."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from backend.live.hub import Hub
from backend.live.publishing import CHANNEL, postgres_dsn

logger = logging.getLogger("coursepay.live")

QUIET_SECONDS = 15.0
"""After so long without a message the line is tried: a dead one may look just like a quiet one."""
ANSWER_SECONDS = 5.0
TICK_SECONDS = 0.25
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0

Numbers = AsyncIterator[list[str]]
Source = Callable[[], AbstractAsyncContextManager[Numbers]]
"""Opens the line; inside, every change that is committed from now on comes."""
Tail = Callable[[int | None], Awaitable[tuple[int, list[str]]]]
"""The numbers of the orders with rows behind the given one, and the newest row; None asks for the newest alone."""


async def follow(source: Source, hub: Hub[Any]) -> None:
    """Hand every change to the hub, for ever. After each pause in hearing everything is read again."""
    pause = FIRST_PAUSE
    while True:
        try:
            async with source() as changes, aclosing(changes) as messages:  # type: ignore[type-var]
                hub.read_again()
                pause = FIRST_PAUSE
                async for numbers in messages:
                    hub.changed(numbers)
        except Exception as error:
            logger.warning("changes of orders are not heard: %s; again in %.1f s", type(error).__name__, pause)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, LONGEST_PAUSE)


def source_for(tail: Tail) -> Source:
    """As the settings say; ``tail`` reads the table where no server tells of changes."""
    if settings.REDIS_URL:
        return redis_source
    if connection.vendor == "postgresql":
        return postgres_source
    return lambda: table_source(tail)


@asynccontextmanager
async def redis_source() -> AsyncIterator[Numbers]:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    client: Any = Redis.from_url(settings.REDIS_URL, socket_connect_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0))
    async with client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        async with asyncio.timeout(ANSWER_SECONDS):
            while (await subscription.get_message(timeout=ANSWER_SECONDS) or {}).get("type") != "subscribe":
                pass
        yield redis_messages(subscription)


async def redis_messages(subscription: Any) -> Numbers:
    is_asked = False
    while True:
        message = await subscription.get_message(timeout=ANSWER_SECONDS if is_asked else QUIET_SECONDS)
        if message is None:
            if is_asked:
                raise ConnectionError("Redis does not answer")
            await subscription.ping()
        elif message["type"] == "message":
            yield message["data"].decode("ascii").split()
        is_asked = message is None


@asynccontextmanager
async def postgres_source() -> AsyncIterator[Numbers]:
    async with await psycopg.AsyncConnection.connect(postgres_dsn(), autocommit=True) as line:
        await line.execute(f"LISTEN {CHANNEL}")
        yield postgres_messages(line)


async def postgres_messages(line: "psycopg.AsyncConnection[Any]") -> Numbers:
    while True:
        # Psycopg itself would look ten times a second, which costs more than a hundred waiting clients do.
        is_there = await becomes_readable(line.fileno(), QUIET_SECONDS)
        if not is_there:
            async with asyncio.timeout(ANSWER_SECONDS):
                await line.execute("SELECT 1")
        # Without a wait only what came beside that answer.
        wait = ANSWER_SECONDS if is_there else 0
        async with aclosing(line.notifies(timeout=wait, stop_after=1)) as notices:
            async for notice in notices:
                yield notice.payload.split()


async def becomes_readable(descriptor: int, seconds: float) -> bool:
    """Whether something is to be read there within so many seconds."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(seconds):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


@asynccontextmanager
async def table_source(tail: Tail) -> AsyncIterator[Numbers]:
    newest, _ = await tail(None)
    yield table_changes(tail, newest)


async def table_changes(tail: Tail, newest: int) -> Numbers:
    """One read per tick, however many wait. Rows of SQLite are committed in the order of their keys."""
    while True:
        newest, numbers = await tail(newest)
        if numbers:
            yield numbers
        await asyncio.sleep(TICK_SECONDS)
