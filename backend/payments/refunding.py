"""Carries refunds out: calls the provider, and follows each until it is known what became of it.

Believes only explicit success: the provider's word that this call moved the money, or its answer to our question after
this very refund. Whatever else comes back, the refund stays pending and is tried again with the same number.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from backend.payments.locks import lock_refund
from backend.payments.models import Payment, Refund, RefundStatus
from backend.payments.providers.base import ProviderError, RefundRequest, RefundResult, RefundState
from backend.payments.refunds import fail, succeed
from backend.payments.registry import get_provider
from backend.transactions import in_transaction

logger = logging.getLogger("coursepay.refunding")

SHORTEST_PAUSE = timedelta(seconds=3)
"""Between two refund calls for one trade."""
LONGEST_RETRY = timedelta(hours=1)


def try_refund(refund_id: int) -> None:
    """One try at one refund: what a sweep does with each that is due."""
    refund = take_turn(refund_id)
    if refund is None:
        return None
    request = RefundRequest(
        out_trade_no=refund.payment.out_trade_no,
        out_request_no=refund.out_request_no,
        amount_fen=refund.amount_fen,
        reason=refund.reason,
    )
    try:
        result = carry_out(refund, request)
    except ProviderError as outcome:
        logger.warning("refund %s: %s", refund.out_request_no, outcome)
        return try_again(refund_id, RefundResult(RefundState.NOT_SEEN))
    if result.state == RefundState.SUCCEEDED:
        return succeed(refund_id)
    if result.state == RefundState.FAILED:
        return fail(refund_id, code=result.code, message=plain(result.message))
    return try_again(refund_id, result)


@in_transaction
def take_turn(refund_id: int) -> Refund | None:
    """The refund, when it is its trade's turn; None when it has ended, or another of its trade was called just now."""
    refund = lock_refund(refund_id)
    if refund.status != RefundStatus.PENDING:
        return None
    now, called = timezone.now(), refund.payment.refund_called_at
    if called is not None and now < called + SHORTEST_PAUSE:
        Refund.objects.filter(pk=refund_id).update(next_try_at=called + SHORTEST_PAUSE)
        return None
    Payment.objects.filter(pk=refund.payment_id).update(refund_called_at=now)
    # Counted before the call: a worker that dies in it must be known to have tried.
    Refund.objects.filter(pk=refund_id).update(times_tried=refund.times_tried + 1)
    return refund


def carry_out(refund: Refund, request: RefundRequest) -> RefundResult:
    """Ask first where an earlier try may have been heard; then call; ask again where the call itself does not say so.

    A refusal is believed only after asking: a refund that was applied and whose answer was lost makes Alipay refuse its
    repeat, because the trade is closed by then.
    """
    provider = get_provider(refund.payment.provider)
    if refund.times_tried:
        known = provider.query_refund(request)
        if known.state == RefundState.SUCCEEDED:
            return known
    result = provider.refund(request)
    if result.state in (RefundState.NOT_SEEN, RefundState.FAILED):
        known = provider.query_refund(request)
        return known if known.state == RefundState.SUCCEEDED else result
    return result


@in_transaction
def try_again(refund_id: int, result: RefundResult) -> None:
    """Later, with the same number: sooner where the outcome is unknown, later each time."""
    refund = lock_refund(refund_id)
    if refund.status != RefundStatus.PENDING:
        return
    wait = timedelta(seconds=settings.PROVIDER_RETRY_SECONDS) * 3 ** min(refund.times_tried - 1, 8)
    Refund.objects.filter(pk=refund_id).update(
        next_try_at=timezone.now() + max(SHORTEST_PAUSE, min(wait, LONGEST_RETRY)),
        provider_code=result.code[:64],
        provider_message=plain(result.message)[:200],
    )


def plain(words: str) -> str:
    """The provider's words without what no database stores."""
    return "".join(letter for letter in words if letter.isprintable())
