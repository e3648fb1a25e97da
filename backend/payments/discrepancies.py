"""What a person has to look at: found by the machine, with what to do."""

import logging
from collections.abc import Collection

from django.db.models import Exists, OuterRef
from django.utils import timezone

from backend.payments.models import Discrepancy, Payment, PaymentStatus

logger = logging.getLogger("coursepay.discrepancies")


MONEY_REFUSED = "money refused"
UNKNOWN_ORDER = "unknown order"


def open_discrepancy(*, key: str, kind: str, out_trade_no: str, detail: str, what_to_do: str) -> None:
    """Open it once for its key; a repeat changes nothing."""
    row, made = Discrepancy.objects.get_or_create(
        key=key[:120],
        defaults={
            "kind": kind,
            "out_trade_no": out_trade_no[:64],
            "detail": detail[:300],
            "what_to_do": what_to_do[:300],
            "opened_at": timezone.now(),
        },
    )
    if made:
        logger.error("discrepancy %s: %s %s. %s", row.pk, kind, detail, what_to_do)


def close_resolved() -> int:
    """Close what has resolved itself: a notify that came before its order, and whose later copy was applied."""
    paid = Payment.objects.filter(status=PaymentStatus.PAID, out_trade_no=OuterRef("out_trade_no"))
    refused = Discrepancy.objects.filter(kind=MONEY_REFUSED, closed_at=None).filter(detail__startswith=UNKNOWN_ORDER)
    return refused.filter(Exists(paid)).update(closed_at=timezone.now())


def settle(pks: Collection[int]) -> int:
    """An operator's word that they have seen to these; how many of them were open."""
    return Discrepancy.objects.filter(pk__in=pks, closed_at=None).update(closed_at=timezone.now())
