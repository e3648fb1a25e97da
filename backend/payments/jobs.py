"""The shop's work in the background: what is looked at, and how often."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from backend.events.delivery import DELIVERIES
from backend.payments.bills import announce, try_bill
from backend.payments.discrepancies import close_resolved
from backend.payments.models import Bill, Payment, Refund
from backend.payments.notifications import take_up_what_was_left
from backend.payments.pruning import prune
from backend.payments.refunding import try_refund
from backend.payments.watch import look_after
from backend.sweeps import Chore, Sweep


def due_payments(now: datetime) -> QuerySet[Any]:
    return Payment.objects.filter(next_query_at__lte=now)


PAYMENTS = Sweep("payments", "next_query_at", due_payments, look_after)
REFUNDS = Sweep("refunds", "next_try_at", Refund.objects.due, try_refund)
BILLS = Sweep("bills", "next_try_at", Bill.objects.due, try_bill, prepare=announce, every=60)
INBOX = Chore("inbox", take_up_what_was_left, every=30)
RESOLVED = Chore("resolved", close_resolved, every=30)
PRUNE = Chore("prune", prune, every=3600)

JOBS: tuple[Sweep | Chore, ...] = (PAYMENTS, REFUNDS, DELIVERIES, BILLS, INBOX, RESOLVED, PRUNE)


def run_everything_due() -> int:
    """Every job over everything that is due now, until nothing is; how many rows."""
    total = 0
    while done := sum(job.run() for job in JOBS):
        total += done
    return total
