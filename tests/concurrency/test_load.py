"""Many at the till at once. SQLite has one writer: whoever comes meanwhile waits, and hears of no lock."""

from functools import partial

import pytest

from backend.accounts.models import User
from backend.courses.models import Course
from backend.money import format_yuan
from backend.orders.models import Order, OrderStatus
from backend.payments.models import Payment
from tests.concurrency import child, sabotage
from tests.concurrency.books import wrongs
from tests.concurrency.processes import CONTEXT, race
from tests.shop import Shopper

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES = 6
ROUNDS = 8


def test_six_processes_order_and_are_notified_without_one_lock_error(alipay):
    """On SQLite it is what BEGIN IMMEDIATE and the busy time-out are for."""
    courses = [Course.objects.create(name=f"c{n}", price_fen=100) for n in range(2 * ROUNDS)]
    works, bodies = [], []
    for number in range(PROCESSES):
        buyer = Shopper.signed_in(User.objects.create_user(f"buyer{number}"))
        for course in courses[ROUNDS:]:
            made = buyer.create_order([course])
            bodies.append(alipay.paid_notify(Payment.objects.get(out_trade_no=made["order"]["outTradeNo"])))
        theirs = bodies[-ROUNDS:]
        works.append(partial(child.mixed_load, buyer.token, [course.pk for course in courses[:ROUNDS]], theirs))

    answers = race(works)

    assert [set(each) for each in answers] == [{(200, "CreateOrderSuccess"), (200, "success")}] * PROCESSES
    orders = list(Order.objects.order_by("id"))
    assert len(orders) == 2 * PROCESSES * ROUNDS
    assert sum(order.status == OrderStatus.PAID for order in orders) == PROCESSES * ROUNDS
    for order in orders:
        assert wrongs(order) == []


@pytest.mark.sqlite
def test_control_with_sqlites_own_deferred_transactions_one_of_two_is_refused(buyer, stranger, courses):
    meeting = CONTEXT.Barrier(2)
    given = {"courseIds": [str(courses[0].pk)], "totalAmount": format_yuan(courses[0].price_fen)}
    without = partial(sabotage.deferred_transactions, meeting)
    clicks = [partial(child.create_order, shopper.token, given) for shopper in (buyer, stranger)]

    answers = race([partial(child.sabotaged, without, click) for click in clicks])

    # Both, where one took the lock for the moment in which the other asked for it.
    assert "errors" in [answer.get("__typename", "errors") for answer in answers]
