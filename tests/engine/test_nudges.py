"""A change makes a worker act at once, by way of the broker, and a request never waits for the broker."""

import os
import socket
import threading
import time
from pathlib import Path

import kombu
import pytest
from django.db import transaction

from backend.broker import QUEUE, Nudger, _nudger, celery_app, nudge
from backend.orders.models import Order
from backend.payments.models import Payment, Refund
from tests.live.conftest import until
from tests.ports import free_ports
from tests.shop import post_notify

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 30
REFUND = """mutation ($id: ID!) { refundOrder(input: {orderId: $id, reason: "买错了", idempotencyKey: "once"}) {
  __typename ... on UserError { code } } }"""
CANCEL = "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename ... on UserError { code } } }"


@pytest.fixture
def use_broker(settings):
    """Makes this process one of those that nudge by that broker."""

    def use(url):
        settings.CELERY_BROKER_URL = url
        celery_app.cache_clear()
        _nudger.cache_clear()

    yield use
    celery_app.cache_clear()
    _nudger.cache_clear()


@pytest.fixture
def senders(monkeypatch):
    """Each nudge that was sent or given up: in which thread, and whether it was sent."""
    seen, send = [], Nudger.send

    def noted(self, jobs):
        outcome = send(self, jobs)
        seen.append((threading.current_thread().name, outcome))
        return outcome

    monkeypatch.setattr(Nudger, "send", noted)
    return seen


@pytest.fixture
def queue(broker, use_broker):
    """The queue as workers declare it, with no worker: what is sent stays in it."""
    use_broker(broker.url)
    with celery_app().connection_for_write() as connection:
        declared = celery_app().amqp.queues[QUEUE].bind(connection.default_channel)
        declared.declare()
        declared.purge()
    return broker


def taken(url):
    """The job that the first message names, once there is one."""

    def take():
        with kombu.Connection(url) as connection, connection.SimpleQueue(QUEUE_AS_IT_IS) as waiting:
            try:
                message = waiting.get(block=True, timeout=1)
            except waiting.Empty:
                return None
            message.ack()
            return message.payload[0][0]

    return until(take, SECONDS, "a nudge")


QUEUE_AS_IT_IS = kombu.Queue(QUEUE, no_declare=True)


def test_without_beat_a_change_makes_a_worker_act(
    programs, broker, use_broker, control, endpoint, order, staff, alipay
):
    use_broker(broker.url)
    programs.worker(broker.url)
    payment = order.payments.get()

    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    until(lambda: len(endpoint.received) == 2, SECONDS, "the worker to tell that it is paid")
    assert {request.told["type"] for request in endpoint.received} == {"order.paid", "enrollment.opened"}

    assert staff.ask(REFUND, id=order.number)["refundOrder"]["__typename"] == "RefundOrderSuccess"
    until(lambda: Refund.objects.get().times_tried > 0, SECONDS, "the worker to call Alipay for the refund")


def test_without_beat_a_cancelled_order_is_closed_at_alipay(
    programs, broker, use_broker, control, endpoint, order, buyer
):
    use_broker(broker.url)
    programs.worker(broker.url)
    assert buyer.ask(CANCEL, id=order.number)["cancelOrder"]["__typename"] == "CancelOrderSuccess"
    until(lambda: Payment.objects.get().times_asked, SECONDS, "the worker to ask Alipay")
    until(lambda: endpoint.received, SECONDS, "the worker to tell of it")
    assert Payment.objects.get().status == "CLOSING"
    assert endpoint.received[0].told["type"] == "order.cancelled"


def test_what_is_rolled_back_sends_nothing(queue):
    with transaction.atomic():
        nudge("refunds")
        transaction.set_rollback(True)
    with transaction.atomic():
        nudge("payments")
    assert taken(queue.url) == "payments"  # what was sent before it would come before it
    with transaction.atomic():
        nudge("deliveries")
    assert taken(queue.url) == "deliveries"


@pytest.mark.sqlite
def test_many_changes_at_once_are_one_nudge(queue, monkeypatch):
    sent, several = [], threading.Event()

    def send(self, jobs):
        assert several.wait(SECONDS)
        sent.append(jobs)
        return True

    monkeypatch.setattr(Nudger, "send", send)
    for _ in range(500):
        nudge("payments")
    several.set()
    until(lambda: sent, SECONDS, "the nudge")
    nudge("refunds")
    until(lambda: {"refunds"} in [jobs - {"payments"} for jobs in sent], SECONDS, "the next")
    assert len(sent) <= 3


@pytest.fixture
def black_hole():
    """Takes connections and never says a word; who came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            while True:
                try:
                    came.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)
        for connection in came:
            connection.close()


@pytest.mark.sqlite
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_broker_that_refuses_costs_the_request_nothing(use_broker, senders, payment, alipay, scheme):
    (port,) = free_ports(1)
    use_broker(f"{scheme}://127.0.0.1:{port}//")
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    assert Order.objects.get().status == "PAID"
    until(lambda: senders, SECONDS, "a nudge to be given up")
    assert set(senders) == {("nudges", False)}


@pytest.mark.sqlite
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_broker_that_never_answers_costs_the_request_nothing(
    use_broker, senders, black_hole, payment, alipay, scheme
):
    port, came = black_hole
    use_broker(f"{scheme}://127.0.0.1:{port}//")
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    assert Order.objects.get().status == "PAID"
    until(lambda: senders, SECONDS, "a nudge to be given up")
    assert came
    assert set(senders) == {("nudges", False)}


@pytest.mark.sqlite
def test_after_the_brokers_return_nudges_come_again(queue, use_broker, monkeypatch):
    monkeypatch.setattr("backend.broker.QUIET_AFTER_FAILURE", 0.2)
    nudge("payments")
    assert taken(queue.url) == "payments"
    queue.settle(QUEUE)
    queue.kill()
    nudge("payments")
    queue.start()

    with celery_app().connection_for_write() as connection:  # as a worker's return declares it
        celery_app().amqp.queues[QUEUE].bind(connection.default_channel).declare()
    deadline, came = time.monotonic() + SECONDS, None
    while came is None and time.monotonic() < deadline:
        nudge("refunds")
        came = first_of("refunds", queue.url)
    assert came == "refunds"


def first_of(job, url):
    with kombu.Connection(url) as connection, connection.SimpleQueue(QUEUE_AS_IT_IS) as waiting:
        try:
            message = waiting.get(block=True, timeout=1)
        except waiting.Empty:
            return None
        message.ack()
        return message.payload[0][0] if message.payload[0][0] == job else None


@pytest.mark.sqlite
def test_a_child_forked_after_a_nudge_nudges_too(queue):
    """A server that loads the shop once and forks: thread and connection stay behind with the parent."""
    nudge("payments")
    assert taken(queue.url) == "payments"
    parents = sockets(os.getpid())
    child = os.fork()
    if child == 0:
        try:
            transaction.on_commit = lambda send, robust: send()  # the database is the parent's, too
            nudge("refunds")
            until(lambda: not _nudger(os.getpid()).wanted, SECONDS, "the nudge to be taken")
            time.sleep(SECONDS)
        finally:
            os._exit(1)
    try:
        assert taken(queue.url) == "refunds"
        assert sockets(child) - parents, "it speaks over its parent's connection"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    nudge("deliveries")
    assert taken(queue.url) == "deliveries"


def sockets(pid):
    """The open ones of a process, by the kernel's numbers."""
    opened = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    return {name for name in opened if name.startswith("socket:")}
