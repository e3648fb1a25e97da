"""The background work of the shop in one process, without a server."""

import signal
import threading
import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from backend.payments.jobs import JOBS, run_everything_due
from backend.sweeps import Chore, Sweep


class Command(BaseCommand):
    help = (
        "Query open payments, time orders out, carry refunds out, deliver events, compare bills: until stopped, or "
        "once over all that is due now."
    )

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
        next_looks = dict.fromkeys((job.name for job in JOBS), 0.0)
        with ThreadPoolExecutor(settings.JOB_THREADS) as self.workers:
            while not stopped.is_set():
                close_old_connections()
                done = [self.look(job, next_looks) for job in JOBS if not stopped.is_set()]
                if not any(done):
                    stopped.wait(options["pause"])

    def look(self, job: Sweep | Chore, next_looks: dict[str, float]) -> int:
        """One batch of a job whose time has come, at once again while there is more; a database that is away is waited
        for."""
        if time.monotonic() < next_looks[job.name]:
            return 0
        try:
            done = job.run(self.workers)
        except Exception as error:
            self.stderr.write(f"{job.name}: {error}")
            done = 0
        next_looks[job.name] = time.monotonic() + (0 if done else job.every)
        return done
