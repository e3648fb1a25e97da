"""Each change that is told of: its event is written with it or not at all, once, and says exactly this."""

import json
import re
from datetime import datetime

import pytest
from django.db import transaction
from django.utils import timezone

from backend.courses.models import Course, Enrollment
from backend.events.models import Event
from backend.events.outbox import PUBLIC, tell
from backend.orders import lifecycle
from backend.orders.models import Order, OrderEvent
from backend.payments.checkout import cancel_order, new_payment
from backend.payments.jobs import run_everything_due
from backend.payments.models import Payment, PaymentStatus, Refund
from backend.payments.providers.base import RefundResult, RefundState, TradeNotFound, TradeState
from backend.payments.refunds import request_refund, succeed
from backend.payments.trades import apply_trade
from backend.payments.watch import look_after
from backend.status import Move
from backend.stored import insert
from tests.jobs.conftest import trade_of
from tests.shop import post_notify

pytestmark = pytest.mark.django_db


def events():
    """What was told, in order: (name, data)."""
    return [(event.name, json.loads(event.body)["data"]) for event in Event.objects.order_by("pk")]


def names():
    return [name for name, _ in events()]


def told_order(order, status, paid_at=None):
    return {
        "number": order.number,
        "userId": str(order.user_id),
        "status": status,
        "totalAmount": "156.00",
        "createdAt": order.created_at.isoformat(),
        "paidAt": paid_at and paid_at.isoformat(),
    }


def told_courses(order, *courses):
    return {
        "userId": str(order.user_id),
        "orderNumber": order.number,
        "courseIds": [str(course.pk) for course in courses],
    }


def pay(payment):
    return apply_trade(trade_of(payment, TradeState.PAID))


@pytest.fixture
def paid(clock, order, payment):
    pay(payment)
    Event.objects.all().delete()
    return Order.objects.get()


@pytest.fixture
def timed_out(later, provider, order, payment):
    provider.answers("query", TradeNotFound("ACQ.TRADE_NOT_EXIST", ""))
    provider.answers("refund", RefundResult(RefundState.SUCCEEDED))
    later(1801)
    later(121)
    assert Order.objects.get().status == "TIMED_OUT"
    return payment


def refund(order, **more):
    given = {"amount_fen": None, "reason": "买错了", "close_course_ids": [], **more}
    key = f"key {Refund.objects.count()}"
    row, _ = request_refund(number=order.number, idempotency_key=key, staff_id=order.user_id, **given)
    succeed(row.pk)


# --- The message itself -----------------------------------------------------------------------------------------------


def test_the_body_byte_for_byte(clock, order, courses):
    cancel_order(user_id=order.user_id, number=order.number)
    event = Event.objects.get()
    now = timezone.now()
    envelope = {"id": event.key, "type": "order.cancelled", "createdAt": now.isoformat()}
    message = {**envelope, "data": {"order": told_order(order, "CANCELLED")}}
    assert event.body == json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    assert re.fullmatch(r"evt_[0-9a-f]{32}", event.key)
    assert (event.name, event.order_number, event.created_at) == ("order.cancelled", order.number, now)
    assert event.dispatch_at is not None


def test_paid(clock, order, payment, courses):
    pay(payment)
    lines = [
        {"courseId": str(courses[0].pk), "name": "Python 全栈开发", "price": "117.00", "realPrice": "117.00"},
        {"courseId": str(courses[1].pk), "name": "Vue 3 实战", "price": "39.00", "realPrice": "39.00"},
    ]
    told = told_order(order, "PAID", timezone.now())
    assert events() == [
        ("order.paid", {"order": told, "tradeNo": f"T{payment.pk}", "lines": lines}),
        ("enrollment.opened", told_courses(order, *courses[:2])),
    ]
    assert "全栈" in Event.objects.get(name="order.paid").body, "as people write it, not as \\u escapes"


def test_paid_by_a_notify_tells_the_same_moment_as_the_order_has(alipay, order, payment):
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    (_, data), _ = events()
    assert datetime.fromisoformat(data["order"]["paidAt"]) == Order.objects.get().paid_at
    assert data["tradeNo"] == Payment.objects.get().trade_no


def test_every_time_is_in_utc(alipay, order, payment):
    """One spelling for one moment: a receiver may compare two events as text."""
    post_notify(alipay.paid_notify(payment))
    refund(Order.objects.get(), amount_fen=1)
    times = [time for event in Event.objects.all() for time in re.findall(r'At":"([^"]+)"', event.body)]
    assert len(times) >= 6
    assert [time for time in times if not time.endswith("+00:00")] == []


def test_a_free_order_is_told_like_any_other(buyer, courses):
    Course.objects.filter(pk=courses[2].pk).update(price_fen=0)
    courses[2].refresh_from_db()
    assert buyer.create_order([courses[2]])["order"]["status"] == "PAID"
    order = Order.objects.get()
    (paid, data), opened = events()
    assert paid == "order.paid"
    assert data["order"]["totalAmount"] == "0.00"
    assert data["lines"] == [
        {"courseId": str(courses[2].pk), "name": "Linux 入门", "price": "0.00", "realPrice": "0.00"}
    ]
    assert data["tradeNo"] == Payment.objects.get().trade_no
    assert opened == ("enrollment.opened", told_courses(order, courses[2]))


def test_cancelled(order):
    cancel_order(user_id=order.user_id, number=order.number)
    assert events() == [("order.cancelled", {"order": told_order(order, "CANCELLED")})]


def test_timed_out(timed_out, order):
    assert events() == [("order.timed_out", {"order": told_order(order, "TIMED_OUT")})]


def test_late_money_that_is_honoured(timed_out, order, courses):
    pay(timed_out)
    assert names() == ["order.timed_out", "order.paid", "enrollment.opened"]
    assert events()[1][1]["order"] == told_order(order, "PAID", timezone.now())


def test_late_money_that_goes_back_is_no_paid_order(later, timed_out, order, settings):
    settings.LATE_PAYMENT = "refund"
    pay(timed_out)
    later(1)
    sums = {"received": "156.00", "kept": "0.00"}
    assert names() == ["order.timed_out", "order.refunded"]
    assert events()[1][1] == {"order": told_order(order, "TIMED_OUT"), **sums}


def test_money_for_a_cancelled_order_goes_back_and_is_told(later, provider, order, payment):
    provider.answers("refund", RefundResult(RefundState.SUCCEEDED))
    cancel_order(user_id=order.user_id, number=order.number)
    pay(payment)
    later(1)
    assert names() == ["order.cancelled", "order.refunded"]
    assert events()[1][1] == {"order": told_order(order, "CANCELLED"), "received": "156.00", "kept": "0.00"}


def test_a_second_payment_that_goes_back_leaves_the_first(later, provider, order, payment):
    provider.answers("refund", RefundResult(RefundState.SUCCEEDED))
    apply_trade(trade_of(payment, TradeState.CLOSED))
    pay(insert(new_payment(order, timezone.now())))
    pay(payment)
    later(1)
    assert names() == ["order.paid", "enrollment.opened", "order.refunded"]
    assert (events()[2][1]["received"], events()[2][1]["kept"]) == ("312.00", "156.00")


def test_refunded_in_full(paid, courses):
    refund(paid)
    sums = {"received": "156.00", "kept": "0.00"}
    assert events() == [
        ("enrollment.closed", told_courses(paid, *courses[:2])),
        ("order.refunded", {"order": told_order(paid, "PAID", paid.paid_at), **sums}),
    ]


def test_refunded_in_parts(paid, courses):
    refund(paid, amount_fen=3900, close_course_ids=[str(courses[1].pk)])
    refund(paid, amount_fen=1)
    order = told_order(paid, "PAID", paid.paid_at)
    assert events() == [
        ("enrollment.closed", told_courses(paid, courses[1])),
        ("order.refunded", {"order": order, "received": "156.00", "kept": "117.00"}),
        ("order.refunded", {"order": order, "received": "156.00", "kept": "116.99"}),
    ]
    refund(paid)
    assert events()[3] == ("enrollment.closed", told_courses(paid, courses[0]))


def test_a_course_that_was_owned_already_is_not_told_as_opened(later, provider, timed_out, buyer, courses):
    second = Payment.objects.get(out_trade_no=buyer.create_order(courses[1:3])["order"]["outTradeNo"])
    pay(second)
    pay(timed_out)
    later(1)
    opened = [data["courseIds"] for name, data in events() if name == "enrollment.opened"]
    assert opened == [[str(courses[1].pk), str(courses[2].pk)], [str(courses[0].pk)]]
    paid = [data for name, data in events() if name == "order.paid"]
    assert [len(data["lines"]) for data in paid] == [2, 2]
    assert events()[-1][1] | {"order": None} == {"order": None, "received": "156.00", "kept": "117.00"}


def test_an_order_that_opens_nothing_tells_of_no_opening(paid):
    """Everything in it was opened by another order: the checkout does not let it come so far, two machines might."""
    lines = list(paid.lines.all())
    paid.pk, paid.number, paid.status, paid.paid_at, paid.basket_hash = None, "2026112200000001", "UNPAID", None, "x"
    paid._state.adding = True
    paid.save()
    for line in lines:
        paid.lines.create(course=line.course, name=line.name, price_fen=line.price_fen, real_price_fen=line.price_fen)
    now = timezone.now()
    payment = new_payment(paid, now)
    payment.save()
    received = Move(payment, PaymentStatus.PAID, {"trade_no": "2", "paid_at": now})
    assert len(lifecycle.mark_paid(paid, received=received, paid_at=now, now=now)) == 2
    assert names() == ["order.paid"]


def test_courses_are_told_in_order_of_id(order):
    assert lifecycle.told_courses(order, {70: "", 8: "", 9: ""})["courseIds"] == ["8", "9", "70"]


# --- Once -------------------------------------------------------------------------------------------------------------


def test_nothing_for_a_repeat_of_a_notify(alipay, order, payment):
    body = alipay.paid_notify(payment)
    for _ in range(3):
        assert post_notify(body).content == b"success"
    assert post_notify(alipay.paid_notify(payment, trade_status="TRADE_FINISHED")).content == b"success"
    assert names() == ["order.paid", "enrollment.opened"]


def test_nothing_for_a_repeat_of_anything_else(later, paid):
    refund(paid)
    succeed(Refund.objects.get().pk)
    pay(Payment.objects.get())
    later(3600)
    assert names() == ["enrollment.closed", "order.refunded"]


def test_nothing_for_what_is_refused(alipay, order, payment, stranger):
    post_notify(alipay.paid_notify(payment, total_amount="0.01"))
    post_notify(alipay.paid_notify(payment).replace("sign=", "sign=A"))
    assert not Event.objects.exists()


def test_an_order_that_only_waits_tells_nothing(order):
    run_everything_due()
    assert OrderEvent.objects.filter(name="order.created").exists()
    assert not Event.objects.exists()


def test_a_private_fact_is_told_to_nobody():
    with pytest.raises(AssertionError):
        tell({"order.created": {}}, order_number="1", at=timezone.now())
    assert not Event.objects.exists()
    assert len(PUBLIC) == 6


# --- Together or not at all -------------------------------------------------------------------------------------------


class Undone(Exception):
    """The event cannot be written."""


def pay_it(order):
    pay(order.payments.get())


def cancel_it(order):
    cancel_order(user_id=order.user_id, number=order.number)


def time_it_out(order):
    look_after(order.payments.get().pk)


CHANGES = {
    pay_it: {"order.paid", "enrollment.opened"},
    cancel_it: {"order.cancelled"},
    time_it_out: {"order.timed_out"},
    refund: {"order.refunded", "enrollment.closed"},
}


@pytest.fixture
def ready(request, order, clock, later, provider):
    """An order whose time is over as soon as the jobs look again, and which can still be paid and cancelled.

    For a refund, one that was paid.
    """
    provider.answers("query", TradeNotFound("ACQ.TRADE_NOT_EXIST", ""))
    later(1801)
    clock.shift(121)
    if request.node.callspec.params["change"] is refund:
        pay_it(order)
        Event.objects.all().delete()
    return order


def state():
    """All that the changes touch."""
    return (
        list(Order.objects.values_list("status", "paid_at")),
        list(Payment.objects.values_list("status", "trade_no", "refunded_fen")),
        list(Enrollment.objects.values_list("course_id", "closed_at")),
        list(OrderEvent.objects.values_list("name", flat=True)),
        list(Refund.objects.values_list("status", flat=True)),
    )


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_rolled_back_tells_nothing(ready, change):
    before = state()
    with transaction.atomic():
        change(ready)
        assert {event.name for event in Event.objects.all()} == CHANGES[change]
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert state() == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_whose_event_cannot_be_written_is_not_made(ready, change, monkeypatch):
    def refuse(facts, **more):
        raise Undone

    before = state()
    monkeypatch.setattr("backend.orders.lifecycle.tell", refuse)
    with pytest.raises(Undone):
        change(ready)
    assert not Event.objects.exists()
    if change is refund:  # it was asked for, by itself, before it failed to be done
        assert Refund.objects.get().status == "PENDING"
        Refund.objects.all().delete()
        OrderEvent.objects.filter(name="refund.requested").delete()
    assert state() == before


def test_a_free_order_whose_event_cannot_be_written_is_not_placed(buyer, courses, monkeypatch):
    def refuse(facts, **more):
        raise Undone

    Course.objects.filter(pk=courses[2].pk).update(price_fen=0)
    courses[2].refresh_from_db()
    monkeypatch.setattr("backend.orders.lifecycle.tell", refuse)
    with pytest.raises((Undone, AssertionError)):
        buyer.create_order([courses[2]])
    assert state() == ([], [], [], [], [])
    assert not Event.objects.exists()
