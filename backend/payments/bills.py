"""Each day's bill: announced when it should be ready, held against our books, asked for again until it is there."""

import logging
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from django.utils import timezone

from backend.payments.billed import has_anything
from backend.payments.discrepancies import NO_BILL, open_discrepancy
from backend.payments.findings import Summary, printable
from backend.payments.models import Bill, BillStatus, Payment, ProviderName
from backend.payments.providers.base import BillNotReady, ProviderError
from backend.payments.reconciliation import reconcile

logger = logging.getLogger("coursepay.bills")

ALIPAY = ProviderName.ALIPAY.value
READY_AT = time(10, 30)
"""In Beijing: Alipay makes the bill of a day between nine and ten of the next morning (protocol, 5.6)."""
LOOK_BACK = 31
"""Days: bills that were missed are asked for so long."""
SHORTEST_WAIT, LONGEST_WAIT = timedelta(minutes=10), timedelta(hours=2)
NO_TRADES_AFTER = timedelta(days=1)
"""A day on which nobody paid has no bill; so long it may also be late."""
GIVE_UP_AFTER = timedelta(days=3)
LEASE = timedelta(minutes=15)
"""Longer than a bill may take to be fetched, ten minutes, in which nobody renews it."""


class LeaseLost(Exception):
    """Somebody else has begun to compare this bill: they go on, and we stop."""


def announce() -> None:
    """A row for each day whose bill should be ready by now and that has none yet; none before the shop's first day."""
    newest = newest_day(timezone.localtime())
    days = {newest - timedelta(days=n) for n in range(LOOK_BACK)}
    days -= set(Bill.objects.filter(provider=ALIPAY, day__in=days).values_list("day", flat=True))
    if days and (first := first_day()) is not None:
        now = timezone.now()
        rows = [Bill(provider=ALIPAY, day=day, since=now, next_try_at=now) for day in sorted(days) if day >= first]
        Bill.objects.bulk_create(rows, ignore_conflicts=True)


def newest_day(now: datetime) -> date:
    """The newest day whose bill is ready at ``now``, a time in Beijing."""
    return now.date() - timedelta(days=1 if now.time() >= READY_AT else 2)


def first_day() -> date | None:
    """When the shop began to ask for money, in Beijing; None where it has not."""
    opened = Payment.objects.filter(provider=ALIPAY).order_by("pk").values_list("created_at", flat=True).first()
    return None if opened is None else timezone.localtime(opened).date()


def try_bill(bill_id: int) -> None:
    """One try at one day's bill: what a sweep does with each that is due."""
    bill = Bill.objects.get(pk=bill_id)
    if bill.next_try_at is None:
        return
    try:
        compare(bill)
    except LeaseLost:
        logger.warning("bill %s: another worker compares it", bill)
    except BillNotReady as refusal:
        not_ready(bill, str(refusal))
    except ProviderError as outcome:
        try_later(bill, str(outcome))


def compare(bill: Bill, *, progress: Callable[[int, int], None] | None = None) -> Summary:
    """Hold it against our books and keep what came of it. Raises ProviderError, LeaseLost."""
    extend(bill)
    summary = reconcile(
        bill.provider, bill.day, progress=progress, keep=lambda: renew(bill), last_try=is_last_try(bill)
    )
    bill.summary, bill.compared_at = summary.as_json(), timezone.now()
    if summary.unanswered:
        try_later(bill, f"{summary.unanswered} questions had no answer", summary=bill.summary)
    else:
        save(bill, status=BillStatus.DONE, next_try_at=None, outcome="", summary=bill.summary)
    return summary


def take(day: date) -> Bill:
    """The day's row, ours for now: whoever else is at it stops."""
    now = timezone.now()
    bill, _ = Bill.objects.get_or_create(provider=ALIPAY, day=day, defaults={"since": now, "next_try_at": now})
    bill.since, bill.next_try_at = now, now + LEASE
    Bill.objects.filter(pk=bill.pk).update(status=BillStatus.WAITING, next_try_at=bill.next_try_at, since=now)
    return bill


def renew(bill: Bill) -> None:
    """Keep the lease of a bill that takes longer than one. Raises LeaseLost."""
    assert bill.next_try_at is not None
    if timezone.now() >= bill.next_try_at - LEASE / 2:
        extend(bill)


def extend(bill: Bill) -> None:
    """A whole lease from now on. Raises LeaseLost."""
    until = timezone.now() + LEASE
    if Bill.objects.filter(pk=bill.pk, next_try_at=bill.next_try_at).update(next_try_at=until) != 1:
        raise LeaseLost
    bill.next_try_at = until


def is_last_try(bill: Bill) -> bool:
    return timezone.now() - bill.since > GIVE_UP_AFTER


def not_ready(bill: Bill, outcome: str) -> None:
    """The provider has none: not yet, or nobody paid on that day."""
    if timezone.now() - bill.since > NO_TRADES_AFTER and not has_anything(bill.provider, bill.day):
        save(bill, status=BillStatus.DONE, next_try_at=None, outcome="no trades on that day")
    else:
        try_later(bill, outcome)


def try_later(bill: Bill, outcome: str, **changes: object) -> None:
    """Later each time; after three days it is for people."""
    logger.warning("bill %s: %s", bill, outcome)
    now = timezone.now()
    if is_last_try(bill):
        open_discrepancy(
            NO_BILL,
            key=f"no-bill:{bill.provider}:{bill.day}",
            out_trade_no="",
            detail=f"bill of {bill.day}: {outcome}",
        )
        return save(bill, status=BillStatus.GIVEN_UP, next_try_at=None, outcome=outcome, **changes)
    wait = min(SHORTEST_WAIT * 2 ** min(bill.times_tried, 8), LONGEST_WAIT)
    return save(bill, next_try_at=now + wait, outcome=outcome, **changes)


def save(bill: Bill, *, outcome: str, **changes: object) -> None:
    """Write what came of this try, unless somebody else has taken the bill over meanwhile."""
    if "summary" in changes:
        changes["compared_at"] = bill.compared_at
    held = Bill.objects.filter(pk=bill.pk, next_try_at=bill.next_try_at)
    held.update(times_tried=bill.times_tried + 1, outcome=printable(outcome)[:200], **changes)


def compare_again(bill: Bill) -> None:
    """An operator's word: look at it once more, now."""
    now = timezone.now()
    again = {"status": BillStatus.WAITING, "since": now, "times_tried": 0, "next_try_at": now}
    Bill.objects.filter(pk=bill.pk).update(**again)
