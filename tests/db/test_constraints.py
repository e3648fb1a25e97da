"""The database's own word: every rule that money rests on is refused by it, whatever the code above it forgets.

Written past the shop's code, by raw ORM writes, on both databases. Every case is a good row with one thing wrong; the
good row itself is taken, so nothing is refused for another reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.courses.models import Course, Enrollment
from backend.events.models import Delivery, Event
from backend.money import MAX_FEN
from backend.orders.models import IdempotencyKey, Order, OrderLine
from backend.payments.models import Bill, BilledRefund, Notification, Payment, Refund

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NOW + timedelta(minutes=30)
HASH = "0" * 64


@dataclass
class World:
    """One buyer with a paid order of a course, and what further rows hang on."""

    user: User
    course: Course
    order: Order
    line: OrderLine

    def another_user(self) -> User:
        return User.objects.create_user("another")

    def another_order(self) -> Order:
        return order(self, basket_hash="another").save()


@pytest.fixture
def world():
    user = User.objects.create_user("one")
    course = Course.objects.create(name="c", price_fen=100)
    paid = Order.objects.create(**order_fields(user), status="PAID", paid_at=NOW)
    line = OrderLine.objects.create(order=paid, course=course, name="c", price_fen=100, real_price_fen=100)
    return World(user, course, paid, line)


def order_fields(user: User) -> dict[str, Any]:
    return {
        "user": user, "subject": "s", "total_fen": 100, "basket_hash": HASH, "created_at": NOW, "expires_at": LATER,
    }  # fmt: skip


class Row:
    """A row that is good as it stands."""

    def __init__(self, model: type[models.Model], **fields: Any) -> None:
        self.model, self.fields = model, fields

    def save(self, **changes: Any) -> Any:
        return self.model._base_manager.create(**{**self.fields, **changes})


def course(world: World, **changes: Any) -> Row:
    return Row(Course, **{"name": "d", "price_fen": 100, **changes})


def order(world: World, **changes: Any) -> Row:
    return Row(Order, **{**order_fields(world.user), **changes})


def line(world: World, **changes: Any) -> Row:
    other = Course.objects.create(name="other", price_fen=100)
    fields = {"order": world.order, "course": other, "name": "c", "price_fen": 100, "real_price_fen": 100}
    return Row(OrderLine, **{**fields, **changes})


def enrollment(world: World, **changes: Any) -> Row:
    return Row(Enrollment, **{"user": world.user, "course": world.course, "opened_at": NOW, **changes})


def key(world: World, **changes: Any) -> Row:
    return Row(IdempotencyKey, **{"user": world.user, "key": "k", "input_hash": HASH, "order": world.order, **changes})


def payment(world: World, **changes: Any) -> Row:
    fields = {"order": world.order, "provider": "alipay", "amount_fen": 100, "created_at": NOW, "expires_at": LATER}
    return Row(Payment, **{**fields, **changes})


def paid_payment(world: World, **changes: Any) -> Row:
    return payment(world, **{"status": "PAID", "trade_no": "t1", "paid_at": NOW, **changes})


def notification(world: World, **changes: Any) -> Row:
    fields = {"provider": "alipay", "body_sha256": HASH, "body_length": 1, "sender": "127.0.0.1", "received_at": NOW}
    return Row(Notification, **{**fields, **changes})


def applied(world: World, **changes: Any) -> Row:
    return notification(world, **{"verdict": "APPLIED", "verified": True, "handled_at": NOW, **changes})


def refund(world: World, **changes: Any) -> Row:
    fields = {
        "order": world.order, "payment": paid_payment(world).save(), "out_request_no": "r", "amount_fen": 1,
        "cause": "STAFF", "reason": "x", "created_at": NOW, "next_try_at": NOW, "idempotency_key": "k",
    }  # fmt: skip
    return Row(Refund, **{**fields, **changes})


def bill(world: World, **changes: Any) -> Row:
    return Row(Bill, **{"provider": "alipay", "day": NOW.date(), "since": NOW, "next_try_at": NOW, **changes})


def billed_refund(world: World, **changes: Any) -> Row:
    paid = paid_payment(world).save()
    return Row(BilledRefund, **{"payment": paid, "out_request_no": "r", "amount_fen": 1, "found_at": NOW, **changes})


def event(world: World, **changes: Any) -> Row:
    return Row(Event, **{"name": "order.paid", "order_number": "1", "body": "{}", "created_at": NOW, **changes})


def delivery(world: World, **changes: Any) -> Row:
    told = Event.objects.first() or event(world).save()
    fields = {"event": told, "url": "https://lms.example/", "since": NOW, "next_try_at": NOW}
    return Row(Delivery, **{**fields, **changes})


CHECKS: list[tuple[str, Callable[[World], Row], dict[str, Any]]] = [
    ("course_price_in_range", course, {"price_fen": -1}),
    ("course_price_in_range", course, {"price_fen": MAX_FEN + 1}),
    ("course_has_a_name", course, {"name": ""}),
    ("enrollment_closes_after_it_opens", enrollment, {"closed_at": NOW - timedelta(seconds=1)}),
    ("order_status_known", order, {"status": "REFUNDED"}),
    ("order_status_known", order, {"status": ""}),
    ("order_pay_type_known", order, {"pay_type": "CASH"}),
    ("order_total_in_range", order, {"total_fen": -1}),
    ("order_total_in_range", order, {"total_fen": MAX_FEN + 1}),
    ("order_expires_after_creation", order, {"expires_at": NOW}),
    ("order_paid_has_its_time", order, {"status": "PAID"}),
    ("line_price_in_range", line, {"real_price_fen": -1}),
    ("line_price_in_range", line, {"real_price_fen": 101}),
    ("line_price_in_range", line, {"price_fen": MAX_FEN + 1}),
    ("payment_status_known", payment, {"status": "REFUNDED"}),
    ("payment_provider_known", payment, {"provider": "cash"}),
    ("payment_amount_in_range", payment, {"amount_fen": -1}),
    ("payment_amount_in_range", payment, {"amount_fen": MAX_FEN + 1}),
    ("payment_of_nothing_is_free", payment, {"amount_fen": 0}),
    ("payment_paid_has_time_and_number", paid_payment, {"trade_no": None}),
    ("payment_paid_has_time_and_number", paid_payment, {"paid_at": None}),
    ("payment_paid_has_time_and_number", payment, {"paid_at": NOW}),
    ("payment_paid_has_time_and_number", payment, {"status": "CLOSED", "paid_at": NOW}),
    ("payment_refunds_within_amount", paid_payment, {"refunding_fen": 60, "refunded_fen": 41}),
    ("payment_refunds_within_amount", paid_payment, {"refunded_fen": -1}),
    ("payment_refunds_within_amount", paid_payment, {"refunding_fen": -1, "refunded_fen": 2}),
    ("payment_refunds_only_what_was_paid", payment, {"refunding_fen": 1}),
    ("payment_refunds_only_what_was_paid", payment, {"refunded_fen": 1}),
    ("refund_status_known", refund, {"status": "MAYBE", "next_try_at": None, "ended_at": NOW}),
    ("refund_cause_known", refund, {"cause": "WHIM"}),
    ("refund_amount_in_range", refund, {"amount_fen": 0}),
    ("refund_amount_in_range", refund, {"amount_fen": MAX_FEN + 1}),
    ("refund_pending_has_its_next_try", refund, {"next_try_at": None}),
    ("refund_pending_has_its_next_try", refund, {"ended_at": NOW}),
    ("refund_pending_has_its_next_try", refund, {"status": "SUCCEEDED", "ended_at": NOW}),
    ("notification_verdict_known", notification, {"verdict": "MAYBE"}),
    ("notification_applied_was_verified", applied, {"verified": False}),
    ("notification_applied_was_verified", applied, {"handled_at": None}),
    ("bill_status_known", bill, {"status": "MAYBE"}),
    ("bill_waiting_has_its_next_try", bill, {"next_try_at": None}),
    ("billed_refund_amount_in_range", billed_refund, {"amount_fen": 0}),
    ("billed_refund_amount_in_range", billed_refund, {"amount_fen": MAX_FEN + 1}),
    ("delivery_status_known", delivery, {"status": "MAYBE", "next_try_at": None, "ended_at": NOW}),
    ("delivery_pending_has_its_next_try", delivery, {"next_try_at": None}),
    ("delivery_pending_has_its_next_try", delivery, {"ended_at": NOW}),
    ("delivery_pending_has_its_next_try", delivery, {"status": "DELIVERED", "ended_at": NOW}),
]


def name_of(value: object) -> str:
    """The same in every process: pytest's workers must agree on the names."""
    if isinstance(value, dict):
        return ",".join(f"{name}={'' if isinstance(each, datetime) else each}" for name, each in value.items())
    return getattr(value, "__name__", None) or str(value)


@pytest.mark.parametrize(("constraint", "good", "wrong"), CHECKS, ids=name_of)
def test_a_row_that_breaks_a_check_is_refused(world, constraint, good, wrong):
    row = good(world)
    with pytest.raises(IntegrityError, match=rf"\b{constraint}\b"), transaction.atomic():
        row.save(**wrong)
    assert row.save().pk


@pytest.mark.parametrize(("constraint", "good", "wrong"), CHECKS, ids=name_of)
def test_a_good_row_cannot_be_turned_into_one_that_breaks_a_check(world, constraint, good, wrong):
    row = good(world).save()
    with pytest.raises(IntegrityError, match=rf"\b{constraint}\b"), transaction.atomic():
        type(row)._base_manager.filter(pk=row.pk).update(**wrong)


# A unique rule: its name, the column that SQLite names in its place, a row, and what is different in the second one.
UNIQUES: list[tuple[str, str, Callable[[World], Row], Callable[[World], dict[str, Any]]]] = [
    ("one_open_enrollment", "course_id", enrollment, lambda w: {"line": w.line}),
    ("one_enrollment_per_order_line", "line_id", lambda w: enrollment(w, line=w.line),
     lambda w: {"user": w.another_user()}),
    ("orders_order_number", "number", lambda w: order(w, number="20261122000001"), lambda w: {"basket_hash": "b"}),
    ("one_unpaid_order_per_basket", "basket_hash", order, lambda w: {"total_fen": 5}),
    ("a_course_once_per_order", "course_id", line, lambda w: {"real_price_fen": 1}),
    ("a_key_once_per_buyer", "key", key, lambda w: {"input_hash": "1" * 64, "order": w.another_order()}),
    ("payments_payment_out_trade_no", "out_trade_no", lambda w: payment(w, out_trade_no="n"),
     lambda w: {"order": w.another_order()}),
    ("payments_payment_trade_no", "trade_no", paid_payment, lambda w: {"order": w.another_order(), "amount_fen": 7}),
    ("one_open_payment_per_order", "order_id", payment, lambda w: {"amount_fen": 7}),
    ("a_refund_key_once_per_order", "idempotency_key", refund, lambda w: {"out_request_no": "s"}),
    ("payments_refund_out_request_no", "out_request_no", refund, lambda w: {"idempotency_key": "l"}),
    ("payments_notification_body_sha256", "body_sha256", notification, lambda w: {"sender": "192.0.2.1"}),
    ("one_bill_a_day", "day", bill, lambda w: {"status": "DONE"}),
    ("a_billed_refund_once", "out_request_no", billed_refund, lambda w: {"amount_fen": 2}),
    ("events_event_key", "key", lambda w: event(w, key="evt_1"), lambda w: {"name": "order.cancelled"}),
    ("an_event_once_per_address", "url", delivery, lambda w: {"times_tried": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("constraint", "column", "good", "beside"), UNIQUES, ids=name_of)
def test_a_second_row_that_breaks_a_unique_rule_is_refused(world, constraint, column, good, beside):
    row = good(world)
    second = beside(world)
    row.save()
    said = rf"{constraint}|UNIQUE constraint failed: .*\b{column}\b"
    with pytest.raises(IntegrityError, match=said), transaction.atomic():
        row.save(**second)


def count(model: type[models.Model]) -> int:
    return model._base_manager.count()


@pytest.mark.parametrize(
    ("good", "first", "second"),
    [
        pytest.param(enrollment, lambda w: {"closed_at": LATER}, lambda w: {}, id="a course again after it was closed"),
        pytest.param(enrollment, lambda w: {}, lambda w: {"user": w.another_user()}, id="a course of two users"),
        pytest.param(order, lambda w: {"status": "CANCELLED"}, lambda w: {}, id="a basket again after cancelling"),
        pytest.param(order, lambda w: {"status": "TIMED_OUT"}, lambda w: {}, id="a basket again after time-out"),
        pytest.param(order, lambda w: {}, lambda w: {"user": w.another_user()}, id="a basket of two buyers"),
        pytest.param(key, lambda w: {}, lambda w: {"user": w.another_user()}, id="a key of two buyers"),
        pytest.param(payment, lambda w: {"status": "CLOSED"}, lambda w: {}, id="an attempt after a closed one"),
        pytest.param(payment, lambda w: {"status": "CLOSING"}, lambda w: {}, id="an attempt beside a closing one"),
        pytest.param(payment, lambda w: {"status": "CLOSED"}, lambda w: {"status": "CLOSED"}, id="two without trade"),
        pytest.param(payment, lambda w: {"amount_fen": MAX_FEN}, lambda w: {"status": "CLOSED"}, id="the largest sum"),
        pytest.param(
            payment, lambda w: {"provider": "free", "amount_fen": 0}, lambda w: {"status": "CLOSED"}, id="a free one"
        ),
    ],
)
def test_what_the_rules_allow_is_taken(world, good, first, second):
    row = good(world)
    before = count(row.model)
    row.save(**first(world))
    row.save(**second(world))
    assert count(row.model) == before + 2


@pytest.mark.parametrize("owner", ["user", "course", "order"])
def test_what_money_hangs_on_cannot_be_deleted(world, owner):
    payment(world).save()
    enrollment(world).save()
    with pytest.raises(models.ProtectedError):
        getattr(world, owner).delete()


def test_every_rule_of_every_model_has_its_case_here():
    """A rule that nobody tried to break may be written wrongly: add its case above."""
    # What later parts of the shop add is tested with them, beside them.
    models_here = [
        model for app in ("courses", "orders", "payments", "events") for model in apps.get_app_config(app).get_models()
    ]
    rules = {rule.name for model in models_here for rule in model._meta.constraints}
    assert rules - {case[0] for case in CHECKS} - {case[0] for case in UNIQUES} == set()
