"""What the database must promise before money goes by it.

Answering ``success`` to Alipay is an act on the strength of a commit: it must survive a power cut (PostgreSQL manual,
Asynchronous Commit). And nothing may wait for ever: a notify that hangs holds a worker.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as CheckWarning
from django.db import connection

from backend.checks import WITH_DATABASE, Danger, judge

PATIENCE_SECONDS = 3
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
"""Each other than ``off``; remote_write and local still wait for this server's own disk."""
TIME_OUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
"""Each other than 0, which is none."""


@register(Tags.security)
def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found = list(sqlite_dangers())
    if settings.PRODUCTION and settings.SQLITE_FOR_REAL_MONEY:
        return [CheckWarning(what, hint=mend, id=f"coursepay.W{n}") for n, what, mend in found]
    return judge(found)


@register(Tags.security, deploy=True)
def check_sqlite_on_deploy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return judge(sqlite_dangers(), deploy=True)


def sqlite_dangers() -> Iterator[Danger]:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        mend = "Set DATABASE_URL=postgres://…, or SQLITE_FOR_REAL_MONEY=allow for a small shop on one machine."
        yield "007", "The database is SQLite: one machine and one writer at a time.", mend


@register(Tags.database, WITH_DATABASE)
def check_postgres(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    return judge(postgres_dangers()) if "default" in (databases or ()) else []


def postgres_dangers() -> Iterator[Danger]:
    """Asked by a session like the shop's, but not of its pool: whoever starts may fork afterwards."""
    said = ask() if connection.vendor == "postgresql" else {}
    if lax := [name for name in DURABLE if said.get(name) == "off"]:
        mend = f"Set in postgresql.conf: {', '.join(f'{name} = on' for name in lax)}."
        yield "022", f"PostgreSQL may forget what it has committed: {', '.join(lax)} is off.", mend
    if endless := [name for name in TIME_OUTS if said.get(name) == "0"]:
        mend = "Leave DATABASE_URL without options; through pgbouncer, set them with ALTER ROLE … SET."
        yield "023", f"PostgreSQL lets the shop wait for ever: {', '.join(endless)} is 0.", mend


def ask() -> dict[str, str]:
    """These settings by name, as a session of the shop has them; none when the database does not answer."""
    import psycopg  # where the database is SQLite nobody needs it

    params = connection.get_connection_params() | {"connect_timeout": PATIENCE_SECONDS}
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    try:
        with psycopg.connect(**params) as session:
            return dict(session.execute(query, [[*DURABLE, *TIME_OUTS]]).fetchall())
    except psycopg.OperationalError:
        return {}
