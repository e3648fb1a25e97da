"""The one door for money.

A verified notify and a signed answer to our query both become a ``Trade`` and come through ``apply_trade``; nothing
else marks anything paid. It may be told the same thing any number of times, in any order, by any number of processes:
the effect is had once, in one transaction with the order's status, its event and the courses it opens.

The money is recorded first; what it means is decided after: it pays the order, or it goes back.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from enum import Enum

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from backend.money import format_yuan
from backend.orders.lifecycle import mark_paid, record
from backend.orders.models import Order, OrderStatus
from backend.payments.discrepancies import MONEY_REFUSED, NOT_OURS, open_discrepancy
from backend.payments.locks import lock_payment
from backend.payments.models import Payment, PaymentStatus, RefundCause
from backend.payments.providers.base import Trade, TradeState
from backend.payments.refunds import give_back, reconcile_reported, take_in_refund, take_in_report
from backend.status import Move, MoveRefused, move_together
from backend.transactions import in_transaction

logger = logging.getLogger("coursepay.trades")


class Effect(Enum):
    """What a trade did here."""

    PAID = "paid"
    CLOSED = "closed"
    REFUNDED = "refund taken in"
    NOTHING_NEW = "nothing new"


class TradeRefused(Exception):
    """A trade that is genuine and yet cannot be applied. Nothing has changed; ``reason`` says why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def apply_trade(trade: Trade, *, together_with: Callable[[Effect], None] | None = None) -> Effect:
    """Take what the provider says of a trade into our books. Raises TradeRefused.

    ``together_with`` is called with the effect in the same transaction: both are committed, or neither. Money that is
    refused opens a discrepancy, wherever the statement came from: it is at the provider, and not in our books.
    """
    try:
        return _apply_or_refuse(trade, together_with or (lambda effect: None))
    except TradeRefused as refusal:
        if trade.state == TradeState.PAID or _was_paid(trade):
            money_refused(trade, refusal.reason)
        raise


def _apply_or_refuse(trade: Trade, together_with: Callable[[Effect], None]) -> Effect:
    try:
        return _apply(trade, together_with)
    except IntegrityError as error:
        # The last line of defence: the database refused, and nothing of this trade was written.
        logger.exception("trade %s broke a constraint", trade.out_trade_no)
        raise TradeRefused("the database refused it: is this trade_no another payment's?") from error
    except MoveRefused as error:
        raise TradeRefused(str(error)) from error


def money_refused(trade: Trade, reason: str) -> None:
    """Tell people of money that is genuine and cannot be applied; once for each trade."""
    open_discrepancy(
        MONEY_REFUSED,
        key=f"money-refused:{trade.out_trade_no}:{trade.trade_no}",
        out_trade_no=trade.out_trade_no,
        detail=f"{reason} (trade {trade.trade_no}, {format_yuan(trade.amount_fen)})",
    )


@in_transaction
def _apply(trade: Trade, together_with: Callable[[Effect], None]) -> Effect:
    effect = _take_in(trade)
    together_with(effect)
    return effect


def _take_in(trade: Trade) -> Effect:
    payment = lock_payment(trade.out_trade_no)
    if payment is None or payment.provider != trade.provider:
        raise TradeRefused(NOT_OURS)
    if trade.amount_fen != payment.amount_fen:
        raise TradeRefused(f"wrong amount: {trade.amount_fen} fen, not {payment.amount_fen}")
    now = timezone.now()
    if trade.state == TradeState.PENDING:
        return Effect.NOTHING_NEW
    if trade.state == TradeState.CLOSED and not _was_paid(trade):
        return _close(payment, now)
    effect = _pay(payment, trade, now)
    return effect if not _reported_refund(payment, trade, now) else Effect.REFUNDED


def _was_paid(trade: Trade) -> bool:
    """Whether the statement itself says that this closed trade had been paid: then a full refund closed it.

    A closed trade without a word of payment never takes a paid one back.
    """
    return trade.paid_at is not None or bool(trade.refunded_fen)


def _pay(payment: Payment, trade: Trade, now: datetime) -> Effect:
    if payment.status == PaymentStatus.PAID:
        if payment.trade_no != trade.trade_no:
            raise TradeRefused(f"paid already, by trade {payment.trade_no}")
        return Effect.NOTHING_NEW
    paid_at = trade.paid_at or now
    changes = {"trade_no": trade.trade_no, "paid_at": paid_at, "next_query_at": None}
    received, order = Move(payment, PaymentStatus.PAID, changes), payment.order
    if cause := _why_not_honoured(order, paid_at):
        move_together(received)
        record(order, "payment.received", at=now, detail=trade.trade_no)
        give_back(payment, amount_fen=payment.amount_fen, cause=cause, now=now)
        return Effect.PAID
    owned = mark_paid(order, received=received, paid_at=paid_at, now=now, detail=trade.trade_no)
    if owned_fen := sum(line.real_price_fen for line in owned):
        give_back(payment, amount_fen=owned_fen, cause=RefundCause.OWNED, now=now)
    return Effect.PAID


def _why_not_honoured(order: Order, paid_at: datetime) -> RefundCause | None:
    """Why this money does not pay its order, or None where it does. Taken by ``expires_at`` it is never late."""
    match order.status:
        case OrderStatus.PAID:
            return RefundCause.DOUBLE
        case OrderStatus.CANCELLED:
            return RefundCause.CANCELLED
        case OrderStatus.TIMED_OUT if paid_at > order.expires_at and settings.LATE_PAYMENT == "refund":
            return RefundCause.LATE
        case OrderStatus.TIMED_OUT if not order.has_course_to_open():
            return RefundCause.LATE
    return None


def _close(payment: Payment, now: datetime) -> Effect:
    """Closed at the provider, unpaid. Before its time the order stays unpaid, and is looked at again when that ends."""
    if payment.status not in (PaymentStatus.OPEN, PaymentStatus.CLOSING):
        return Effect.NOTHING_NEW
    order = payment.order
    waits = order.status == OrderStatus.UNPAID
    payment.move_to(PaymentStatus.CLOSED, closed_at=now, next_query_at=max(now, order.expires_at) if waits else None)
    record(order, "payment.closed", at=now, detail=payment.out_trade_no)
    return Effect.CLOSED


def _reported_refund(payment: Payment, trade: Trade, now: datetime) -> bool:
    """Take in what the statement says of refunds; whether it said anything new."""
    reported = trade.refunded_fen
    if trade.state == TradeState.CLOSED:
        reported = payment.amount_fen  # closed after payment: all of it went back
    number, amount_fen, news = trade.refund_request_no, trade.refund_amount_fen, False
    if reported is None and amount_fen is None:
        return False
    if number is not None and amount_fen is not None:
        news = take_in_refund(payment, number, amount_fen=amount_fen, now=now)
    if reported is not None:
        news |= take_in_report(payment, reported_fen=reported, out_request_no=number, now=now)
    return reconcile_reported(payment, now=now) or news
