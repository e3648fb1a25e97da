"""GET /healthz/live and /healthz/ready."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.monitoring import readiness
from backend.payments.models import Payment

FINE = {"database": "ok", "clock": "ok", "migrations": "ok", "keys": "ok", "work": "ok"}


def ask(**client):
    response = Client(**client).get("/healthz/ready")
    assert "no-store" in response["cache-control"]
    return response.status_code, response.json()


def forget():
    readiness.memory.until = 0.0


def broken(*args, **kwargs):
    raise OperationalError("connection to 10.0.0.5 failed, password=hunter2")


def test_all_is_well(db):
    assert ask() == (200, {"ready": True, "checks": FINE})


def test_strangers_may_ask_by_address_and_over_plain_http(db, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert ask(SERVER_NAME="10.0.0.7", REMOTE_ADDR="192.0.2.1")[0] == 200
    assert Client(SERVER_NAME="10.0.0.7").get("/healthz/live").content == b"ok"
    assert Client().post("/healthz/ready").status_code == 405
    assert Client().head("/healthz/ready").status_code == 200


def test_without_a_database_it_is_alive_and_not_ready(db, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", broken)
        assert ask() == (503, {"ready": False, "checks": {"database": "failed", "keys": "ok"}})
        assert Client().get("/healthz/live").status_code == 200
    forget()
    assert ask()[0] == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_change_is_as_good_as_none():
    """As a standby, which answers every question; each session of the shop begins so."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert ask() == (503, {"ready": False, "checks": {"database": "failed", "keys": "ok"}})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
    forget()
    assert ask()[0] == 200


def test_tables_that_are_behind_the_code(db, monkeypatch):
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="payments").latest("name").delete()
    assert ask() == (503, {"ready": False, "checks": FINE | {"migrations": "failed"}})


def test_migrations_are_looked_for_until_they_are_there(db):
    from django.db.migrations.recorder import MigrationRecorder

    ask()
    forget()
    with CaptureQueriesContext(connection) as queries:
        ask()
    assert not [query for query in queries if "django_migrations" in query["sql"]]
    assert MigrationRecorder.Migration.objects.exists()


def test_a_key_that_cannot_be_read(db, monkeypatch):
    def missing(name):
        raise ImproperlyConfigured("/secret/path/app.pem cannot be read")

    monkeypatch.setattr(readiness, "get_provider", missing)
    assert ask() == (503, {"ready": False, "checks": FINE | {"keys": "failed"}})


@pytest.mark.parametrize(("seconds", "state", "status"), [(61, "failed", 503), (-61, "failed", 503), (59, "ok", 200)])
def test_a_clock_that_is_not_the_databases(db, monkeypatch, seconds, state, status):
    now = readiness.time.time
    monkeypatch.setattr(readiness.time, "time", lambda: now() + seconds)
    assert ask() == (status, {"ready": status == 200, "checks": FINE | {"clock": state}})


def test_work_that_nobody_does_is_a_warning_and_no_refusal(payment):
    Payment.objects.update(next_query_at=timezone.now() - timedelta(seconds=590))
    assert ask() == (200, {"ready": True, "checks": FINE})
    forget()
    Payment.objects.update(next_query_at=timezone.now() - timedelta(seconds=610))
    assert ask() == (200, {"ready": True, "checks": FINE | {"work": "warning"}})


def test_one_finding_serves_everybody_for_a_second(db, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(readiness.time, "monotonic", lambda: now[0])
    ask()
    now[0] += 0.99
    with CaptureQueriesContext(connection) as none:
        for _ in range(5):
            ask()
    now[0] += 0.02
    with CaptureQueriesContext(connection) as some:
        ask()
    assert (len(none), len(some)) == (0, 5)


def test_while_one_waits_for_the_database_the_others_do_not(db, monkeypatch):
    ask()
    forget()
    looking, go_on, looks = threading.Event(), threading.Event(), []

    def slow():
        looks.append(1)
        looking.set()
        go_on.wait(10)
        return [readiness.Finding("database", "failed")]

    monkeypatch.setattr(readiness, "look", slow)
    waiting = threading.Thread(target=readiness.readiness)
    waiting.start()
    assert looking.wait(10)
    assert ask() == (200, {"ready": True, "checks": FINE})
    go_on.set()
    waiting.join(10)
    assert ask() == (503, {"ready": False, "checks": {"database": "failed"}})
    assert looks == [1]


def test_a_look_that_breaks_does_not_stop_the_next(db, monkeypatch):
    monkeypatch.setattr(readiness, "look", broken)
    assert Client(raise_request_exception=False).get("/healthz/ready").status_code == 500
    monkeypatch.undo()
    assert readiness.readiness()[0].state in ("ok", "failed")
    assert not readiness.memory.looking.locked()


def test_strangers_learn_names_alone(db, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", broken)
        assert b"hunter2" not in Client().get("/healthz/ready").content
    assert "hunter2" in readiness.memory.found[0].detail
