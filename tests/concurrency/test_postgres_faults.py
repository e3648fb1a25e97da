"""PostgreSQL hangs up, or gives a transaction back. Nobody may be told `success` for what is not committed."""

from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connection
from django.test import Client

from backend.payments.models import Notification
from tests.concurrency import child
from tests.concurrency.books import assert_paid_once, wrongs
from tests.concurrency.processes import Part
from tests.shop import CREATE_ORDER, post_notify

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

DEADLOCK, SERIALIZATION, DISK_FULL = "40P01", "40001", "53100"


@contextmanager
def server_error(sqlstate, *, times, at):
    """Let PostgreSQL itself fail the statements that begin with `at`, or store such rows with others, so many times."""
    hits = []

    def fail(execute, sql, params, many, context):
        if sql.startswith((at, "WITH ")) and at in sql and len(hits) < times:
            hits.append(sql)
            return execute(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$", None, False, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        yield hits


STATEMENTS = [
    'SELECT "payments_payment"',
    'UPDATE "payments_payment"',
    'INSERT INTO "courses_enrollment"',
    'INSERT INTO "orders_orderevent"',
    'UPDATE "payments_notification"',
]


@pytest.mark.parametrize("at", STATEMENTS)
@pytest.mark.parametrize("sqlstate", [DEADLOCK, SERIALIZATION])
def test_a_transaction_that_postgresql_gave_back_is_run_again(order, payment, alipay, sqlstate, at):
    with server_error(sqlstate, times=2, at=at) as hits:
        answer = post_notify(alipay.paid_notify(payment))
    assert len(hits) == 2
    assert (answer.status_code, answer.content) == (200, b"success")
    assert_paid_once(order)


@pytest.mark.parametrize("sqlstate", [DEADLOCK, SERIALIZATION])
def test_after_three_tries_it_is_no_success_and_nothing_has_changed(order, payment, alipay, sqlstate):
    body = alipay.paid_notify(payment)
    with server_error(sqlstate, times=3, at='UPDATE "payments_payment"') as hits:
        answer = post_notify(body, Client(raise_request_exception=False))
    assert len(hits) == 3
    assert answer.status_code == 500
    assert b"success" not in answer.content
    assert sqlstate.encode() not in answer.content
    order.refresh_from_db()
    assert (order.status, wrongs(order)) == ("UNPAID", [])
    # The message itself was committed first, and waits.
    assert Notification.objects.get().verdict == "RECEIVED"

    assert post_notify(body).content == b"success"
    assert_paid_once(order)


def test_an_error_that_no_repeat_can_mend_is_not_repeated(order, payment, alipay):
    with server_error(DISK_FULL, times=3, at='UPDATE "orders_order"') as hits:
        answer = post_notify(alipay.paid_notify(payment), Client(raise_request_exception=False))
    assert len(hits) == 1
    assert answer.status_code == 500
    order.refresh_from_db()
    assert (order.status, wrongs(order)) == ("UNPAID", [])


@pytest.mark.parametrize("sqlstate", [DEADLOCK, SERIALIZATION])
def test_create_order_is_run_again_too(buyer, courses, sqlstate):
    with server_error(sqlstate, times=2, at='INSERT INTO "orders_orderline"') as hits:
        answer = buyer.create_order(courses[:2], idempotencyKey="k")
    assert len(hits) == 2
    assert answer["__typename"] == "CreateOrderSuccess"
    assert answer["replayed"] is False
    assert wrongs(buyer.user.orders.get()) == []


def test_a_failure_of_create_order_says_nothing_of_the_database(buyer, courses):
    given = {"courseIds": [str(courses[0].pk)], "totalAmount": "117.00"}
    with server_error(DISK_FULL, times=1, at='INSERT INTO "orders_order"'):
        answer = buyer.post(CREATE_ORDER, input=given)
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert not [word for word in ("SQL", "orders_order", "psycopg", "53100", "disk") if word in answer.content.decode()]
    assert buyer.user.orders.count() == 0


def test_a_connection_lost_between_requests_costs_no_request(order, payment, alipay):
    bodies = [alipay.paid_notify(payment, notify_time=f"2026-11-22 14:48:0{n}") for n in range(3)]
    answers = Part(partial(child.notifies_with_the_line_cut_between, bodies)).answer()
    assert answers == [(200, "success")] * 3
    assert_paid_once(order)


def test_control_without_health_checks_it_costs_one(order, payment, alipay):
    bodies = [alipay.paid_notify(payment, notify_time=f"2026-11-22 14:48:0{n}") for n in range(2)]
    answers = Part(partial(child.notifies_with_the_line_cut_between, bodies, health_checks=False)).answer()
    assert [status for status, _ in answers] == [200, 500]


@pytest.mark.parametrize("at", STATEMENTS)
def test_a_connection_lost_in_the_transaction_is_no_success_and_the_copy_is(order, payment, alipay, at):
    body = alipay.paid_notify(payment)
    status, text = Part(partial(child.notify_with_the_line_cut_at, body, at)).answer()
    assert (status, "success" in text, "administrator" in text) == (500, False, False)
    order.refresh_from_db()
    assert (order.status, wrongs(order)) == ("UNPAID", [])

    assert Part(partial(child.notify, body)).answer() == (200, "success")
    assert_paid_once(order)
