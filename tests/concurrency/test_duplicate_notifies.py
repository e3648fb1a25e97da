"""The same payment told by many at once: everyone hears `success`, and it is had once."""

from functools import partial

import pytest

from backend.orders.models import OrderEvent
from backend.payments.models import Notification, Payment
from tests.concurrency import child, sabotage
from tests.concurrency.books import assert_paid_once, wrongs
from tests.concurrency.processes import CONTEXT, race

pytestmark = pytest.mark.django_db(transaction=True)

EIGHT = 8


def paid_events(order):
    return OrderEvent.objects.filter(order=order, name="order.paid").count()


def test_eight_processes_deliver_the_same_bytes(order, payment, alipay):
    body = alipay.paid_notify(payment)

    answers = race([partial(child.notify, body)] * EIGHT)

    assert answers == [(200, "success")] * EIGHT
    assert_paid_once(order)
    message = Notification.objects.get()
    assert (message.verdict, message.times_received) == ("APPLIED", EIGHT)


def test_eight_processes_deliver_copies_with_a_time_and_sign_of_their_own(order, payment, alipay):
    bodies = [alipay.paid_notify(payment, notify_time=f"2026-11-22 14:48:{second:02d}") for second in range(EIGHT)]
    assert len(set(bodies)) == EIGHT

    answers = race([partial(child.notify, body) for body in bodies])

    assert answers == [(200, "success")] * EIGHT
    assert_paid_once(order)
    assert list(Notification.objects.values_list("verdict", "times_received")) == [("APPLIED", 1)] * EIGHT


def test_notifies_of_eight_orders_with_the_same_courses_for_eight_buyers_do_not_hinder_each_other(
    courses, alipay, django_user_model
):
    from tests.shop import Shopper

    bodies = []
    for number in range(EIGHT):
        buyer = Shopper.signed_in(django_user_model.objects.create_user(f"buyer{number}"))
        made = buyer.create_order(courses[:3])
        bodies.append(alipay.paid_notify(Payment.objects.get(out_trade_no=made["order"]["outTradeNo"])))

    answers = race([partial(child.notify, body) for body in bodies])

    assert answers == [(200, "success")] * EIGHT
    for payment in Payment.objects.all():
        assert_paid_once(payment.order)


# --- Negative controls: with a protection out, the same race must go wrong --------------------------------------------


def race_without(protections, body):
    meeting = CONTEXT.Barrier(2)
    return race([partial(child.sabotaged, partial(protections, meeting), partial(child.notify, body))] * 2)


def test_control_without_lock_and_guard_the_order_is_paid_twice(order, payment, alipay):
    answers = race_without(sabotage.no_lock_and_no_guard, alipay.paid_notify(payment))

    assert answers == [(200, "success")] * 2
    assert paid_events(order) == 2
    assert "PAID: order.paid events: 2, not 1" in wrongs(order)


def test_control_without_the_lock_the_guard_still_lets_only_one_through(order, payment, alipay):
    answers = race_without(sabotage.no_lock, alipay.paid_notify(payment))

    # The loser must not say success for what it did not see committed; Alipay comes again.
    assert sorted(answers) == [(200, "fail"), (200, "success")]
    assert_paid_once(order)
