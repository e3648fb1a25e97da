"""A connection from the pool is asked whether it lives only when there is a reason to doubt it."""

import psycopg
import pytest
from django.db import connection

from backend.postgresql import base

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def line():
    """A connection of its own, as the pool hands one out."""
    with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as connected:
        yield connected


@pytest.fixture
def asked(monkeypatch):
    seen = []
    ask = base.ConnectionPool.check_connection
    monkeypatch.setattr(base.ConnectionPool, "check_connection", lambda line: seen.append(line) or ask(line))
    return seen


def test_the_pool_checks_with_ours():
    assert connection.pool._check is base.check


def test_one_in_use_a_moment_ago_is_not_asked(line, asked):
    for _ in range(3):
        base.check(line)
    assert asked == [line]


def test_one_that_rested_is_asked(line, asked, monkeypatch):
    base.check(line)
    monkeypatch.setattr(base, "TRUSTED_SECONDS", 0)
    base.check(line)
    assert asked == [line, line]


def test_one_whose_server_went_away_is_found_out_at_once(line, asked):
    base.check(line)
    pid = line.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(psycopg.OperationalError):
        base.check(line)
    assert len(asked) == 2
