"""Telling of a change: beside the money path, after the commit, in as few messages as it takes."""

import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from backend import live
from backend.live import publishing
from backend.live.publishing import Publisher
from backend.orders.lifecycle import mark_timed_out, record
from tests.shop import post_notify
from tests.stream.listener import PATIENCE, publisher_idle, until


def test_a_dead_redis_costs_a_notify_nothing(settings, monkeypatch, payment, alipay):
    """The request only fills a queue: whoever speaks to Redis, it is not its thread; and it is tried once."""
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    tries, done = [], threading.Event()
    sender = publishing.redis_sender

    def watched(url):
        send = sender(url)

        def tried(message):
            tries.append((threading.current_thread(), message))
            try:
                send(message)
            finally:
                done.set()

        return tried

    connects = []
    monkeypatch.setattr(publishing, "redis_sender", watched)
    connect = publishing_connection()
    monkeypatch.setattr(connect, "_connect", lambda self: connects.append(1) or refuse())
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    assert done.wait(PATIENCE)
    publisher_idle()
    assert [message for _, message in tries] == [payment.order.number]
    assert tries[0][0] is not threading.current_thread()
    assert connects == [1]


def publishing_connection():
    from redis.connection import Connection

    return Connection


def refuse():
    raise ConnectionRefusedError


def test_a_publisher_that_cannot_send_goes_on(caplog):
    sent = []

    def send(message):
        sent.append(message)
        if len(sent) < 3:
            raise OSError

    publisher = Publisher(send)
    for number in ("1", "2", "3"):
        publisher.put(number)
        assert publisher.settle(PATIENCE)
    assert sent == ["1", "2", "3"]
    assert len([line for line in caplog.messages if "cannot be told" in line]) == 1


def test_what_waits_is_sent_together_and_once():
    gate, sent = threading.Event(), []

    def send(message):
        sent.append(message)
        gate.wait(PATIENCE)

    publisher = Publisher(send)
    publisher.put("first")
    until(lambda: sent)
    for number in ["a", "b", "a"] + [str(n) for n in range(99)]:
        publisher.put(number)
    assert not publisher.settle(0)
    gate.set()
    assert publisher.settle(PATIENCE)
    assert sent[1].split()[:3] == ["a", "b", "0"]
    assert [len(message.split()) for message in sent] == [1, 99, 2]  # a hundred were taken, one of them twice


def test_what_comes_while_the_publisher_rests_is_sent_together(monkeypatch):
    sent, resting, may = [], threading.Event(), threading.Event()
    monkeypatch.setattr(publishing.time, "sleep", lambda seconds: (resting.set(), may.wait(PATIENCE)))
    publisher = Publisher(sent.append)
    publisher.put("first")
    assert resting.wait(PATIENCE)
    assert sent == ["first"]
    for number in ("a", "b", "c"):
        publisher.put(number)
    may.set()
    assert publisher.settle(PATIENCE)
    assert sent == ["first", "a b c"]


def test_a_queue_that_is_full_drops_and_does_not_wait(monkeypatch):
    monkeypatch.setattr(publishing, "MOST_QUEUED", 2)
    gate = threading.Event()
    publisher = Publisher(lambda message: gate.wait(PATIENCE))
    for _ in range(10):
        publisher.put("1")
    assert publisher._queue.qsize() <= 2
    gate.set()


def test_only_what_a_client_could_wait_for_is_told(monkeypatch, order, payment):
    told = []
    monkeypatch.setattr(live, "announce", told.append)
    record(order, "payment.closed", at=order.created_at)
    mark_timed_out(order, now=order.created_at)
    assert told == [order.number] * 2
    record(order, "refund.requested", at=order.created_at)
    assert told == [order.number] * 2


def test_telling_needs_no_statement(order, settings):
    with CaptureQueriesContext(connection) as queries:
        live.announce(order.number)
    assert len(queries) == 0


def test_nothing_is_told_before_the_commit(redis, monkeypatch, order):
    told = []
    monkeypatch.setattr(publishing.Publisher, "put", lambda self, number: told.append(number))
    with transaction.atomic():
        mark_timed_out(order, now=order.created_at)
        assert told == []
    assert told == [order.number]
    told.clear()
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        live.announce(order.number)
        raise RuntimeError
    assert told == []
