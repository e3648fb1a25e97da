"""Every row lock the shop takes, in the one order they may be taken: buyer → orders → payments by id →
refunds.

Locks are FOR NO KEY UPDATE: they hold off each other, and let rows that refer to the locked ones be written. On SQLite
a transaction holds the whole database (BEGIN IMMEDIATE), and these only read.
"""

from backend.accounts.models import User
from backend.orders.models import Order
from backend.payments.models import Payment, Refund
from backend.prepared import Argument, Prepared

_BUYER = Prepared(lambda: User.objects.select_for_update(no_key=True).only("id").filter(pk=Argument("user_id")))
_PAYMENT = Prepared(
    lambda: (
        Payment.objects.select_related("order")
        .select_for_update(of=("order", "self"), no_key=True)
        .filter(out_trade_no=Argument("out_trade_no"))
    )
)
_ORDERS = Order.objects.select_for_update(no_key=True)
_ORDER = Prepared(lambda: _ORDERS.filter(number=Argument("number")))
_OWN_ORDER = Prepared(lambda: _ORDERS.filter(number=Argument("number"), user_id=Argument("user_id")))
_ORDER_OF_PAYMENT = Prepared(
    lambda: Order.objects.select_for_update(of=("self",), no_key=True).filter(payments=Argument("payment_id"))
)
_PAYMENTS = Prepared(
    lambda: Payment.objects.select_for_update(no_key=True).filter(order_id=Argument("order_id")).order_by("id")
)


def lock_buyer(user_id: int) -> None:
    """Take a buyer's purchases one after the other."""
    if _BUYER.first(user_id=user_id) is None:
        raise User.DoesNotExist


def lock_payment(out_trade_no: str) -> Payment | None:
    """The payment with its order (``payment.order``), both locked and read after the lock; None where there is none."""
    return _PAYMENT.first(out_trade_no=out_trade_no)


def lock_order(number: str, *, user_id: int | None = None) -> Order | None:
    """The order of that number (and buyer), locked and read after the lock."""
    if not number.isascii() or not number.isdecimal():  # no number of ours; PostgreSQL would choke on a NUL
        return None
    return _ORDER.first(number=number) if user_id is None else _OWN_ORDER.first(number=number, user_id=user_id)


def lock_payments(order: Order) -> list[Payment]:
    """All attempts of an order whose lock is held, by id."""
    payments = _PAYMENTS.all(order_id=order.pk)
    for payment in payments:
        payment.order = order
    return payments


def lock_attempts(payment_id: int) -> tuple[Payment, list[Payment]]:
    """The payment with its order (``payment.order``), and all attempts of that order; locked, the order first."""
    order = _ORDER_OF_PAYMENT.first(payment_id=payment_id)
    assert order is not None
    payments = lock_payments(order)
    return next(payment for payment in payments if payment.pk == payment_id), payments


def lock_refund(refund_id: int) -> Refund:
    """The refund with its order and payment, locked in that order."""
    number = Refund.objects.values_list("order__number", flat=True).get(pk=refund_id)
    order = lock_order(number)
    assert order is not None
    payments = {payment.pk: payment for payment in lock_payments(order)}
    refund = Refund.objects.select_for_update(no_key=True).get(pk=refund_id)
    refund.order, refund.payment = order, payments[refund.payment_id]
    return refund
