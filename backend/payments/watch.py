"""Watches payments until nothing new can come of them: asks what became of them, closes what ran out.

How a payment ends (alipay.trade.close takes only a trade that waits for its buyer, and a trade begins to exist when the
buyer opens the cashier):

- it is paid: ``apply_trade`` takes it in;
- its time is over, or its buyer cancelled: ask, then close it at the provider. "No such trade" is final only after
  ``expires_at`` and a grace, because until then the signed URL can still be opened and paid;
- an unknown outcome changes nothing: it is asked again, with back-off.
"""

import logging
import random
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from backend.broker import nudge
from backend.orders.lifecycle import mark_timed_out, record
from backend.orders.models import OrderStatus
from backend.payments.locks import lock_attempts
from backend.payments.models import Payment, PaymentStatus
from backend.payments.providers.base import CloseResult, ProviderError, Trade, TradeNotFound, TradeState
from backend.payments.registry import get_provider
from backend.payments.trades import TradeRefused, apply_trade
from backend.stored import update
from backend.transactions import in_transaction

logger = logging.getLogger("coursepay.watch")

MOST_OFTEN = timedelta(seconds=5)
"""How often the polls of a waiting buyer may make us ask."""
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_RETRY = timedelta(hours=1)


def look_after(payment_id: int) -> None:
    """One look at one payment: what a sweep does with each that is due. Any number of times, by any process."""
    payment = prepare(payment_id)
    if payment is None:
        return
    try:
        ask_and_follow(payment)
    except TradeNotFound:
        not_there(payment.pk)
    except (ProviderError, TradeRefused) as outcome:
        logger.warning("payment %s: %s", payment.out_trade_no, outcome)
        ask_again(payment.pk)


@in_transaction
def prepare(payment_id: int) -> Payment | None:
    """The payment, CLOSING where it has to end; None where there is nothing to ask the provider."""
    payment, attempts = lock_attempts(payment_id)
    now = timezone.now()
    if payment.status == PaymentStatus.CLOSED:
        end_order(payment, attempts, now)
    if payment.status not in (PaymentStatus.OPEN, PaymentStatus.CLOSING):
        return None
    if payment.status == PaymentStatus.OPEN and (now >= payment.expires_at or payment.order.is_terminal):
        payment.move_to(PaymentStatus.CLOSING)
    return payment


def ask_and_follow(payment: Payment) -> None:
    """Ask, and do what the answer asks for; a close that came too late is asked about once more."""
    provider = get_provider(payment.provider)
    for _ in range(2):
        trade = provider.query(payment.out_trade_no)
        apply_trade(trade)
        if trade.state != TradeState.PENDING:
            break
        if payment.status != PaymentStatus.CLOSING:
            return wait_for_buyer(payment.pk)
        match provider.close(payment.out_trade_no):
            case CloseResult.CLOSED:
                apply_trade(closed(trade))
                break
            case CloseResult.NOT_FOUND:
                raise TradeNotFound("ACQ.TRADE_NOT_EXIST", "gone between question and close")
    else:
        return ask_again(payment.pk)
    prepare(payment.pk)
    return None


def closed(trade: Trade) -> Trade:
    """The trade as the provider's signed answer to our close leaves it."""
    return Trade(
        provider=trade.provider,
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        state=TradeState.CLOSED,
        amount_fen=trade.amount_fen,
    )


@in_transaction
def not_there(payment_id: int) -> None:
    """No such trade: the buyer has not opened the cashier. Final when the URL can no longer be opened."""
    payment, attempts = lock_attempts(payment_id)
    now = timezone.now()
    if payment.status == PaymentStatus.OPEN:
        return schedule(payment, back_off(payment, now))
    if payment.status != PaymentStatus.CLOSING:
        return None
    certain_at = payment.expires_at + timedelta(seconds=settings.ORDER_GRACE_SECONDS)
    if now < certain_at:
        return schedule(payment, certain_at)
    payment.move_to(PaymentStatus.CLOSED, closed_at=now)
    record(payment.order, "payment.closed", at=now, detail=payment.out_trade_no)
    return end_order(payment, attempts, now)


@in_transaction
def wait_for_buyer(payment_id: int) -> None:
    """The buyer is at the cashier: look again later, at the latest when the time is over."""
    payment, _ = lock_attempts(payment_id)
    if payment.status == PaymentStatus.OPEN:
        schedule(payment, back_off(payment, timezone.now()))


@in_transaction
def ask_again(payment_id: int) -> None:
    """The outcome is unknown: nothing changes, and the question is put again, later each time."""
    payment, _ = lock_attempts(payment_id)
    if payment.status in (PaymentStatus.OPEN, PaymentStatus.CLOSING):
        now = timezone.now()
        wait = timedelta(seconds=settings.PROVIDER_RETRY_SECONDS) * 3 ** min(payment.times_asked, 8)
        schedule(payment, now + jittered(min(wait, LONGEST_RETRY)))


def ask_soon(payment: Payment) -> None:
    """The buyer is waiting: move the next question about their newest attempt forward, at most once in a few seconds.

    One guarded UPDATE at most, and none where it would change nothing; nobody else's move is undone.
    """
    now = timezone.now()
    if not may_ask_soon(payment, now):
        return
    where = {"pk": payment.pk, "status": PaymentStatus.OPEN, "next_query_at": payment.next_query_at}
    if update(Payment, {"next_query_at": now, "asked_at": now}, **where):
        nudge("payments")


def may_ask_soon(payment: Payment, now: datetime) -> bool:
    due, asked = payment.next_query_at, payment.asked_at
    return due is not None and due > now and (asked is None or asked <= now - MOST_OFTEN)


def end_order(payment: Payment, attempts: list[Payment], now: datetime) -> None:
    """Time the order out once its time is over and none of its attempts, all locked, can be paid."""
    order = payment.order
    over = order.has_expired(now) and all(each.status == PaymentStatus.CLOSED for each in attempts)
    waits = order.status == OrderStatus.UNPAID and not order.has_expired(now)
    update(Payment, {"next_query_at": order.expires_at if waits else None}, pk=payment.pk)
    if over and order.status == OrderStatus.UNPAID:
        mark_timed_out(order, now=now)


def back_off(payment: Payment, now: datetime) -> datetime:
    """Twice as long each time, up to a quarter of an hour; never past the end of the payment's time."""
    wait = timedelta(seconds=settings.PAYMENT_QUERY_AFTER_SECONDS) * 2 ** min(payment.times_asked, 8)
    return min(now + jittered(min(wait, LONGEST_WAIT)), payment.expires_at)


def schedule(payment: Payment, at: datetime) -> None:
    changes = {"next_query_at": at, "asked_at": timezone.now(), "times_asked": payment.times_asked + 1}
    update(Payment, changes, pk=payment.pk)


def jittered(wait: timedelta) -> timedelta:
    """Spread by a tenth, so that what fell due together does not stay together."""
    return wait * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
