"""Sends events once more: after an endpoint was mended, or for a new one."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from backend.events.delivery import deliver_again
from backend.events.models import DeliveryStatus, Event
from backend.events.outbox import PUBLIC

AT_ONCE = 500


class Command(BaseCommand):
    help = "Send events once more: by default those that were given up. run_jobs or Celery then delivers them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="Also those that were delivered, or never sent.")
        parser.add_argument("--id", action="append", default=[], help="One event by its id, evt_…; may be repeated.")
        parser.add_argument("--order", help="The events of one order, by its number.")
        parser.add_argument("--name", choices=sorted(PUBLIC), help="Events of one name.")
        parser.add_argument("--since", help="Events since a day or time: 2026-11-01 or 2026-11-01T12:00+08:00.")
        parser.add_argument("--url", action="append", default=[], help="Only to this address of EVENT_URLS.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many.")

    def handle(self, *args: Any, **options: Any) -> None:
        urls = options["url"] or settings.EVENT_URLS
        if not urls:
            raise CommandError("There is no address to send to: set EVENT_URLS.")
        if strangers := set(urls) - set(settings.EVENT_URLS):
            raise CommandError(f"Not in EVENT_URLS: {', '.join(sorted(strangers))}")
        events = Event.objects.order_by("pk")
        if options["order"] is not None:
            events = events.filter(order_number=options["order"])
        if options["name"]:
            events = events.filter(name=options["name"])
        if options["since"] is not None:
            events = events.filter(created_at__gte=moment(options["since"]))
        if options["id"]:
            events = named(events, options["id"])
        if given_up_only := not options["all"] and not options["id"]:
            lost = {"deliveries__status": DeliveryStatus.GIVEN_UP, "deliveries__url__in": urls}
            events = events.filter(**lost).distinct()
        pks = list(events.values_list("pk", flat=True))
        if not options["dry_run"]:
            for start in range(0, len(pks), AT_ONCE):
                deliver_again(pks[start : start + AT_ONCE], urls=urls, given_up_only=given_up_only)
        verb = "would be" if options["dry_run"] else "are"
        self.stdout.write(f"{len(pks)} events {verb} sent again to {', '.join(urls)}.")


def named(events: QuerySet[Event], keys: list[str]) -> QuerySet[Event]:
    if unknown := set(keys) - set(Event.objects.filter(key__in=keys).values_list("key", flat=True)):
        raise CommandError(f"There is no event {', '.join(sorted(unknown))}.")
    return events.filter(key__in=keys)


def moment(text: str) -> datetime:
    """A day (its first moment in Beijing) or a time."""
    try:
        if (at := parse_datetime(text)) is None and (day := parse_date(text)) is not None:
            at = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - made aware below
    except ValueError:
        at = None
    if at is None:
        raise CommandError(f"{text!r} is neither a day nor a time: write 2026-11-01 or 2026-11-01T12:00+08:00.")
    return at if timezone.is_aware(at) else timezone.make_aware(at)
