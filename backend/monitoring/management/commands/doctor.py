"""Ask everything that the shop stands on whether it is as it must be."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from backend.monitoring.doctor import examine

MARKS = {"ok": "ok", "warning": "LOOK", "failed": "WRONG"}


class Command(BaseCommand):
    help = "Check settings, database, keys, gateway, notify address, Redis, broker, bills and work; exit 1 if wrong."
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django has it; they are a line of the table

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = 0
        for finding in examine():
            wrong += finding.state == "failed"
            line = f"{MARKS[finding.state]:>6}  {finding.name:<15} {finding.detail}"
            self.stdout.write(line, self.style.ERROR if finding.state == "failed" else None)
            if finding.state != "ok" and finding.mend:
                self.stdout.write(f"{'':>25}{finding.mend}")
        if wrong:
            self.stdout.write(f"\n{wrong} wrong.")
            sys.exit(1)
        self.stdout.write("\nNothing is wrong.")
