"""Rows stored by statements written once are as those that Django's own would store."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.accounts.models import User
from backend.courses.models import Course
from backend.orders.models import Order, OrderEvent, OrderLine, OrderStatus, PayType
from backend.stored import insert, insert_all, insert_new, insert_together, update, update_together
from tests.settings import ON_POSTGRES

pytestmark = pytest.mark.django_db


def test_an_inserted_row_is_as_a_saved_one():
    course = insert(Course(name="Go", price_fen=3900))
    assert Course.objects.get() == course
    course.price_fen = 4900
    course.save()
    assert Course.objects.get().price_fen == 4900


def test_rows_are_inserted_together(user):
    insert_all([Course(name=name, price_fen=1) for name in ("a", "b")])
    insert_all([])
    assert set(Course.objects.values_list("name", flat=True)) == {"a", "b"}


def test_a_conflict_is_skipped_only_where_that_is_asked_for():
    names = [User(username="li"), User(username="li")]
    assert insert_new(names, returning="username") == ["li"]
    assert insert_new(names, returning="username") == []
    assert User.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all(names)


def test_an_update_says_how_many_rows_it_met(courses):
    assert update(Course, {"price_fen": 5, "name": "Rust"}, pk=courses[0].pk, on_sale=True) == 1
    assert update(Course, {"price_fen": 6}, pk=courses[0].pk, on_sale=False) == 0
    assert Course.objects.get(pk=courses[0].pk).price_fen == 5


def test_changes_are_made_together_and_each_says_how_many_rows_it_met(user, courses):
    first, second, *_ = courses
    with CaptureQueriesContext(connection) as captured:
        counts = update_together(
            (Course, {"price_fen": 5, "on_sale": False}, {"pk": first.pk, "on_sale": True}),
            (Course, {"price_fen": 6}, {"pk": second.pk, "on_sale": False}),
            (User, {"is_active": False}, {"username": user.username}),
        )
    assert counts == [1, 0, 1]
    assert len(captured) == (1 if ON_POSTGRES else 3)
    prices = dict(Course.objects.values_list("pk", "price_fen"))
    assert (prices[first.pk], prices[second.pk]) == (5, second.price_fen)
    user.refresh_from_db()
    assert not user.is_active


def an_order(user, courses):
    """A whole order of which nothing is stored yet."""
    now = timezone.now()
    order = Order(
        user=user,
        subject="Go",
        total_fen=100,
        status=OrderStatus.UNPAID,
        pay_type=PayType.ALIPAY,
        basket_hash="h",
        created_at=now,
        expires_at=now + timedelta(minutes=30),
    )
    lines = [OrderLine(order=order, course=each, name=each.name, price_fen=1, real_price_fen=1) for each in courses]
    return order, lines, OrderEvent(order=order, name="order.created", at=now)


def test_rows_that_refer_to_each_other_are_stored_together(user, courses):
    order, lines, event = an_order(user, courses[:2])
    with CaptureQueriesContext(connection) as captured:
        insert_together([order], lines, [], [event])
    assert len(captured) == (1 if ON_POSTGRES else 3)
    assert Order.objects.get() == order
    assert list(Order.objects.get().lines.order_by("id").values_list("course_id", flat=True)) == [
        courses[0].pk,
        courses[1].pk,
    ]
    assert (OrderEvent.objects.get(), event.order_id, lines[1].order_id) == (event, order.pk, order.pk)
    order.subject = "Rust"
    order.save()
    assert Order.objects.get().subject == "Rust"


def test_groups_of_several_rows_need_no_keys(user):
    insert_together(
        [Course(name=name, price_fen=1) for name in "ab"], [User(username=name, token_epoch=name) for name in "cd"]
    )
    assert Course.objects.count() == 2
    assert User.objects.filter(username__in=("c", "d")).count() == 2


def test_rows_are_stored_together_or_not_at_all(user, courses):
    order, lines, event = an_order(user, courses[:2])
    lines[1].price_fen = -1
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_together([order], lines, [event])
    assert not Order.objects.exists()
    assert not OrderEvent.objects.exists()
