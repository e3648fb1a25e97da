"""The one door for money.

A verified notify and a signed answer to our query both become a ``Trade`` and come through ``apply_trade``; nothing
else marks anything paid. It may be told the same thing any number of times, in any order, by any number of processes:
the effect is had once, in one transaction with the order's status, its event and the courses it opens.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from enum import Enum

from django.db import IntegrityError
from django.utils import timezone

from backend.orders.lifecycle import mark_paid, record
from backend.orders.models import OrderStatus
from backend.payments.locks import lock_payment
from backend.payments.models import Payment, PaymentStatus
from backend.payments.providers.base import Trade, TradeState
from backend.status import MoveRefused
from backend.transactions import in_transaction

logger = logging.getLogger("coursepay.trades")


class Effect(Enum):
    """What a trade did here."""

    PAID = "paid"
    CLOSED = "closed"
    NOTHING_NEW = "nothing new"


class TradeRefused(Exception):
    """A trade that is genuine and yet cannot be applied. Nothing has changed; ``reason`` says why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def apply_trade(trade: Trade, *, together_with: Callable[[Effect], None] | None = None) -> Effect:
    """Take what the provider says of a trade into our books. Raises TradeRefused.

    ``together_with`` is called with the effect in the same transaction: both are committed, or neither.
    """
    try:
        return _apply(trade, together_with or (lambda effect: None))
    except IntegrityError as error:
        # The last line of defence: the database refused, and nothing of this trade was written.
        logger.exception("trade %s broke a constraint", trade.out_trade_no)
        raise TradeRefused("the database refused it: is this trade_no another payment's?") from error
    except MoveRefused as error:
        raise TradeRefused(str(error)) from error


@in_transaction
def _apply(trade: Trade, together_with: Callable[[Effect], None]) -> Effect:
    effect = _take_in(trade)
    together_with(effect)
    return effect


def _take_in(trade: Trade) -> Effect:
    payment = lock_payment(trade.out_trade_no)
    if payment is None or payment.provider != trade.provider:
        raise TradeRefused("unknown order")
    if trade.amount_fen != payment.amount_fen:
        raise TradeRefused(f"wrong amount: {trade.amount_fen} fen, not {payment.amount_fen}")
    now = timezone.now()
    match trade.state:
        case TradeState.PAID:
            return _pay(payment, trade, now)
        case TradeState.CLOSED:
            return _close(payment, now)
        case _:
            return Effect.NOTHING_NEW


def _pay(payment: Payment, trade: Trade, now: datetime) -> Effect:
    if payment.status == PaymentStatus.PAID:
        if payment.trade_no != trade.trade_no:
            raise TradeRefused(f"paid already, by trade {payment.trade_no}")
        return Effect.NOTHING_NEW
    paid_at = trade.paid_at or now
    payment.move_to(PaymentStatus.PAID, trade_no=trade.trade_no, paid_at=paid_at)
    mark_paid(payment.order, paid_at=paid_at, now=now, detail=trade.trade_no)
    return Effect.PAID


def _close(payment: Payment, now: datetime) -> Effect:
    """Closed at the provider. A paid payment is never un-paid by this: that would be a refund, which is its own row."""
    if payment.status not in (PaymentStatus.OPEN, PaymentStatus.CLOSING):
        return Effect.NOTHING_NEW
    payment.move_to(PaymentStatus.CLOSED, closed_at=now)
    if payment.order.status == OrderStatus.UNPAID:
        record(payment.order, "payment.closed", at=now, detail=payment.out_trade_no)
    return Effect.CLOSED
