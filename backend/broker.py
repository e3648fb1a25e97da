"""The message broker, where there is one: Celery's app, and nudges.

The rows say what is due and every job is looked at every second or so anyway; a nudge only shortens the wait. So it may
be lost, and it never costs a request anything: a thread of its own sends it, at most a few a second for each job.
"""

import contextlib
import logging
import os
import threading
import time
from functools import cache

from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu import Queue

logger = logging.getLogger("coursepay.broker")

QUEUE = "coursepay"
TASK = "coursepay.job"
NUDGE_PAUSE = 0.1
QUIET_AFTER_FAILURE = 5.0
"""Seconds in which no nudge is sent after one that failed: the broker is away, and the sweeps go on without it."""
PATIENCE = 5.0
"""Seconds that the broker may take to answer: redis-py would wait for ever, and so would a confirmation."""


@cache
def celery_app() -> Celery:
    """Celery over CELERY_BROKER_URL, set so that a job is lost with no worker and no broker (Celery manual, tasks)."""
    app = Celery("coursepay", broker=settings.CELERY_BROKER_URL, set_as_current=True)
    on_rabbitmq = settings.CELERY_BROKER_URL.startswith("amqp")
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # Celery's own 100 would end every worker after an hour without a broker
        task_default_queue=QUEUE,
        timezone=settings.TIME_ZONE,
        broker_transport_options={"confirm_publish": True} if on_rabbitmq else {"visibility_timeout": 3600},
        beat_schedule_filename=str(settings.VAR_DIR / "celerybeat-schedule"),
    )
    if on_rabbitmq:
        # Replicated, and written to disk before it is confirmed.
        app.conf.task_queues = [Queue(QUEUE, queue_arguments={"x-queue-type": "quorum"})]
        app.conf.worker_detect_quorum_queues = True
    return app


def nudge(job: str) -> None:
    """Once this transaction is committed, let a worker look at ``job`` now. Never fails."""
    if settings.CELERY_BROKER_URL:
        transaction.on_commit(lambda: _nudger(os.getpid()).nudge(job), robust=True)


@cache
def _nudger(process: int) -> "Nudger":
    """One in each process: a thread does not survive a fork."""
    return Nudger()


class Nudger:
    """Sends each wanted job's name once, however often it was wanted meanwhile.

    Its connection is its own: Celery's pool would be shared with what the process forks.
    """

    def __init__(self) -> None:
        limits = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        self.connection = celery_app().connection_for_write(transport_options=limits)
        self.wanted: set[str] = set()
        self.woken = threading.Event()
        threading.Thread(target=self.run, name="nudges", daemon=True).start()

    def nudge(self, job: str) -> None:
        self.wanted.add(job)
        self.woken.set()

    def run(self) -> None:
        while True:
            self.woken.wait()
            self.woken.clear()
            jobs = set(self.wanted)
            self.wanted.difference_update(jobs)
            time.sleep(NUDGE_PAUSE if self.send(jobs) else QUIET_AFTER_FAILURE)

    def send(self, jobs: set[str]) -> bool:
        with contextlib.suppress(Exception):  # whatever is wrong with the broker: the sweeps need no nudge
            for job in jobs:
                celery_app().send_task(
                    TASK, args=[job], expires=10, retry=False, confirm_timeout=PATIENCE, connection=self.connection
                )
            return True
        logger.warning("the broker does not answer: jobs are looked at by the clock alone")
        return False
