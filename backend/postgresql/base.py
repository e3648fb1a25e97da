"""The database backend that ``DATABASES`` names; Django looks for ``DatabaseWrapper`` in this module."""

import select
import time
from typing import Any, cast

from django.db.backends.postgresql import base
from psycopg import Connection
from psycopg_pool import ConnectionPool

TRUSTED_SECONDS = 5.0
"""How long after its last use a connection with nothing to read is taken as alive, as HikariCP's alive bypass window:
a busy shop would otherwise pay a round trip for every request to hear that nothing has happened."""


class DatabaseWrapper(base.DatabaseWrapper):
    @property
    def pool(self) -> Any:
        known: Any = cast("Any", super()).pool
        if known is not None and known._check is ConnectionPool.check_connection:  # noqa: SLF001
            known._check = check  # noqa: SLF001 - Django lets nobody choose it
        return known


def check(connection: Connection[Any]) -> None:
    """Whether a connection from the pool still leads to a server. Raises OperationalError when it does not.

    A server that ends a session says so, and a server that dies is said to be dead by its kernel: either makes the
    socket readable. What makes neither (a firewall that forgot the connection) is found by asking, after a pause.
    """
    now = time.monotonic()
    last_used = connection.__dict__.get("_last_used", 0.0)
    if now - last_used > TRUSTED_SECONDS or is_readable(connection.fileno()):
        ConnectionPool.check_connection(connection)
    connection.__dict__["_last_used"] = now


def is_readable(descriptor: int) -> bool:
    """Whether something waits there to be read: of a connection that nobody uses, its end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
