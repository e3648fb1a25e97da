"""Delivery to a real HTTP endpoint: what is a yes, what is tried again, when, and what the log says of it."""

import json
import logging
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from backend.courses.models import Course
from backend.events import delivery as delivering
from backend.events.delivery import DELIVERIES, dispatch
from backend.events.models import Attempt, Delivery, Event
from backend.orders.models import Order
from backend.sweeps import lease_time
from tests.events.conftest import deliver_all, log, new_event, next_try
from tests.events.endpoint import SECRET
from tests.shop import post_notify

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = 60, 3600, 86400
WAITS = [5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]
JITTER = 0.1


# --- A yes ------------------------------------------------------------------------------------------------------------


def test_a_purchase_arrives_signed(endpoint, alipay, order, payment):
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    assert deliver_all() == 2
    received = {request.told["type"]: request for request in endpoint.received}  # due at once, in no certain order
    assert set(received) == {"order.paid", "enrollment.opened"}
    for event in Event.objects.all():
        request = received[event.name]
        assert (request.method, request.path) == ("POST", "/hooks?shop=1")
        assert request.genuine
        assert request.body == event.body.encode()
        assert request.headers["content-type"] == "application/json"
        assert request.headers["user-agent"] == "Coursepay"
        assert request.headers["coursepay-event"] == request.told["id"] == event.key
        assert int(request.headers["content-length"]) == len(request.body)
    assert received["order.paid"].told["data"]["lines"][0]["name"] == "Python 全栈开发"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_a_yes(endpoint, deliver_after, status):
    endpoint.answers = [status]
    event = new_event()
    deliver_after()
    row = Delivery.objects.get()
    assert (row.event, row.url, row.status, row.times_tried) == (event, endpoint.url, "DELIVERED", 1)
    assert (row.next_try_at, row.ended_at) == (None, timezone.now())
    assert log() == [(status, f"HTTP {status}")]
    deliver_after(4 * DAY)
    assert len(endpoint.received) == 1


def test_a_yes_with_more_to_say_than_anybody_reads(endpoint, deliver_after):
    endpoint.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000]
    new_event()
    deliver_after()
    assert log() == [(200, "HTTP 200")]


def test_signed_with_each_of_two_secrets_while_one_is_changed(endpoint, settings):
    settings.EVENT_SECRETS = ["the next secret of all", SECRET]
    new_event()
    deliver_all()
    assert endpoint.received[0].genuine
    assert endpoint.received[0].headers["coursepay-signature"].count("v1=") == 2


# --- No yes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 400, 401, 404, 410, 429, 500, 502, 503, 599])
def test_any_other_answer_is_tried_again(endpoint, deliver_after, status):
    endpoint.answers = [status, 200]
    new_event()
    deliver_after()
    row = Delivery.objects.get()
    assert (row.status, row.times_tried, row.ended_at) == ("PENDING", 1, None)
    deliver_after(6)
    row.refresh_from_db()
    assert (row.status, row.times_tried) == ("DELIVERED", 2)
    assert [code for code, _ in log()] == [status, 200]
    assert endpoint.keys() == [row.event.key] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(endpoint, make_endpoint, deliver_after, status):
    elsewhere = make_endpoint()
    endpoint.answers = [f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url}\r\n\r\n".encode()]
    new_event()
    deliver_after()
    assert elsewhere.received == []
    assert Delivery.objects.get().status == "PENDING"
    assert log() == [(status, f"HTTP {status}, a redirect: not followed")]


GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "nothing": b"",
    "a status of letters": b"HTTP/1.1 OK OK\r\n\r\n",
    "a status beyond HTTP": b"HTTP/1.1 1200 OK\r\n\r\n",
    "half a status line": b"HTTP/1.1 2",
    "bytes of no text": bytes(range(128, 256)) * 4,
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 100_000,
    "a header line without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    "a NUL": b"\0HTTP/1.1 200 OK\0\r\n\r\n",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_no_answer(endpoint, deliver_after, what):
    endpoint.answers = [GARBAGE[what], 200]
    new_event()
    deliver_after()
    assert Delivery.objects.get().status == "PENDING"
    ((status, outcome),) = log()
    assert status is None
    assert outcome.startswith("no answer: ")
    deliver_after(6)
    assert Delivery.objects.get().status == "DELIVERED"


def test_a_refused_connection(endpoint, deliver_after):
    endpoint.down()
    new_event()
    deliver_after()
    ((status, outcome),) = log()
    assert status is None
    assert "refused" in outcome
    endpoint.up()
    deliver_after(6)
    assert Delivery.objects.get().status == "DELIVERED"


@pytest.fixture
def silence():
    """Set when the test is over: until then an endpoint may keep silent."""
    over = threading.Event()
    yield over
    over.set()


def say_nothing(over):
    return lambda handler: over.wait(30)


def say_a_byte_and_no_more(over):
    def answer(handler):
        handler.wfile.write(b"H")
        over.wait(30)

    return answer


def drip(over):
    """A byte now and then, without end: every single read is quick, the whole never is."""

    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.02):
            handler.wfile.write(b"x")

    return answer


@pytest.mark.parametrize("slowness", [say_nothing, say_a_byte_and_no_more, drip])
def test_a_slow_answer_is_cut_off_at_the_deadline(endpoint, silence, monkeypatch, slowness):
    monkeypatch.setattr(delivering, "DEADLINE", 0.2)
    endpoint.answers = [slowness(silence), 200]
    new_event()
    assert deliver_all() == 1
    assert Delivery.objects.get().status == "PENDING"
    assert log() == [(None, "no answer within 0 seconds")]
    assert Attempt.objects.get().took_ms >= 200


def test_an_address_that_hangs_rests_and_the_other_is_told_meanwhile(two, silence, deliver_after, monkeypatch):
    monkeypatch.setattr(delivering, "DEADLINE", 0.2)
    hanging, live = two
    hanging.answers = [say_nothing(silence), 200]
    for _ in range(5):
        new_event()
    deliver_after()
    assert len(live.received) == 5
    assert Attempt.objects.filter(delivery__url=hanging.url).count() == 1
    assert Delivery.objects.filter(url=hanging.url, status="PENDING").count() == 5
    deliver_after(delivering.REST.total_seconds())
    assert not Delivery.objects.filter(status="PENDING").exists()
    assert Attempt.objects.filter(delivery__url=hanging.url).count() == 6


def test_the_deadline_is_ten_seconds_and_within_the_lease(settings):
    assert delivering.DEADLINE == 10
    assert lease_time() > timedelta(seconds=2 * delivering.DEADLINE)


@pytest.mark.parametrize("url", ["http://no such host/", "http://[::1/", "http://127.0.0.1:99999/", "nothing at all"])
def test_an_address_that_is_none_is_tried_like_any_that_does_not_answer(clock, settings, url):
    """The start-up check refuses these; a worker that was started around it must not fall over them."""
    settings.EVENT_URLS, settings.EVENT_SECRETS = [url], [SECRET]
    new_event()
    deliver_all()
    ((status, outcome),) = log()
    assert status is None
    assert outcome.startswith("no answer: ")
    assert Delivery.objects.get().times_tried == 1


# --- Again, and the same --------------------------------------------------------------------------------------------


def test_the_body_never_changes_between_tries_and_the_signature_is_fresh(endpoint, deliver_after, alipay, payment):
    endpoint.answers = [500, 500, 500, 200]
    post_notify(alipay.paid_notify(payment))
    Event.objects.filter(name="enrollment.opened").delete()
    deliver_after()
    Course.objects.update(name="Renamed", price_fen=1)
    Order.objects.update(subject="another")
    for _ in range(3):
        deliver_after(3 * MINUTE)
    assert len(endpoint.received) == 4
    assert {request.body for request in endpoint.received} == {Event.objects.get().body.encode()}
    assert len({request.headers["coursepay-signature"] for request in endpoint.received}) == 4
    assert [request.genuine for request in endpoint.received] == [True] * 4


def test_the_waits_grow_as_documented_and_end_after_three_days(endpoint, clock, deliver_after, caplog):
    endpoint.answers = [500]
    new_event()
    deliver_after()
    waits = []
    while Delivery.objects.filter(status="PENDING").exists():
        waits.append(next_try())
        assert deliver_after(waits[-1] - 1) == 0, "not a second sooner"
        assert deliver_after(1.001) == 1
    expected = (WAITS + [8 * HOUR] * 20)[: len(waits)]
    ratios = [wait / said for wait, said in zip(waits, expected, strict=True)]
    assert all(1 - JITTER - 0.001 <= ratio <= 1 + JITTER for ratio in ratios)
    assert len({round(ratio, 4) for ratio in ratios}) > len(ratios) // 2, "many that failed together come back apart"
    assert 3 * DAY - 8 * HOUR * 1.1 <= sum(waits) <= 3 * DAY
    row = Delivery.objects.get()
    assert (row.status, row.next_try_at, row.ended_at) == ("GIVEN_UP", None, timezone.now())
    assert row.times_tried == len(waits) + 1 == len(endpoint.received) == row.attempts.count()
    last = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in last] == [
        f"event {row.event.key} to {row.url}: given up after three days"
    ]
    deliver_after(9 * DAY)
    assert len(endpoint.received) == row.times_tried


def test_three_days_in_which_nobody_tried_do_not_count(endpoint, deliver_after):
    """We were down ourselves: the endpoint still gets all its tries."""
    endpoint.answers = [500, 500, 200]
    new_event()
    deliver_after()
    deliver_after(10 * DAY)
    assert Delivery.objects.get().status == "PENDING"
    deliver_after(MINUTE)
    assert Delivery.objects.get().status == "DELIVERED"


def test_down_for_a_day_and_back_everything_arrives(endpoint, deliver_after):
    endpoint.down()
    keys = []
    for hour in range(24):
        keys += [new_event(number=f"20261122{hour:08d}").key for _ in range(2)]
        for _ in range(4):
            deliver_after(HOUR / 4)
    assert endpoint.received == []
    assert not Delivery.objects.exclude(status="PENDING").exists()
    assert {next_try() > 0, Delivery.objects.count()} == {True, 48}
    endpoint.up()
    for _ in range(9):
        deliver_after(HOUR)
    assert sorted(endpoint.keys()) == sorted(keys)
    assert all(request.genuine for request in endpoint.received)
    assert not Delivery.objects.exclude(status="DELIVERED").exists()
    for row in Delivery.objects.all():
        *failed, (status, outcome) = log(row)
        assert (status, outcome) == (200, "HTTP 200")
        assert {status for status, _ in failed} == {None}
        assert all("refused" in outcome for _, outcome in failed)
        assert row.times_tried == len(failed) + 1
    first = log(Delivery.objects.get(event__key=keys[0]))
    assert 10 <= len(first) <= 13, "eight quick tries, then one every eight hours"


def test_a_storm_of_answers_ends_with_each_event_delivered(endpoint, deliver_after):
    """Every kind of failure in turn, over many events."""
    endpoint.answers = [500, b"", 302, GARBAGE["no HTTP"], 404, 200, 503, b"HTTP/1.1 2", 200, 429, 200]
    keys = {new_event().key for _ in range(8)}
    for _ in range(12):
        deliver_after(9 * HOUR)
    assert set(endpoint.keys()) == keys
    assert set(Delivery.objects.values_list("status", flat=True)) == {"DELIVERED"}
    assert sum(row.times_tried for row in Delivery.objects.all()) == len(endpoint.received) == Attempt.objects.count()


# --- Several addresses, and none --------------------------------------------------------------------------------------


@pytest.fixture
def two(make_endpoint, settings):
    endpoints = make_endpoint(), make_endpoint()
    settings.EVENT_URLS, settings.EVENT_SECRETS = [endpoint.url for endpoint in endpoints], [SECRET]
    return endpoints


def test_each_address_is_told_once(two):
    events = [new_event() for _ in range(3)]
    assert deliver_all() == 6
    for endpoint in two:
        assert sorted(endpoint.keys()) == sorted(event.key for event in events)


def test_a_dead_address_does_not_hold_up_the_other(two, deliver_after):
    dead, alive = two
    dead.down()
    for _ in range(30):
        new_event()
    deliver_after()
    assert len(set(alive.keys())) == len(alive.received) == 30
    by_url = {endpoint.url: set(Delivery.objects.filter(url=endpoint.url).values_list("status", flat=True))
              for endpoint in two}  # fmt: skip
    assert by_url == {dead.url: {"PENDING"}, alive.url: {"DELIVERED"}}
    dead.up()
    deliver_after(6)
    assert len(dead.received) == len(alive.received) == 30


def test_an_address_that_was_removed_is_told_nothing_more(two, deliver_after, settings):
    gone, kept = two
    gone.answers = [500]
    new_event()
    deliver_after()
    settings.EVENT_URLS = [kept.url]
    gone.answers = [200]
    deliver_after(6)
    assert len(gone.received) == 1
    row = Delivery.objects.get(url=gone.url)
    assert (row.status, row.next_try_at) == ("GIVEN_UP", None)
    assert log(row) == [(500, "HTTP 500"), (None, "not sent: no longer in EVENT_URLS")]
    new_event()
    deliver_after()
    assert (len(gone.received), len(kept.received)) == (1, 2)


def test_an_address_that_stands_twice_is_told_once(endpoint, settings):
    settings.EVENT_URLS = [endpoint.url] * 2
    new_event()
    deliver_all()
    assert len(endpoint.received) == 1


def test_without_an_address_events_are_kept_and_can_be_sent_later(endpoint, deliver_after, settings):
    url = endpoint.url
    settings.EVENT_URLS, settings.EVENT_SECRETS = [], []
    keys = [new_event().key for _ in range(3)]
    assert deliver_after() == 0
    assert not Delivery.objects.exists()
    assert not Event.objects.exclude(dispatch_at=None).exists()
    settings.EVENT_URLS, settings.EVENT_SECRETS = [url], [SECRET]
    assert deliver_after(HOUR) == 0, "an address hears of what happens from now on"
    call_command("redeliver_events", "--all")
    deliver_after()
    assert endpoint.keys() == keys


# --- Dispatch ---------------------------------------------------------------------------------------------------------


def test_dispatch_takes_so_many_at_a_time_oldest_first(endpoint, clock, monkeypatch):
    monkeypatch.setattr(delivering, "DISPATCH_BATCH", 2)
    events = []
    for _ in range(5):
        events.append(new_event())
        clock.shift(1)
    assert dispatch() == 2
    assert [row.event for row in Delivery.objects.all()] == events[:2]
    assert [dispatch() for _ in range(3)] == [2, 1, 0]
    assert Delivery.objects.count() == 5


def test_a_dispatch_that_fails_leaves_the_events_for_the_next(endpoint, monkeypatch):
    new_event()
    with monkeypatch.context() as patched:
        patched.setattr(delivering, "plan", lambda *args, **more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            dispatch()
    assert (Delivery.objects.count(), Event.objects.filter(dispatch_at=None).count()) == (0, 0)
    deliver_all()
    assert len(endpoint.received) == 1


# --- Workers ----------------------------------------------------------------------------------------------------------


def test_a_worker_that_ends_between_the_post_and_the_note_is_made_good(endpoint, deliver_after, monkeypatch):
    event = new_event()
    with monkeypatch.context() as patched:
        patched.setattr(delivering, "note", lambda *args, **changes: 1 / 0)
        deliver_after()
    assert (len(endpoint.received), Attempt.objects.count()) == (1, 0)
    deliver_after(lease_time().total_seconds() - 1)
    assert len(endpoint.received) == 1, "the row is still the dead one's"
    deliver_after(2)
    assert endpoint.keys() == [event.key] * 2
    assert {request.headers["coursepay-event"] for request in endpoint.received} == {event.key}
    assert Delivery.objects.get().status == "DELIVERED"


@pytest.mark.parametrize("slow_ones_answer", [None, 500, 200])
def test_a_worker_that_outlives_its_lease_undoes_nothing(endpoint, clock, monkeypatch, slow_ones_answer):
    """While the first waits for an answer, its lease lapses and a second delivers: then the first one notes its try."""
    post, calls = delivering.post, []

    def slow_the_first_time(row):
        calls.append(row)
        if len(calls) > 1:
            return post(row)
        clock.shift(lease_time() + timedelta(seconds=1))
        DELIVERIES.run()
        return Attempt(status=slow_ones_answer, outcome="the slow one's", took_ms=91_000)

    monkeypatch.setattr(delivering, "post", slow_the_first_time)
    new_event()
    DELIVERIES.run()
    ended = timezone.now()
    clock.shift(10 * DAY)
    deliver_all()
    row = Delivery.objects.get()
    assert (row.status, row.ended_at, row.times_tried) == ("DELIVERED", ended, 1)
    assert log() == [(200, "HTTP 200"), (slow_ones_answer, "the slow one's")]
    assert len(endpoint.received) == 1


def test_a_delivery_that_has_ended_is_not_tried(endpoint, deliver_after):
    new_event()
    deliver_after()
    delivering.deliver(Delivery.objects.get().pk)
    assert (len(endpoint.received), Attempt.objects.count()) == (1, 1)


def test_the_log_of_a_long_outcome_fits_its_column(endpoint, monkeypatch, clock):
    def fail(*args, **more):
        raise OSError("x" * 1000)

    monkeypatch.setattr("backend.http_client.post", fail)
    new_event()
    deliver_all()
    ((_, outcome),) = log()
    assert len(outcome) == 200


def test_a_body_is_json_that_anybody_reads(endpoint):
    new_event(note='引号 " 反斜杠 \\ 换行 \n 🎓')
    deliver_all()
    assert json.loads(endpoint.received[0].body.decode("utf-8"))["data"]["note"] == '引号 " 反斜杠 \\ 换行 \n 🎓'
