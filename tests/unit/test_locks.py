"""Locks are taken in one order, and before anything is read that they protect."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.orders.placement import check_basket
from backend.payments import locks
from backend.payments.checkout import cancel_order, check_out, pay_order
from backend.payments.models import Refund
from backend.payments.refunding import take_turn
from tests.api.helpers import pay

pytestmark = pytest.mark.django_db


@pytest.fixture
def tables():
    """Which table each statement of some work reads or writes first, in order."""

    def of(work):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            work()
        found = (re.search(r'(?:FROM|INTO|UPDATE) "(\w+)"', query["sql"]) for query in captured)
        return [match[1].partition("_")[2] for match in found if match]

    return of


def test_a_purchase_begins_with_the_buyers_lock(tables, user, courses):
    basket = check_basket(
        course_ids=[str(courses[0].pk)], total_fen=11700, subject=None, pay_type="ALIPAY", idempotency_key="k"
    )
    touched = tables(lambda: check_out(user_id=user.pk, basket=basket))
    assert touched[0] == "user"
    assert "order" in touched


def test_a_second_url_begins_with_the_buyers_lock_and_then_the_orders(tables, user, order):
    assert tables(lambda: pay_order(user_id=user.pk, number=order.number))[:2] == ["user", "order"]


def test_a_cancel_locks_the_order_before_its_payments(tables, user, order):
    assert tables(lambda: cancel_order(user_id=user.pk, number=order.number))[:2] == ["order", "payment"]


def test_a_refund_is_locked_after_its_payment_and_that_after_its_order(tables, order, payment):
    pay(payment)
    refund = Refund.objects.create(
        order=order, payment=payment, out_request_no="n", amount_fen=1, cause="STAFF", reason="x",
        created_at=payment.paid_at, next_try_at=payment.paid_at,
    )  # fmt: skip
    # The first only finds out which order it is; it is read again under its lock.
    assert tables(lambda: take_turn(refund.pk))[:4] == ["refund", "order", "payment", "refund"]


@pytest.mark.parametrize("rows", [locks._BUYER, locks._PAYMENT])
def test_what_is_read_for_a_change_is_locked_in_the_reading(rows):
    """PostgreSQL waits for another's change there; SQLite has taken the whole database before."""
    query = rows.build().query
    assert (query.select_for_update, query.select_for_no_key_update) == (True, True)


def test_the_lock_of_a_payment_is_its_orders_as_well():
    assert set(locks._PAYMENT.build().query.select_for_update_of) == {"order", "self"}
