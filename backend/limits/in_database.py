"""Counts kept in the database: they hold across processes without another server."""

import time
from collections.abc import Sequence

from django.db import connection
from django.db.models import F

from backend.limits.models import Counter


def count(keys: Sequence[str], window_ms: int) -> list[tuple[int, int]]:
    """Count one try for each key; how many there were in its window, and how many milliseconds of that are left.

    One atomic statement, so tries sent at the same moment are all counted. It goes over the keys in one order, whoever
    asks: two that count the same keys do not wait for each other in a circle.
    """
    now = int(time.time() * 1000)
    table = connection.ops.quote_name(Counter._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (key, began_at, times)"  # noqa: S608
            f" VALUES {', '.join(['(%s, %s, 1)'] * len(keys))} ON CONFLICT (key) DO UPDATE SET"
            f" times = CASE WHEN {table}.began_at <= %s THEN 1 ELSE {table}.times + 1 END,"
            f" began_at = CASE WHEN {table}.began_at <= %s THEN %s ELSE {table}.began_at END"
            " RETURNING key, times, began_at",
            [*(value for key in sorted(keys) for value in (key, now)), now - window_ms, now - window_ms, now],
        )
        rows = {key: (times, began_at + window_ms - now) for key, times, began_at in cursor.fetchall()}
    return [rows[key] for key in keys]


def give_back(keys: Sequence[str]) -> None:
    """Count one try less for each key."""
    Counter.objects.filter(key__in=keys, times__gt=0).update(times=F("times") - 1)


def forget(keys: Sequence[str]) -> None:
    """Count from nothing again."""
    Counter.objects.filter(key__in=keys).delete()
