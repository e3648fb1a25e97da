"""A statement that psycopg has prepared, sent to the server past psycopg's cursor.

The cursor makes itself, a copy of the adapters, a query object and a generator that waits with several looks at the
socket: of a statement that the server answers at once, that is most of what it costs. libpq's own call (PQexecPrepared,
PostgreSQL manual, 34.3) sends and waits in C, without Python's lock. Values are dumped and loaded by psycopg, and which
statements are prepared psycopg's PrepareManager says, which a ROLLBACK empties: what it does not know goes to the
cursor, and comes here the next time.

A thread that waits here hears no signal until the server has answered: at most as long as ``statement_timeout``, and
where there is no server any more, until the kernel gives the connection up.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from psycopg import Connection, OperationalError
from psycopg._preparing import Prepare
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

NOT_SUPPORTED = b"0A000"
GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_PLACE = re.compile(r"%[s%]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is asked of a cursor when its statement has run."""

    rows: Sequence[Any]
    rowcount: int

    def fetchall(self) -> Sequence[Any]:
        return self.rows

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None


class Statement(NamedTuple):
    """What psycopg's PrepareManager knows a statement by: the text with ``$1`` for ``%s``, and its values' types."""

    query: bytes
    types: tuple[int, ...]


def run_prepared(connection: Connection[Any], sql: str, values: Sequence[Any], *, binary: bool) -> Answer | None:
    """Run a statement; None, and nothing is done, where it is not prepared.

    Raises what psycopg's cursor raises; but of a connection that was lost an OperationalError without the server's last
    words, which libpq takes for a notice.
    """
    known = adaptation_of(connection, sql, binary=binary)
    parameters: Any = known.transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
    statement = cast("Any", Statement(known.query, known.transformer.types or ()))
    prepared, name = connection._prepared.get(statement)  # noqa: SLF001
    if prepared is not Prepare.YES:
        return None
    connection._prepared.maybe_add_to_cache(statement, prepared, name)  # noqa: SLF001 - others are forgotten first
    begin(connection)
    server, formats = connection.pgconn, known.transformer.formats
    result = server.exec_prepared(name, parameters, formats, known.answers_in)
    if is_outdated(result):
        connection._prepared.clear()  # noqa: SLF001 - psycopg does so only at a ROLLBACK
        if server.transaction_status == TransactionStatus.IDLE:
            return None
    checked(server, result)
    return Answer(known.rows(result, name), result.command_tuples or 0)


class Adaptation:
    """How values go to one statement and come back from it, over one connection: what psycopg finds out anew for every
    cursor, though a prepared statement's columns stay the same."""

    __slots__ = ("answers_in", "knows_columns_of", "query", "transformer")

    def __init__(self, connection: Connection[Any], sql: str, answers_in: Format) -> None:
        self.query, self.answers_in = text_of(sql), answers_in
        self.transformer = Transformer(connection)
        self.knows_columns_of = b""

    def rows(self, result: PGresult, name: bytes) -> list[tuple[Any, ...]]:
        """The answer of the statement that was prepared by this name: under another the columns may have other types,
        after a migration. PostgreSQL lets a prepared statement's never change, and psycopg uses no name twice."""
        self.transformer.set_pgresult(result, set_loaders=self.knows_columns_of != name)
        self.knows_columns_of = name
        rows: list[tuple[Any, ...]] = self.transformer.load_rows(0, result.ntuples, tuple)
        self.transformer.set_pgresult(None, set_loaders=False)  # else the answer is kept until the next one
        return rows


def adaptation_of(connection: Connection[Any], sql: str, *, binary: bool) -> Adaptation:
    """The connection's own, made once; it ends with the connection."""
    known: dict[tuple[str, bool], Adaptation] = connection.__dict__.setdefault("_adaptations", {})
    try:
        return known[sql, binary]
    except KeyError:
        made = known[sql, binary] = Adaptation(connection, sql, Format.BINARY if binary else Format.TEXT)
        return made


@lru_cache(maxsize=1024)
def text_of(sql: str) -> bytes:
    """The text as the server takes it, with numbered places for values."""
    places = iter(range(1, len(sql)))
    return _PLACE.sub(lambda found: "%" if found[0] == "%%" else f"${next(places)}", sql).encode()


def begin(connection: Connection[Any]) -> None:
    """Open the transaction, where psycopg would before its first statement."""
    server = connection.pgconn
    if not connection.autocommit and server.transaction_status == TransactionStatus.IDLE:
        checked(server, server.exec_(connection._get_tx_start_command()))  # noqa: SLF001


def is_outdated(result: PGresult) -> bool:
    """Whether the tables are no longer those that it was prepared for: "cached plan must not change result type"."""
    return result.status == ExecStatus.FATAL_ERROR and result.error_field(DiagnosticField.SQLSTATE) == NOT_SUPPORTED


def checked(server: PGconn, result: PGresult) -> PGresult:
    """The answer, if it is none of an error. Raises psycopg's errors; OperationalError where the connection is lost."""
    if result.status in GOOD:
        return result
    if server.status != ConnStatus.OK:
        raise OperationalError(result.get_error_message())
    raise error_from_result(result)
