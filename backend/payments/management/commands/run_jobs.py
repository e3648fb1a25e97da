"""The background work of the shop in one process, without a server."""

import logging
import signal
import threading
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from backend.checks import refuse_wrong_setup
from backend.payments.jobs import JOBS, run_everything_due
from backend.sweeps import Chore, Sweep

logger = logging.getLogger("coursepay.jobs")


class Command(BaseCommand):
    help = (
        "Query open payments, time orders out, carry refunds out, deliver events, compare bills: until stopped, or "
        "once over all that is due now."
    )

    def check(self, **options: Any) -> None:  # type: ignore[override]
        """What every command does before it begins, and the database's own settings too."""
        refuse_wrong_setup()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Every job over everything due now, then exit.")
        parser.add_argument("--pause", type=float, default=1.0, help="Seconds between two looks when idle.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write(f"{run_everything_due()} rows handled.")
            return
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        # A thread for each job: an event's address that hangs must not keep money waiting.
        looking = [threading.Thread(target=self.keep_looking, args=(job, stopped, options["pause"])) for job in JOBS]
        for thread in looking:
            thread.start()
        for thread in looking:
            thread.join()

    def keep_looking(self, job: Sweep | Chore, stopped: threading.Event, pause: float) -> None:
        """One batch after another while there is work, then a pause; a database that is away is waited for."""
        with ThreadPoolExecutor(settings.JOB_THREADS) as workers:
            while not stopped.is_set():
                close_old_connections()
                try:
                    done = job.run(workers)
                except Exception as error:
                    logger.error("%s: %s", job.name, error)  # no traceback: each second one, while the database is away
                    done = 0
                close_old_connections()
                if not done:
                    stopped.wait(pause if job.every <= 1 else job.every)
