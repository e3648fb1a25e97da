"""What has served its time goes: never money, never what an order's history needs."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from backend.accounts.models import AccessToken
from backend.events.models import Delivery, DeliveryStatus, Event
from backend.limits.models import Counter
from backend.payments.models import Notification, Verdict

DELIVERED_EVENTS = timedelta(days=30)
"""An event that was given up stays as long as one that was delivered: ``redeliver_events`` can still send it."""
FORGED_NOTIFIES = timedelta(days=30)
COUNTERS = timedelta(days=1)
"""Longer than any window of a limit."""
AT_ONCE = 1000
"""Rows in one transaction: nobody waits long for a lock."""


def prune() -> int:
    """One batch of each kind; how many rows went."""
    return sum(delete_some(rows) for rows in pruned())


def pruned() -> list[QuerySet]:  # type: ignore[type-arg]
    now = timezone.now()
    under_way = Delivery.objects.filter(event=OuterRef("pk"), status=DeliveryStatus.PENDING)
    told = Event.objects.filter(created_at__lt=now - DELIVERED_EVENTS, dispatch_at=None)
    forged = Notification.objects.filter(verdict=Verdict.REFUSED, verified=False)
    began_before = int((now - COUNTERS).timestamp() * 1000)
    return [
        told.exclude(Exists(under_way)),
        forged.filter(received_at__lt=now - FORGED_NOTIFIES),
        Counter.objects.filter(began_at__lt=began_before),
        AccessToken.objects.filter(expires_at__lt=now),
        Session.objects.filter(expire_date__lt=now),
    ]


def delete_some(rows: QuerySet) -> int:  # type: ignore[type-arg]
    pks = list(rows.values_list("pk", flat=True)[:AT_ONCE])
    rows.model._default_manager.filter(pk__in=pks).delete()  # noqa: SLF001 - Django's own public name
    return len(pks)
