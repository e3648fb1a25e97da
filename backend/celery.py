"""The jobs on many machines: ``celery -A backend worker`` on each, ``celery -A backend beat`` on one.

Beat says by the clock which job to look at; nudges say it sooner (see broker). A lost message only delays a job until
the next one.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

from celery import Celery
from celery.signals import import_modules
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from backend.broker import TASK, celery_app

TASK_SECONDS = 20.0
"""A task goes on while there is work, at most so long: then others get their turn."""

if not settings.CELERY_BROKER_URL:
    raise ImproperlyConfigured(
        "CELERY_BROKER_URL is not set. Set it to amqp://… or redis://…, or run the jobs without a server: "
        "manage.py run_jobs"
    )

app = celery_app()


@import_modules.connect(sender=app)
def start(**kwargs: Any) -> None:
    """Of a worker and of beat. Celery runs Django's system checks here as well, and looks at none of their findings."""
    from backend.checks import refuse_wrong_setup

    refuse_wrong_setup()


@app.task(name=TASK)
def run_job(name: str) -> int:
    """Look at one job until nothing of it is due; how many rows. An unknown name is an old beat's: nothing to do."""
    from backend.payments.jobs import JOBS

    job = next((job for job in JOBS if job.name == name), None)
    done, ends = 0, time.monotonic() + TASK_SECONDS
    if job is None:
        return 0
    with ThreadPoolExecutor(settings.JOB_THREADS) as workers:
        while time.monotonic() < ends and (rows := job.run(workers)):
            done += rows
    return done


@app.on_after_finalize.connect
def schedule(sender: Celery, **kwargs: Any) -> None:
    """Every job by its clock. A message that found no worker in time is dropped: the next one says the same."""
    from backend.payments.jobs import JOBS

    for job in JOBS:
        sender.add_periodic_task(job.every, run_job.s(job.name), name=job.name, expires=max(2 * job.every, 5))
