"""With many rows in the tables, what is asked all day finds its rows by an index. See bench/plans.py."""

import pytest
from django.conf import settings
from django.db import connection, transaction

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.postgres,
    pytest.mark.skipif(not settings.ON_POSTGRES, reason="PostgreSQL says how it finds rows; SQLite is for small shops"),
]

ORDERS = 5000
LARGE = 900
"""Rows of a table that nobody should have to read whole: all but courses, refunds and a month's events."""


@pytest.fixture(scope="module")
def found(django_db_setup, django_db_blocker):
    """All plans, and those of the payments' sweep without its index."""
    from bench import books
    from bench.plans import all_plans, plans_of, questions

    with django_db_blocker.unblock(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL random_page_cost = 1.1")  # so few rows lie in memory
            books.fill(cursor, ORDERS)
            plans = all_plans(LARGE)
            cursor.execute("DROP INDEX payment_due_query")
        without = plans_of(questions()["sweep: payments, claim"], LARGE)
        transaction.set_rollback(True)
    return plans, without


@pytest.fixture
def plans(found):
    return found[0]


def scans(plans, begins):
    """By question: the tables that a plan reads from end to end."""
    asked = {name: found for name, found in plans.items() if name.startswith(begins)}
    assert len(asked) > 1 or begins == "readiness"
    assert all(found for found in asked.values())
    read = {name: [plan.scans for plan in found] for name, found in asked.items()}
    return {name: lists for name, lists in read.items() if any(lists)}


def test_every_sweep_finds_its_rows_by_an_index(plans):
    assert {name for name in plans if name.startswith("sweep")} >= {
        f"sweep: {name}, claim" for name in ("payments", "refunds", "deliveries", "bills")
    }
    assert scans(plans, "sweep") == {}


def test_every_chore_finds_its_rows_by_an_index(plans):
    assert scans(plans, "chore") == {}


def test_an_orders_status_is_found_by_an_index(plans):
    assert scans(plans, "status") == {}


def test_placing_and_paying_find_their_rows_by_an_index(plans):
    assert scans(plans, "money") == {}


def test_the_buyers_lists_are_read_by_an_index(plans):
    assert scans(plans, "list") == {}


def test_the_admins_lists_are_read_by_an_index_as_they_open_by_day_and_in_every_search(plans):
    """But for the names of the thousand buyers that there are, where a search finds up to a thousand rows."""
    assert {"admin: orders.Order, by number", "admin: orders.Order, by day of created_at"} <= set(plans)
    found = {name: [table for tables in lists for table in tables] for name, lists in scans(plans, "admin").items()}
    assert {(name, table) for name, tables in found.items() for table in tables} <= {
        (name, "accounts_user") for name in found if ", by " in name
    }


def test_readiness_looks_at_no_more_than_it_must(plans):
    assert scans(plans, "readiness") == {}


def test_a_missing_index_is_seen(found):
    assert [plan.scans for plan in found[1]] == [["payments_payment"]]
