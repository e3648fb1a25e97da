"""From basket to pay URL: what touches an order and opens its trade."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from backend.broker import nudge
from backend.courses.enrollment import owned_course_ids
from backend.errors import AlreadyOwned, InvalidInput, OrderNotCancellable, OrderNotFound, OrderNotPayable
from backend.orders.lifecycle import mark_cancelled, record
from backend.orders.models import Order, OrderStatus, PayType
from backend.orders.placement import Basket, place_order
from backend.payments.locks import lock_buyer, lock_order, lock_payments
from backend.payments.models import Payment, PaymentStatus, ProviderName
from backend.payments.providers.base import PayRequest, Trade, TradeState
from backend.payments.registry import get_provider
from backend.payments.trades import apply_trade
from backend.stored import insert, insert_together
from backend.transactions import in_transaction


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """An order with the URL to pay it at; no URL where nothing is left to pay or it can no longer be paid."""

    order: Order
    pay_url: str | None
    replayed: bool = False
    payments: tuple[Payment, ...] | None = None
    """All of the order's attempts, where they are known: a new order has one."""


def check_out(*, user_id: int, basket: Basket) -> CheckedOut:
    """Place the order and open its first payment in one transaction, then sign the URL. Raises ShopError.

    No call leaves the machine: the URL is signed here, and the trade begins to exist when the buyer opens the cashier.
    """
    now = timezone.now()
    order, payment, replayed = _place_and_open(user_id=user_id, basket=basket, now=now)
    url = pay_url(order, payment, now)
    return CheckedOut(order, url, replayed, None if replayed else (payment,))


@in_transaction
def _place_and_open(*, user_id: int, basket: Basket, now: datetime) -> tuple[Order, Payment, bool]:
    lock_buyer(user_id)
    placed = place_order(user_id=user_id, basket=basket, now=now)
    order = placed.order
    if placed.replayed:
        return order, newest_payment(order), True
    payment = new_payment(order, now)
    insert_together(*placed.rows, [payment])
    if payment.provider == ProviderName.FREE:
        apply_trade(_free_trade(payment, now))
        order.refresh_from_db()
        payment.refresh_from_db()
    return order, payment, False


def new_payment(order: Order, now: datetime) -> Payment:
    """An attempt to pay the order, good for as long as the order is; not stored yet."""
    return Payment(
        order=order,
        provider=ProviderName.ALIPAY if order.total_fen else ProviderName.FREE,
        amount_fen=order.total_fen,
        created_at=now,
        expires_at=order.expires_at,
        next_query_at=min(now + timedelta(seconds=settings.PAYMENT_QUERY_AFTER_SECONDS), order.expires_at),
    )


@in_transaction
def pay_order(*, user_id: int, number: str, pay_type: PayType | None = None) -> CheckedOut:
    """A fresh URL for an unpaid order: of the same attempt, or of a new one where Alipay closed that before its time.

    Raises OrderNotFound, InvalidInput, OrderNotPayable, AlreadyOwned.
    """
    lock_buyer(user_id)
    order = lock_order(number, user_id=user_id)
    if order is None:
        raise OrderNotFound
    if pay_type not in (None, PayType.ALIPAY):
        raise InvalidInput("payType", "This shop takes ALIPAY.")
    course_ids = list(order.lines.values_list("course_id", flat=True))
    if order.status == OrderStatus.UNPAID and (owned := owned_course_ids(user_id=user_id, course_ids=course_ids)):
        raise AlreadyOwned([str(course_id) for course_id in owned])
    now = timezone.now()
    payment = newest_payment(order)
    if payment.status == PaymentStatus.CLOSED and order.status == OrderStatus.UNPAID and not order.has_expired(now):
        payment = insert(new_payment(order, now))
        record(order, "payment.opened", at=now, detail=payment.out_trade_no)
    if (url := pay_url(order, payment, now)) is None:
        raise OrderNotPayable(order)
    return CheckedOut(order, url)


@in_transaction
def cancel_order(*, user_id: int, number: str) -> Order:
    """The buyer's word: CANCELLED at once, whatever Alipay answers. Raises OrderNotFound, OrderNotCancellable.

    What is open at Alipay is closed by the jobs, and watched until its URL cannot be paid any more: money that comes
    all the same goes back.
    """
    order = lock_order(number, user_id=user_id)
    if order is None:
        raise OrderNotFound
    if order.status != OrderStatus.UNPAID:
        raise OrderNotCancellable(order)
    now = timezone.now()
    for payment in lock_payments(order):
        if payment.status == PaymentStatus.OPEN:
            payment.move_to(PaymentStatus.CLOSING, next_query_at=now)
        elif payment.status == PaymentStatus.CLOSED:
            Payment.objects.filter(pk=payment.pk).update(next_query_at=None)
    mark_cancelled(order, now=now)
    nudge("payments")
    return order


def newest_payment(order: Order) -> Payment:
    """The attempt that counts now."""
    return order.payments.latest("id")


def pay_url(order: Order, payment: Payment, now: datetime) -> str | None:
    """The signed URL of this attempt while it can be paid. The same attempt always asks for the same money and time."""
    if not payment.can_be_paid(order, now):
        return None
    request = PayRequest(
        out_trade_no=payment.out_trade_no,
        amount_fen=payment.amount_fen,
        subject=f"课程订单 {order.number}",  # ours alone: no word of a client or a course title is signed
        expires_at=payment.expires_at,
    )
    return get_provider(payment.provider).pay(request)


def _free_trade(payment: Payment, now: datetime) -> Trade:
    """A basket of nothing is paid as soon as it is asked for; it goes through the same door as money."""
    return Trade(
        provider=ProviderName.FREE,
        out_trade_no=payment.out_trade_no,
        trade_no=f"free_{payment.out_trade_no}",
        state=TradeState.PAID,
        amount_fen=0,
        paid_at=now,
    )
