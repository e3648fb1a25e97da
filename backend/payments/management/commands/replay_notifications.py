"""Take kept notifies in again: those that are verified and whose effect is not committed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.payments.models import Notification
from backend.payments.notifications import replay, unhandled


class Command(BaseCommand):
    help = (
        "Verify and apply kept notifies again: all that are genuine and not applied yet, or one by its id."
        " Safe to repeat: an effect is had once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--id", type=int, help="Only this notification, whatever its verdict.")

    def handle(self, *args: Any, **options: Any) -> None:
        messages = unhandled() if options["id"] is None else list(Notification.objects.filter(pk=options["id"]))
        if options["id"] is not None and not messages:
            raise CommandError(f"There is no notification {options['id']}.")
        applied = 0
        for message in messages:
            done = replay(message)
            applied += done
            message.refresh_from_db()
            self.stdout.write(f"{message.pk} {message.out_trade_no} {message.verdict} {message.reason}")
        self.stdout.write(f"{applied} of {len(messages)} applied.")
