"""Protections that a negative control takes out of the shop: ``torture.prefork --sabotage`` finds them here."""

import time
from contextlib import contextmanager
from unittest.mock import patch

from django.db import connection

from backend.limits import in_redis
from backend.schema import order_queries
from tests.concurrency.sabotage import no_transaction

SLOW_SECONDS = 0.02
STALE_SECONDS = 0.5


@contextmanager
def transactions_on_a_slow_disk():
    """Each statement is committed by itself and takes its time: a death finds the notify half done."""

    def slowly(execute, sql, params, many, context):
        done = execute(sql, params, many, context)
        if not sql.startswith("SELECT"):
            time.sleep(SLOW_SECONDS)
        return done

    with no_transaction(), connection.execute_wrapper(slowly):
        yield


@contextmanager
def impatience_with_redis():
    """A request waits for Redis as long as it takes."""
    with patch.multiple(in_redis, PATIENCE_SECONDS=3600.0, _quiet_until=0.0):
        in_redis.client.cache_clear()
        yield


@contextmanager
def reads_that_are_fresh():
    """An order is shown as it was up to half a second ago, as a cache or a replica behind its primary would."""
    kept, read = {}, order_queries.found

    def as_it_was(asked, *, by_out_trade_no):
        until, seen = kept.get(asked, (0.0, None))
        if time.monotonic() >= until:
            seen = read(asked, by_out_trade_no=by_out_trade_no)
            kept[asked] = (time.monotonic() + STALE_SECONDS, seen)
        return seen

    with patch.object(order_queries, "found", as_it_was):
        yield
