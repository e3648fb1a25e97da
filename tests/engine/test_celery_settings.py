"""What Celery is told, as `celery -A backend …` finds it, and what a wrong set-up is told."""

import json
import os

import kombu
import pytest
from celery import Celery

from backend.broker import QUEUE, TASK
from backend.payments.jobs import JOBS
from tests.engine.due import make_orders
from tests.engine.gateway import PATIENCE, Gate, gateway
from tests.engine.programs import ROOT, environment
from tests.live.conftest import until
from tests.startup.trees import run

LOOK = """
import json
from backend.celery import app, run_job
app.finalize()
names = ("task_acks_late", "task_reject_on_worker_lost", "worker_prefetch_multiplier", "broker_transport_options")
schedule = {name: (entry["task"], entry["args"], entry["schedule"],
                   entry["options"]["expires"]) for name, entry in app.conf.beat_schedule.items()}
print("LOOK" + json.dumps({"conf": {name: app.conf[name] for name in names}, "schedule": schedule,
      "retries": app.conf.broker_connection_max_retries}))
"""


def shell(url, code=LOOK):
    return python(url, "manage.py", "shell", "--verbosity", "0", "-c", code).said


def python(url, *arguments):
    return run(ROOT, *arguments, **{**os.environ, **environment(CELERY_BROKER_URL=url)})


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("url", "options"),
    [("amqp://127.0.0.1", {"confirm_publish": True}), ("redis://127.0.0.1", {"visibility_timeout": 3600})],
)
def test_the_settings_and_the_schedule(url, options):
    said = shell(url)
    found = json.loads(said.rpartition("LOOK")[2])
    assert found["conf"] == {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "broker_transport_options": options,
    }
    assert found["retries"] is None
    assert found["schedule"] == {
        job.name: ["coursepay.job", [job.name], job.every, max(2 * job.every, 5)] for job in JOBS
    }


@pytest.mark.sqlite
def test_an_unknown_job_is_an_old_beats():
    assert "DONE 0" in shell("redis://127.0.0.1", "from backend.celery import run_job; print('DONE', run_job('gone'))")


@pytest.mark.sqlite
@pytest.mark.parametrize("url", ["http://127.0.0.1", "rabbitmq", "sqs://"])
def test_another_kind_of_broker_is_refused(url):
    outcome = python(url, "manage.py", "check")
    assert outcome.code != 0
    assert "CELERY_BROKER_URL must begin with amqp:// (RabbitMQ) or redis://" in outcome.said


@pytest.mark.sqlite
@pytest.mark.parametrize("program", ["worker", "beat"])
def test_celery_without_a_broker_says_the_mend(program):
    outcome = python("", "-m", "celery", "-A", "backend", program)
    assert outcome.code != 0
    assert "CELERY_BROKER_URL is not set" in outcome.said
    assert "manage.py run_jobs" in outcome.said


@pytest.mark.django_db(transaction=True)
def test_rabbitmqs_queue_is_a_quorum_queue(programs, rabbitmq):
    programs.worker(rabbitmq.url)
    with kombu.Connection(rabbitmq.url) as connection:
        # RabbitMQ refuses whoever declares a queue otherwise than it is (AMQP 0-9-1, queue.declare).
        kombu.Queue(QUEUE, queue_arguments={"x-queue-type": "quorum"}).bind(connection.channel()).declare()
        with pytest.raises(connection.channel_errors, match="PRECONDITION_FAILED"):
            kombu.Queue(QUEUE, queue_arguments={"x-queue-type": "classic"}).bind(connection.channel()).declare()


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_worker_had_taken_is_in_the_queue_again(programs, rabbitmq, order_held):
    """A message is acknowledged when its work is done, not before."""
    gate = order_held
    worker = programs.worker(rabbitmq.url)
    with kombu.Connection(rabbitmq.url) as connection:
        send(connection, "payments")
        worker.wait_until(lambda: gate.waiting == 1)
        assert left(connection) == 0
        worker.kill()
        until(lambda: left(connection) == 1, PATIENCE, "the message to come back")


@pytest.fixture
def order_held(programs):
    """One order is due, and Alipay does not answer."""
    gate = Gate()
    make_orders(1)
    with gateway(gate) as alipay:
        programs.env["ALIPAY_GATEWAY_URL"] = alipay.url
        yield gate
        gate.is_open.set()


def left(connection):
    """How many messages wait."""
    return kombu.Queue(QUEUE).bind(connection.default_channel).queue_declare(passive=True).message_count


def send(connection, job):
    """As any Celery does."""
    queue = kombu.Queue(QUEUE, no_declare=True)
    Celery(set_as_current=False).send_task(TASK, args=[job], connection=connection, queue=queue)
