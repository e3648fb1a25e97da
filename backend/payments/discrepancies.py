"""What a person has to look at: found by the machine, with what to do."""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from backend.payments.models import Discrepancy, Payment, PaymentStatus

logger = logging.getLogger("coursepay.discrepancies")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding and what a person should do. Stored in English; the admin shows both in its reader's words."""

    name: str
    what_to_do: str


MONEY_REFUSED = Kind(
    gettext_noop("money refused"),
    gettext_noop("Find the trade in Alipay's console: open what was paid for, or refund it there."),
)
REFUND_FAILED = Kind(
    gettext_noop("refund failed"),
    gettext_noop("Refund it in Alipay's console, or open the course and tell the buyer."),
)
MISSING_HERE = Kind(
    gettext_noop("missing here"),
    gettext_noop("The bill has this payment, Alipay's signed answer has not: find the trade in Alipay's console."),
)
MISSING_THERE = Kind(
    gettext_noop("missing there"),
    gettext_noop("Find the trade in Alipay's console. If the money is not there, close the course and ask Alipay."),
)
AMOUNT_DIFFERS = Kind(
    gettext_noop("amount differs"),
    gettext_noop("Find the trade in Alipay's console: give back what was paid too much, or claim what is missing."),
)
TRADE_DIFFERS = Kind(
    gettext_noop("trade differs"),
    gettext_noop("Two trades for one merchant number: find both in Alipay's console and refund the one too many."),
)
REFUND_DIFFERS = Kind(
    gettext_noop("refund differs"),
    gettext_noop("Compare the trade's refunds in Alipay's console with those of the order."),
)
REFUND_MISSING_THERE = Kind(
    gettext_noop("refund missing there"),
    gettext_noop("Look in Alipay's console whether the buyer has the money. If not, refund it there."),
)
UNKNOWN_ORDER = Kind(
    gettext_noop("unknown order"),
    gettext_noop("Alipay took money that this shop did not ask for: find out in its console what it was for."),
)
TOO_MANY = Kind(
    gettext_noop("too many differences"),
    gettext_noop("Look whether it is the right account's bill, then run: manage.py reconcile_bill --json"),
)
NO_BILL = Kind(
    gettext_noop("no bill"),
    gettext_noop("Download the day's bill in Alipay's console, and compare it with the payments of the day."),
)
OF_A_BILL = (
    MISSING_HERE,
    MISSING_THERE,
    AMOUNT_DIFFERS,
    TRADE_DIFFERS,
    REFUND_DIFFERS,
    REFUND_MISSING_THERE,
    UNKNOWN_ORDER,
)
"""What a bill and our books may disagree on."""
KINDS = (MONEY_REFUSED, REFUND_FAILED, *OF_A_BILL, TOO_MANY, NO_BILL)

NOT_OURS = "unknown order"
"""The reason for which ``apply_trade`` refuses money of a number that we do not know: perhaps not yet."""


def open_discrepancy(kind: Kind, *, key: str, out_trade_no: str, detail: str) -> None:
    """Open it once for its key; a repeat changes nothing."""
    row, made = Discrepancy.objects.get_or_create(
        key=key[:120],
        defaults={
            "kind": kind.name,
            "out_trade_no": out_trade_no[:64],
            "detail": detail[:300],
            "what_to_do": kind.what_to_do,
            "opened_at": timezone.now(),
        },
    )
    if made:
        logger.error("discrepancy %s: %s %s. %s", row.pk, kind.name, detail, kind.what_to_do)


def close_resolved() -> int:
    """Close what has resolved itself: money that came before its order was known, or is in a later bill; how many."""
    paid = Payment.objects.filter(status=PaymentStatus.PAID, out_trade_no=OuterRef("out_trade_no"))
    not_ours_yet = Q(kind=MONEY_REFUSED.name, detail__startswith=NOT_OURS)
    here_now = (not_ours_yet | Q(kind=MISSING_HERE.name)) & Exists(paid)
    there_now = Q(kind=MISSING_THERE.name) & Exists(paid.filter(billed_on__isnull=False))
    open_rows = Discrepancy.objects.filter(closed_at=None)
    return open_rows.filter(here_now | there_now).update(closed_at=timezone.now())


def settle(pks: Collection[int]) -> int:
    """An operator's word that they have seen to these; how many of them were open."""
    return Discrepancy.objects.filter(pk__in=pks, closed_at=None).update(closed_at=timezone.now())
