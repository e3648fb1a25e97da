"""A status moves along its table, once."""

from itertools import product

import pytest
from django.db import transaction
from django.utils import timezone

from backend.orders.models import Order, OrderStatus
from backend.payments.models import Payment, PaymentStatus
from backend.status import Move, MoveRefused, move_together

ORDER_MOVES = {("UNPAID", "PAID"), ("UNPAID", "CANCELLED"), ("UNPAID", "TIMED_OUT"), ("TIMED_OUT", "PAID")}
PAYMENT_MOVES = {("OPEN", "CLOSING"), ("OPEN", "CLOSED"), ("OPEN", "PAID"), ("CLOSING", "CLOSED"), ("CLOSING", "PAID")}
PAYMENT_MOVES |= {("CLOSED", "PAID")}


@pytest.mark.parametrize(
    ("model", "statuses", "moves"),
    [(Order, OrderStatus, ORDER_MOVES), (Payment, PaymentStatus, PAYMENT_MOVES)],
    ids=["order", "payment"],
)
def test_the_table(model, statuses, moves):
    every = [status.value for status in statuses]
    assert set(model.ALLOWED) == set(every)
    assert {(a, b) for a, b in product(every, every) if model(status=a).may_become(b)} == moves


def test_a_move_writes_the_status_and_the_changes_and_nothing_else(order):
    Order.objects.filter(pk=order.pk).update(subject="written by another")
    now = timezone.now()
    assert order.move_to(OrderStatus.PAID, paid_at=now) is order
    assert (order.status, order.paid_at) == ("PAID", now)
    order.refresh_from_db()
    assert (order.status, order.paid_at, order.subject) == ("PAID", now, "written by another")


@pytest.mark.parametrize("status", ["UNPAID", "LOST"])
def test_a_move_that_the_table_does_not_know_is_refused(order, status):
    with pytest.raises(MoveRefused, match=f"UNPAID may not become {status}"):
        order.move_to(status)
    order.refresh_from_db()
    assert order.status == "UNPAID"


@pytest.mark.parametrize("meanwhile", [OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.TIMED_OUT])
def test_of_two_that_read_the_same_status_one_moves_it(order, meanwhile):
    second = Order.objects.get(pk=order.pk)
    order.move_to(meanwhile, paid_at=timezone.now())
    with pytest.raises(MoveRefused, match="is no longer UNPAID"):
        second.move_to(OrderStatus.CANCELLED)
    assert second.status == "UNPAID"  # in memory, too, it has not moved
    order.refresh_from_db()
    assert order.status == meanwhile


def test_two_that_move_together_both_move_or_neither(order, payment):
    now = timezone.now()
    Payment.objects.filter(pk=payment.pk).update(status=PaymentStatus.CLOSED)
    moves = Move(order, OrderStatus.PAID, {"paid_at": now}), Move(payment, PaymentStatus.PAID, {"trade_no": "1"})
    with pytest.raises(MoveRefused, match="is no longer OPEN"), transaction.atomic():
        move_together(*moves)
    assert (order.status, payment.status) == ("UNPAID", "OPEN")
    order.refresh_from_db()
    assert order.status == "UNPAID"
    payment.refresh_from_db()
    move_together(moves[0], Move(payment, PaymentStatus.PAID, {"trade_no": "1", "paid_at": now}))
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, order.paid_at, payment.status, payment.trade_no) == ("PAID", now, "PAID", "1")


def test_none_of_two_moves_where_the_table_forbids_one(order, payment):
    with pytest.raises(MoveRefused, match="OPEN may not become LOST"):
        move_together(Move(order, OrderStatus.PAID, {}), Move(payment, "LOST", {}))
    order.refresh_from_db()
    assert order.status == "UNPAID"


def test_a_row_that_is_gone_does_not_move(order, payment):
    from backend.orders.models import OrderEvent, OrderLine

    payment.delete()
    OrderLine.objects.all().delete()
    OrderEvent.objects.all().delete()
    Order.objects.filter(pk=order.pk).delete()
    with pytest.raises(MoveRefused, match="is no longer UNPAID"):
        order.move_to(OrderStatus.PAID, paid_at=timezone.now())


def test_the_guard_holds_for_payments(payment):
    second = Payment.objects.get(pk=payment.pk)
    payment.move_to(PaymentStatus.PAID, trade_no="1", paid_at=timezone.now())
    with pytest.raises(MoveRefused):
        second.move_to(PaymentStatus.PAID, trade_no="2", paid_at=timezone.now())
    payment.refresh_from_db()
    assert payment.trade_no == "1"
