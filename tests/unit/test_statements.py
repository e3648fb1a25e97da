"""A prepared statement that goes past psycopg's cursor does all that the cursor would."""

from datetime import UTC, datetime
from threading import Thread

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, OperationalError, connection, transaction

from backend.accounts.models import User
from backend.courses.models import Course
from backend.postgresql.statements import run_prepared, text_of
from backend.prepared import Argument, Prepared, execute
from backend.stored import insert_all, update

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]
USES = 4
"""So many times a statement runs until psycopg has surely prepared it."""
VALUES = "SELECT %s::text, %s::bigint, %s::timestamptz, %s::boolean, %s::date, '100%%'"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def run(sql, *values, binary=True):
    connection.ensure_connection()
    return run_prepared(connection.connection, sql, values, binary=binary)


def prepared(sql, *values):
    for _ in range(USES):
        execute(sql, values)


def renamed(course):
    return update(Course, {"name": "Renamed"}, pk=course.pk)


def test_it_is_for_what_psycopg_has_prepared():
    assert run("SELECT 1 + %s::bigint", 1) is None
    prepared("SELECT 1 + %s::bigint", 1)
    assert run("SELECT 1 + %s::bigint", 2).fetchone() == (3,)
    assert run("SELECT 1 + %s::bigint", "a text has another type") is None


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("values", [("课程", 7, NOW, True, NOW.date()), ("", -1, NOW, False, None), (None,) * 5])
def test_the_rows_are_those_of_the_cursor(values, binary):
    connection.ensure_connection()
    for _ in range(USES):
        cursor = connection.connection.cursor(binary=binary)
        cursor.execute(VALUES, values)
    answer = run(VALUES, *values, binary=binary)
    found = cursor.fetchall()
    assert answer.fetchall() == found
    assert (answer.fetchone(), answer.rowcount) == (found[0], cursor.rowcount)
    assert [type(value) for value in answer.fetchone()] == [type(value) for value in found[0]]


def test_no_row_is_none():
    prepared("SELECT 1 WHERE %s::boolean", False)
    answer = run("SELECT 1 WHERE %s::boolean", False)
    assert (answer.fetchall(), answer.fetchone(), answer.rowcount) == ([], None, 0)


def test_places_for_values_are_numbered():
    assert text_of("a = %s AND b LIKE '%%' AND c = %s") == b"a = $1 AND b LIKE '%' AND c = $2"


def test_what_was_changed_is_counted(courses):
    changed = [renamed(course) for course in courses for _ in range(USES)]
    assert changed == [1] * len(changed)
    assert update(Course, {"name": "Renamed"}, pk=0) == 0


@pytest.mark.django_db(transaction=True)
def test_it_opens_the_transaction_that_it_is_in(courses):
    for _ in range(USES):
        renamed(courses[0])
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        assert update(Course, {"name": "Not kept"}, pk=courses[0].pk) == 1
        raise RuntimeError
    assert Course.objects.get(pk=courses[0].pk).name == "Renamed"


@pytest.mark.django_db(transaction=True)
def test_what_a_rollback_forgot_is_prepared_anew(courses):
    find = Prepared(lambda: Course.objects.filter(pk=Argument("pk")))

    def found():
        return [find.first(pk=courses[0].pk) for _ in range(USES)]

    found()
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        Course.objects.update(name="Not kept")
        raise RuntimeError
    assert found() == [courses[0]] * USES
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            raise RuntimeError
        assert found() == [courses[0]] * USES


def test_what_a_constraint_refuses_is_an_integrity_error(user):
    twin = User(username=user.username, password="", token_epoch="x")
    for number in range(USES):
        insert_all([User(username=f"another-{number}", password="", token_epoch="x")])
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        insert_all([twin])
    assert refused.value.__cause__.sqlstate == "23505"
    assert "username" in refused.value.__cause__.diag.constraint_name
    assert User.objects.filter(username=user.username).count() == 1


@pytest.fixture
def widening():
    """A table with a column that another session makes wider, as a migration does while the shop runs."""
    other = psycopg.connect(**connection.get_connection_params() | {"autocommit": True})
    other.execute("CREATE TABLE widening AS SELECT 9900 AS fen")
    yield lambda: other.execute("ALTER TABLE widening ALTER fen TYPE bigint")
    connection.close()
    other.execute("DROP TABLE widening")
    other.close()


@pytest.mark.django_db(transaction=True)
def test_a_column_that_a_migration_makes_wider_is_read_as_it_is_now(widening):
    fen = "SELECT fen FROM widening WHERE fen > %s::bigint"
    prepared(fen, 0)
    assert run(fen, 0).fetchone() == (9900,)
    widening()
    for _ in range(USES):
        assert execute(fen, [0]).fetchone() == (9900,)
    assert run(fen, 0).fetchone() == (9900,)


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_a_transaction_meets_undoes_it_and_no_more(widening):
    fen = "SELECT fen FROM widening WHERE fen > %s::bigint"
    prepared(fen, 0)
    widening()
    with pytest.raises(NotSupportedError, match="must not change result type"), transaction.atomic():
        execute(fen, [0])
    for _ in range(USES):
        assert execute(fen, [0]).fetchone() == (9900,)


@pytest.mark.django_db(transaction=True)
def test_a_session_that_was_ended_is_an_operational_error():
    prepared("SELECT %s::bigint", 1)
    with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
    for _ in range(2):  # the server's farewell; then nobody at all
        with pytest.raises(OperationalError):
            execute("SELECT %s::bigint", [1])
    connection.close()
    assert execute("SELECT %s::bigint", [1]).fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_waits_lets_the_others_work():
    """If it held Python's lock, nobody could give it what it waits for."""
    lock, unlock = "SELECT pg_advisory_lock(%s::bigint)", "SELECT pg_advisory_unlock(%s::bigint)"
    outcomes = []

    def wait():
        try:
            prepared(lock, 2)
            outcomes.append(run(lock, 1).rowcount)
        except OperationalError as error:
            outcomes.append(error)
        finally:
            connection.close()

    prepared(lock, 1)
    waiting = Thread(target=wait)
    waiting.start()
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"
    while execute(waits, []).fetchone() == (0,) and waiting.is_alive():
        pass
    prepared(unlock, 1)
    waiting.join(30)
    assert outcomes == [1]


def test_a_server_that_vanished_is_given_up():
    connection.ensure_connection()
    given = connection.connection.info.get_parameters()
    assert given["tcp_user_timeout"] == "30000"
    assert int(given["keepalives_idle"]) + int(given["keepalives_interval"]) * int(given["keepalives_count"]) == 30
