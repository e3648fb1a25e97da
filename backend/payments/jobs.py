"""Work in the background: sweeps over rows that are due.

The row is the truth: ``next_query_at`` and ``next_try_at`` say what is due. A sweep claims a batch by moving its due
times one lease ahead (skipping what others hold, and by compare-and-set, so that two sweepers never share a row), works
outside any transaction, and the work writes the next due time. A worker that dies loses nothing: its rows come due
again when the lease lapses. Every step may be repeated.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.payments.discrepancies import close_resolved
from backend.payments.models import Payment, Refund
from backend.payments.refunding import try_refund
from backend.payments.watch import look_after

logger = logging.getLogger("coursepay.jobs")

BATCH = 20
LEASE = timedelta(seconds=90)
"""Longer than the provider calls of one row: a query, a close and a query again, of ten seconds at most each."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Which rows are due, by which column, and what is done with each of them."""

    name: str
    due: str
    rows: Callable[[datetime], QuerySet[Any]]
    work: Callable[[int], None]


SWEEPS = (
    Sweep("payments", "next_query_at", lambda now: Payment.objects.filter(next_query_at__lte=now), look_after),
    Sweep("refunds", "next_try_at", lambda now: Refund.objects.due(now), try_refund),
)


def run_due(sweep: Sweep, *, batch: int = BATCH) -> int:
    """Work through one batch of what is due now; how many rows. A row that fails is logged and comes due again."""
    claimed = claim(sweep, batch)
    for pk in claimed:
        try:
            sweep.work(pk)
        except Exception:
            logger.exception("sweep %s: row %s failed; it comes due again when its lease lapses", sweep.name, pk)
    return len(claimed)


def claim(sweep: Sweep, batch: int) -> list[int]:
    """Take rows for this worker alone, until the lease lapses."""
    now = timezone.now()
    with transaction.atomic():
        due = sweep.rows(now).order_by(sweep.due).values_list("pk", sweep.due)
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True, no_key=True)
        return [pk for pk, seen in due[:batch] if lease(sweep, pk, seen, now + LEASE)]


def lease(sweep: Sweep, pk: int, seen: datetime, until: datetime) -> bool:
    """Compare and set: whoever moves the due time that both saw has the row."""
    rows = sweep.rows(seen).filter(**{"pk": pk, sweep.due: seen})
    return rows.update(**{sweep.due: until}) == 1


def run_everything_due() -> int:
    """Every sweep over everything that is due now, until nothing is; how many rows."""
    total = close_resolved()
    while done := sum(run_due(sweep) for sweep in SWEEPS):
        total += done
    return total
