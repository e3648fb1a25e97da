"""Whether this process can serve: what is asked of it before requests are sent to it.

Only what makes this very process useless is a no: the database, its tables, the keys, the clock. Work that nobody does
is a warning: to take web processes away would not get it done.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from backend.monitoring.work import oldest_due
from backend.payments.registry import get_provider

FRESH_SECONDS = 1.0
"""So long one finding serves everybody who asks."""
CLOCK_MAY_BE_OFF = 60.0
"""Seconds between the database's clock and ours: expiry and signatures go by them."""
WORK_IS_LATE_AFTER = 600.0
"""Seconds that due work may wait: the jobs look every second, a lease is a minute and a half."""

DATABASE_TIME = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp()), current_setting('transaction_read_only') = 'on'",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400, 0",
}
"""The database's clock, and whether it takes no change: a standby answers every question and can place no order."""
State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``detail`` and ``mend`` are for the operator alone."""

    name: str
    state: State
    detail: str = ""
    mend: str = ""


class Memory:
    """The last finding, and when it was made. One thread looks; the others are told what is known meanwhile."""

    def __init__(self) -> None:
        self.found: list[Finding] = [Finding("database", "failed", "not asked yet")]
        self.until = 0.0
        self.looking = threading.Lock()
        self.migrated = False


memory = Memory()


def readiness() -> list[Finding]:
    """Every check, at most a second old; older only while another thread waits for a database that does not answer."""
    if time.monotonic() >= memory.until and memory.looking.acquire(blocking=False):
        try:
            memory.found = look()
            memory.until = time.monotonic() + FRESH_SECONDS
        finally:
            memory.looking.release()
    return memory.found


def look() -> list[Finding]:
    """Every check, now. Without a database the others that need it are not tried."""
    database, clock = check_database()
    if database.state == "failed":
        return [database, check_keys()]
    return [database, clock, guarded("migrations", check_migrations), check_keys(), guarded("work", check_work)]


def check_database() -> tuple[Finding, Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(DATABASE_TIME[connection.vendor])
            theirs, is_read_only = cursor.fetchone()
    except Exception as error:
        mend = "Start the database, or mend DATABASE_URL."
        return Finding("database", "failed", f"{type(error).__name__}: {error}".strip(), mend), Finding(
            "clock", "failed"
        )
    off = abs(time.time() - float(theirs))
    clock = Finding("clock", "ok", f"{off:.1f} s from the database's")
    if off > CLOCK_MAY_BE_OFF:
        clock = Finding("clock", "failed", f"{off:.0f} s from the database's", "Set both machines' clocks by NTP.")
    if is_read_only:
        mend = "Name the primary in DATABASE_URL; on it, default_transaction_read_only must be off."
        return Finding("database", "failed", "read-only, as a standby is", mend), clock
    return Finding("database", "ok", connection.vendor), clock


def check_migrations() -> Finding:
    """Asked until it was a yes once: this process's own tables do not go away again."""
    if not memory.migrated:
        executor = MigrationExecutor(connection)
        if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return Finding("migrations", "failed", f"{len(plan)} to apply", "Run: .venv/bin/python manage.py migrate")
        memory.migrated = True
    return Finding("migrations", "ok", "all applied")


def check_keys() -> Finding:
    try:
        for name in settings.PAYMENT_PROVIDERS:
            get_provider(name)
    except ImproperlyConfigured as error:
        return Finding("keys", "failed", str(error), "Mend the key files; `manage.py check` says the same.")
    return Finding("keys", "ok", ", ".join(settings.PAYMENT_PROVIDERS))


def check_work() -> Finding:
    ages = oldest_due()
    name, age = max(ages.items(), key=lambda item: item[1])
    if age > WORK_IS_LATE_AFTER:
        mend = "Look whether run_jobs or the Celery workers run, and at what they log."
        return Finding("work", "warning", f"{name}: a row is due for {age:.0f} s", mend)
    return Finding("work", "ok", f"oldest due row: {age:.0f} s")


def guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """A check that fails itself says so; the tables that it reads may not be there yet."""
    try:
        return check()
    except Exception as error:
        return Finding(
            name, "failed" if name == "migrations" else "warning", f"{type(error).__name__}: {error}".strip()
        )
