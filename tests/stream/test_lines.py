"""Lines by which a stream process hears of changes break, are quiet, and come back."""

import asyncio
import threading
from contextlib import aclosing
from functools import partial

import psycopg
import pytest
from django.db import transaction

from backend.live import sources
from backend.live.publishing import CHANNEL, postgres_dsn
from backend.orders.lifecycle import mark_timed_out, record
from tests.stream.listener import PATIENCE, publisher_idle
from tests.stream.test_wire import cancel


def test_a_change_while_redis_is_away_is_seen_when_it_is_back(redis, heard, listener, buyer, order):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    redis.kill()
    cancel(buyer, order)
    publisher_idle()
    assert stream.chunks.empty()
    redis.start()
    assert stream.status_now() == "CANCELLED"
    assert len(heard) == 2


@pytest.mark.postgres
def test_a_change_while_the_listener_is_cut_off_is_seen_on_its_return(heard, monkeypatch, listener, buyer, order):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    back = threading.Event()
    with psycopg.connect(postgres_dsn(), autocommit=True) as other:
        monkeypatch.setattr(sources, "postgres_dsn", lambda: (back.wait(PATIENCE), postgres_dsn())[1])
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert other.execute(cut).fetchall() == [(True,)]
    record(order, "payment.closed", at=order.created_at)
    # The loop of the streams stands still until the change is committed and told to nobody.
    with transaction.atomic():
        mark_timed_out(order, now=order.created_at)
    publisher_idle()
    back.set()
    while (status := stream.status_now()) == "UNPAID":
        pass
    assert status == "TIMED_OUT"
    assert len(heard) == 2


@pytest.mark.postgres
def test_what_comes_beside_the_answer_of_a_quiet_line_is_heard(monkeypatch):
    """Psycopg keeps it: nothing is left to be read, and nobody would look before the next message."""
    monkeypatch.setattr(sources, "QUIET_SECONDS", 0.01)

    async def heard():
        async with sources.postgres_source() as changes, aclosing(changes) as messages:
            line = messages.ag_frame.f_locals["line"]
            monkeypatch.setattr(line, "execute", partial(tell_once, line.execute))
            async with asyncio.timeout(PATIENCE):
                return await anext(messages)

    told = []

    async def tell_once(execute, statement):
        await execute(statement if told else f"SELECT pg_notify('{CHANNEL}', '42')")
        told.append(statement)

    assert asyncio.run(heard()) == ["42"]
    assert told == ["SELECT 1"]
