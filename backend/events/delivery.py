"""Delivering events: at least once to each address, with back-off for three days, and a log of every try."""

import logging
import random
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from backend import http_client
from backend.broker import nudge
from backend.events.models import Attempt, Delivery, DeliveryStatus, Event
from backend.events.signing import HEADER, sign
from backend.sweeps import Sweep
from backend.transactions import in_transaction

logger = logging.getLogger("coursepay.events")

DISPATCH_BATCH = 500
DEADLINE = 10.0
"""Seconds for one try, connection to answer: who needs longer should answer first and work after."""
WAITS = [timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)]
"""Between two tries; the last one again and again, until the time is over."""
GIVE_UP_AFTER = timedelta(days=3)
REST = timedelta(seconds=30)
"""An address that let a try run into its deadline is left alone so long: it must not hold up the others."""
_resting: dict[str, datetime] = {}
"""Until when, by address. Each process finds out for itself."""


def dispatch() -> int:
    """Give each new event its deliveries; how many events. One local transaction: nothing to lease."""
    with transaction.atomic():
        new = Event.objects.filter(dispatch_at__isnull=False).order_by("dispatch_at").values_list("pk", flat=True)
        if connection.features.has_select_for_update_skip_locked:
            new = new.select_for_update(skip_locked=True, no_key=True)
        pks = list(new[:DISPATCH_BATCH])
        if pks:
            plan(pks, urls=settings.EVENT_URLS)
            Event.objects.filter(pk__in=pks).update(dispatch_at=None)
        return len(pks)


def plan(event_ids: list[int], *, urls: list[str]) -> None:
    """A delivery of each event to each address, due now; those that there are stay as they are."""
    now = timezone.now()
    rows = [Delivery(event_id=pk, url=url, since=now, next_try_at=now) for pk in event_ids for url in urls]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)


def deliver(delivery_id: int) -> None:
    """One try at one delivery: what a sweep does with each that is due."""
    delivery = Delivery.objects.select_related("event").get(pk=delivery_id)
    if delivery.status != DeliveryStatus.PENDING:
        return None
    if delivery.url not in settings.EVENT_URLS:
        return end(delivery, DeliveryStatus.GIVEN_UP, Attempt(outcome="not sent: no longer in EVENT_URLS", took_ms=0))
    if timezone.now() < (until := _resting.get(delivery.url, delivery.since)):
        return put_off(delivery, until)
    attempt = post(delivery)
    if attempt.status is not None and 200 <= attempt.status < 300:
        return end(delivery, DeliveryStatus.DELIVERED, attempt)
    logger.warning("event %s to %s: %s", delivery.event.key, delivery.url, attempt.outcome)
    return try_later(delivery, attempt)


def post(delivery: Delivery) -> Attempt:
    """Send it, and note what came of it. Only a 2xx is a yes; a redirect is not followed."""
    body = delivery.event.body.encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Coursepay",
        "Coursepay-Event": delivery.event.key,
        HEADER: sign(body, secrets=settings.EVENT_SECRETS, at=int(time.time())),
    }
    began, status = time.monotonic(), None
    try:
        answer = http_client.post(delivery.url, body, headers=headers, deadline=DEADLINE)
        status, outcome = answer.status, f"HTTP {answer.status}"
        if 300 <= status < 400:
            outcome += ", a redirect: not followed"
    except TimeoutError:
        _resting[delivery.url] = timezone.now() + REST
        outcome = f"no answer within {DEADLINE:.0f} seconds"
    except (OSError, ValueError) as error:
        outcome = f"no answer: {error}"
    took_ms = round((time.monotonic() - began) * 1000)
    return Attempt(status=status, outcome=outcome[:200], took_ms=took_ms)


def put_off(delivery: Delivery, until: datetime) -> None:
    """Not tried: its address rests."""
    Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING).update(next_try_at=until)


def try_later(delivery: Delivery, attempt: Attempt) -> None:
    """Later each time; given up when three days are over (and it was tried in them: we may have been down)."""
    wait = WAITS[min(delivery.times_tried, len(WAITS) - 1)] * random.uniform(0.9, 1.1)  # noqa: S311 - jitter
    at = timezone.now() + wait
    if at > delivery.since + GIVE_UP_AFTER and delivery.times_tried >= len(WAITS):
        logger.error("event %s to %s: given up after three days", delivery.event.key, delivery.url)
        return end(delivery, DeliveryStatus.GIVEN_UP, attempt)
    return note(delivery, attempt, next_try_at=at)


def end(delivery: Delivery, status: DeliveryStatus, attempt: Attempt) -> None:
    note(delivery, attempt, status=status, next_try_at=None, ended_at=timezone.now())


@transaction.atomic
def note(delivery: Delivery, attempt: Attempt, **changes: object) -> None:
    """The log and the delivery together. Where another worker has ended it meanwhile, only the log grows."""
    attempt.delivery, attempt.at = delivery, timezone.now()
    attempt.save(force_insert=True)
    pending = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING)
    pending.update(times_tried=delivery.times_tried + 1, **changes)


@in_transaction
def deliver_again(event_ids: list[int], *, urls: list[str], given_up_only: bool = False) -> None:
    """Send these events to these addresses once more, with three new days of trying.

    With ``given_up_only`` an address that has an event already, or still waits for it, does not get it again.
    """
    now = timezone.now()
    again = {"status": DeliveryStatus.PENDING, "since": now, "times_tried": 0, "next_try_at": now, "ended_at": None}
    rows = Delivery.objects.filter(event_id__in=event_ids, url__in=urls)
    if given_up_only:
        rows.filter(status=DeliveryStatus.GIVEN_UP).update(**again)
    else:
        rows.update(**again)
        plan(event_ids, urls=urls)
    nudge("deliveries")


DELIVERIES = Sweep("deliveries", "next_try_at", Delivery.objects.due, deliver, prepare=dispatch)
