"""The background work of the shop in one process, without a server."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from backend.payments.discrepancies import close_resolved
from backend.payments.jobs import SWEEPS, run_due, run_everything_due


class Command(BaseCommand):
    help = "Query open payments, time orders out, carry refunds out: until stopped, or once over all that is due now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Every sweep over everything due now, then exit.")
        parser.add_argument("--pause", type=float, default=1.0, help="Seconds between two looks when idle.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write(f"{run_everything_due()} rows handled.")
            return
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.is_set():
            close_old_connections()
            if not self.look(stopped):
                stopped.wait(options["pause"])

    def look(self, stopped: threading.Event) -> int:
        """One batch of each sweep; a database that is away is waited for."""
        done = 0
        for sweep in SWEEPS:
            try:
                done += 0 if stopped.is_set() else run_due(sweep)
            except Exception as error:
                self.stderr.write(f"{sweep.name}: {error}")
        return done or close_resolved()
