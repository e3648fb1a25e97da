"""Money on its way back: by an operator's word, by the shop's own rules, or by somebody's hand at the provider.

A refund is a row with its number before the provider is called, and is called with that number for ever: however often
it is tried, the provider moves the money once (alipay.trade.refund is idempotent by ``out_request_no``). What is on its
way is reserved on the payment, whose CHECK keeps the sum within what was paid.
"""

import secrets
from datetime import datetime

from django.db.models import F, Sum
from django.utils import timezone

from backend.broker import nudge
from backend.errors import IdempotencyKeyReused, InvalidInput, NothingToRefund, OrderNotFound, RefundTooLarge
from backend.money import format_yuan
from backend.orders.lifecycle import mark_refunded, record
from backend.orders.models import Order
from backend.orders.placement import is_key, is_plain_text
from backend.payments.discrepancies import REFUND_FAILED, open_discrepancy
from backend.payments.locks import lock_order, lock_payments, lock_refund
from backend.payments.models import BilledRefund, Payment, PaymentStatus, Refund, RefundCause, RefundStatus
from backend.transactions import in_transaction

MAX_REASON = 200


@in_transaction
def request_refund(
    *,
    number: str,
    amount_fen: int | None,
    reason: str,
    idempotency_key: str,
    close_course_ids: list[str],
    staff_id: int,
) -> tuple[Refund, bool]:
    """An operator's refund of an order's money, and whether this is a repeat. No amount: all that is left.

    It works on every order that holds money, whatever its status. Raises OrderNotFound, InvalidInput,
    IdempotencyKeyReused, NothingToRefund, RefundTooLarge.
    """
    order = lock_order(number)
    if order is None:
        raise OrderNotFound
    closing = _check(order, reason, idempotency_key, amount_fen, close_course_ids)
    if (known := order.refunds.filter(idempotency_key=idempotency_key).first()) is not None:
        if amount_fen is not None and amount_fen != known.amount_fen:
            raise IdempotencyKeyReused
        return known, True
    payment = max(lock_payments(order), key=lambda payment: payment.refundable_fen)
    if payment.refundable_fen == 0:
        raise NothingToRefund
    if amount_fen is not None and amount_fen > payment.refundable_fen:
        raise RefundTooLarge(payment.refundable_fen)
    refund = Refund(
        cause=RefundCause.STAFF,
        reason=reason,
        amount_fen=amount_fen or payment.refundable_fen,
        close_course_ids=closing,
        requested_by_id=staff_id,
        idempotency_key=idempotency_key,
        out_request_no=f"{payment.out_trade_no}_{secrets.token_hex(8)}",
    )
    return _store(refund, payment, timezone.now()), False


def _check(
    order: Order, reason: str, idempotency_key: str, amount_fen: int | None, close_course_ids: list[str]
) -> list[int]:
    if not reason.strip() or len(reason) > MAX_REASON or not is_plain_text(reason):
        raise InvalidInput("reason", f"Say why in 1 to {MAX_REASON} characters, without control characters.")
    if not is_key(idempotency_key):
        raise InvalidInput("idempotencyKey", "A key is 1 to 128 printable ASCII characters.")
    if amount_fen == 0:
        raise InvalidInput("amount", "A refund is of at least 0.01 yuan.")
    bought = {str(course_id): course_id for course_id in order.lines.values_list("course_id", flat=True)}
    if not set(close_course_ids) <= set(bought):
        raise InvalidInput("closeCourseIds", "Only courses of this order can be closed by its refund.")
    return [bought[course_id] for course_id in close_course_ids]


def give_back(payment: Payment, *, amount_fen: int, cause: RefundCause, now: datetime) -> None:
    """The shop's own rule sends money back. Its number follows from what it is for: it can be asked for only once.

    The caller holds the locks of the order and the payment, in a transaction.
    """
    number = f"{payment.out_trade_no}_{cause}"
    reason = str(RefundCause(cause).label)
    _store(Refund(cause=cause, reason=reason, amount_fen=amount_fen, out_request_no=number), payment, now)


def _store(refund: Refund, payment: Payment, now: datetime) -> Refund:
    refund.order, refund.payment, refund.created_at, refund.next_try_at = payment.order, payment, now, now
    refund.save(force_insert=True)
    _change(payment, refunding_fen=refund.amount_fen)
    record(payment.order, "refund.requested", at=now, detail=_detail(refund))
    nudge("refunds")
    return refund


@in_transaction
def succeed(refund_id: int) -> None:
    """The provider says that the money is back. Nothing new where that is known."""
    refund = lock_refund(refund_id)
    if refund.status == RefundStatus.PENDING:
        _succeed(refund, timezone.now())
        reconcile_reported(refund.payment, now=timezone.now())


def _succeed(refund: Refund, now: datetime) -> None:
    payment, order = refund.payment, refund.order
    refund.move_to(RefundStatus.SUCCEEDED, ended_at=now, next_try_at=None)
    _change(payment, refunding_fen=-refund.amount_fen, refunded_fen=refund.amount_fen)
    record(order, "refund.succeeded", at=now, detail=_detail(refund))
    _after_money_left(order, refund.close_course_ids, now)


def _after_money_left(order: Order, close_course_ids: list[int], now: datetime) -> None:
    payments = list(order.payments.all())
    received = sum(payment.amount_fen for payment in payments if payment.status == PaymentStatus.PAID)
    kept = sum(payment.held_fen for payment in payments)
    mark_refunded(order, received_fen=received, kept_fen=kept, close_course_ids=close_course_ids, now=now)


@in_transaction
def fail(refund_id: int, *, code: str, message: str) -> None:
    """The provider refused for good. The money is still here; an automatic refund that failed is for people to mend."""
    refund = lock_refund(refund_id)
    if refund.status != RefundStatus.PENDING:
        return
    now = timezone.now()
    words = {"provider_code": code[:64], "provider_message": message[:200]}
    refund.move_to(RefundStatus.FAILED, ended_at=now, next_try_at=None, **words)
    _change(refund.payment, refunding_fen=-refund.amount_fen)
    record(refund.order, "refund.failed", at=now, detail=f"{_detail(refund)} {code}")
    if refund.cause != RefundCause.STAFF:
        open_discrepancy(
            REFUND_FAILED,
            key=f"refund-failed:{refund.out_request_no}",
            out_trade_no=refund.payment.out_trade_no,
            detail=f"{_detail(refund)}: {code} {message}",
        )
    reconcile_reported(refund.payment, now=now)


def take_in_report(payment: Payment, *, reported_fen: int, out_request_no: str | None, now: datetime) -> bool:
    """What the provider says was refunded in all, and by which of our numbers. Whether it was new.

    The caller holds the locks. A sum only grows, so reports may come in any order.
    """
    news = min(reported_fen, payment.amount_fen) > payment.reported_refund_fen
    if news:
        payment.reported_refund_fen = min(reported_fen, payment.amount_fen)
        Payment.objects.filter(pk=payment.pk).update(reported_refund_fen=payment.reported_refund_fen)
    ours = payment.refunds.filter(out_request_no=out_request_no, status=RefundStatus.PENDING).first()
    if ours is not None:
        ours.order, ours.payment = payment.order, payment
        _succeed(ours, now)
    return news or ours is not None


def take_in_refund(payment: Payment, out_request_no: str, *, amount_fen: int, now: datetime) -> bool:
    """One refund that the provider confirms by its number: ours, or made there. Whether it was new.

    The caller holds the locks.
    """
    ours = payment.refunds.filter(out_request_no=out_request_no).first()
    if ours is None or ours.status == RefundStatus.FAILED:  # one that was refused here, and yet happened
        defaults = {"amount_fen": amount_fen, "found_at": now}
        return BilledRefund.objects.get_or_create(payment=payment, out_request_no=out_request_no, defaults=defaults)[1]
    if ours.status != RefundStatus.PENDING or ours.amount_fen != amount_fen:
        return False
    ours.order, ours.payment = payment.order, payment
    _succeed(ours, now)
    return True


def reconcile_reported(payment: Payment, *, now: datetime) -> bool:
    """Book what was refunded at the provider and not by us, once no refund of ours is under way to explain it.

    It is one row for each payment, which grows: whatever order the reports come in, the books end alike.
    """
    if payment.refunding_fen or payment.status != PaymentStatus.PAID:
        return False
    unexplained = max(payment.reported_refund_fen - payment.refunded_fen, _billed_and_not_booked(payment))
    unexplained = min(unexplained, payment.amount_fen - payment.refunded_fen)
    if unexplained <= 0:
        return False
    row, made = Refund.objects.get_or_create(
        out_request_no=f"{payment.out_trade_no}_{RefundCause.PROVIDER}",
        defaults={
            "order": payment.order,
            "payment": payment,
            "amount_fen": unexplained,
            "cause": RefundCause.PROVIDER,
            "reason": str(RefundCause.PROVIDER.label),
            "status": RefundStatus.SUCCEEDED,
            "created_at": now,
            "ended_at": now,
        },
    )
    if not made:
        Refund.objects.filter(pk=row.pk).update(amount_fen=F("amount_fen") + unexplained, ended_at=now)
    _change(payment, refunded_fen=unexplained)
    record(payment.order, "refund.succeeded", at=now, detail=f"{format_yuan(unexplained)} at the provider")
    _after_money_left(payment.order, [], now)
    return True


def _billed_and_not_booked(payment: Payment) -> int:
    """What the refunds that we know by the provider's own numbers come to, beyond what is booked as made there."""
    billed = payment.billed_refunds.aggregate(fen=Sum("amount_fen"))["fen"] or 0
    if not billed:
        return 0
    booked = payment.refunds.filter(cause=RefundCause.PROVIDER).aggregate(fen=Sum("amount_fen"))["fen"] or 0
    return int(billed - booked)


def _change(payment: Payment, *, refunding_fen: int = 0, refunded_fen: int = 0) -> None:
    """Move the payment's two sums; its CHECK refuses what would give back more than was paid."""
    payment.refunding_fen += refunding_fen
    payment.refunded_fen += refunded_fen
    sums = {"refunding_fen": payment.refunding_fen, "refunded_fen": payment.refunded_fen}
    Payment.objects.filter(pk=payment.pk).update(**sums)


def _detail(refund: Refund) -> str:
    return f"{format_yuan(refund.amount_fen)} {refund.cause}"
