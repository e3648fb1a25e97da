"""Work in the background: sweeps over rows that are due, and chores.

The row is the truth: a due time on it says what there is to do. A sweep claims a batch by moving its due times one
lease ahead (skipping what others hold, and by compare-and-set, so that two workers never share a row), works outside
any transaction, and the work writes the next due time. A worker that dies loses nothing: its rows come due again when
the lease lapses. Every step may be repeated, by any number of workers at a time.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

logger = logging.getLogger("coursepay.jobs")

BATCH = 20


@dataclass(frozen=True, slots=True)
class Sweep:
    """Which rows are due, by which column, and what is done with each of them.

    ``prepare`` brings rows into being before a look; ``every`` is the pause between two looks in seconds.
    """

    name: str
    due: str
    rows: Callable[[datetime], QuerySet[Any]]
    work: Callable[[int], None]
    prepare: Callable[[], object] | None = None
    every: float = 1.0

    def run(self, workers: Executor | None = None) -> int:
        return run_due(self, workers=workers)


@dataclass(frozen=True, slots=True)
class Chore:
    """Work without rows of its own: harmless to repeat, at any time. ``work`` says how many rows it changed."""

    name: str
    work: Callable[[], int]
    every: float

    def run(self, workers: Executor | None = None) -> int:
        return self.work()


def lease_time() -> timedelta:
    """How long a claimed row is one worker's: longer than the provider calls of one row."""
    return timedelta(seconds=settings.JOB_LEASE_SECONDS)


def run_due(sweep: Sweep, *, batch: int = BATCH, workers: Executor | None = None) -> int:
    """Work through one batch of what is due now; how many rows. With ``workers``, several of them at a time."""
    if sweep.prepare is not None:
        sweep.prepare()
    until = timezone.now() + lease_time()
    claimed = claim(sweep, batch, until)
    if workers is None or len(claimed) < 2:
        for pk in claimed:
            work_on(sweep, pk, until)
    else:
        wait_for_all(workers.map(lambda pk: in_thread(sweep, pk, until), claimed))
    return len(claimed)


def work_on(sweep: Sweep, pk: int, until: datetime) -> None:
    """One row. One that fails is logged and comes due again; one whose lease ran out in the queue is another's now."""
    try:
        if is_still_ours(sweep, pk, until):
            sweep.work(pk)
    except Exception:
        logger.exception("sweep %s: row %s failed; it comes due again when its lease lapses", sweep.name, pk)


def in_thread(sweep: Sweep, pk: int, until: datetime) -> None:
    try:
        work_on(sweep, pk, until)
    finally:
        close_old_connections()


def wait_for_all(results: Iterable[object]) -> None:
    for _ in results:
        pass


def claim(sweep: Sweep, batch: int, until: datetime) -> list[int]:
    """Take rows for this worker alone, until the lease lapses."""
    with transaction.atomic():
        due = sweep.rows(timezone.now()).order_by(sweep.due).values_list("pk", sweep.due)
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True, no_key=True)
        return [pk for pk, seen in due[:batch] if lease(sweep, pk, seen, until)]


def lease(sweep: Sweep, pk: int, seen: datetime, until: datetime) -> bool:
    """Compare and set: whoever moves the due time that both saw has the row."""
    rows = sweep.rows(seen).filter(**{"pk": pk, sweep.due: seen})
    return rows.update(**{sweep.due: until}) == 1


def is_still_ours(sweep: Sweep, pk: int, until: datetime) -> bool:
    """Renew a lease that is half used up before the row's turn came; False where somebody else has it by now."""
    now = timezone.now()
    return now < until - lease_time() / 2 or lease(sweep, pk, until, now + lease_time())
