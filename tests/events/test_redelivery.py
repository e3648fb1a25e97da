"""``redeliver_events``: which events are sent once more, to whom, and what is refused."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from backend.events.delivery import deliver_again
from backend.events.models import Delivery, Event
from backend.sweeps import lease_time
from tests.events.conftest import deliver_all, log, new_event
from tests.events.endpoint import SECRET
from tests.shop import BEIJING

pytestmark = pytest.mark.django_db

DAY = 86400


def redeliver(*options):
    """What it printed."""
    said = StringIO()
    call_command("redeliver_events", *options, stdout=said)
    return said.getvalue()


def rows():
    return sorted(Delivery.objects.values_list("event__key", "url", "status", "times_tried", "next_try_at", "since"))


def give_up(event):
    """As after three days, without the tries."""
    Delivery.objects.filter(event=event).update(status="GIVEN_UP", next_try_at=None, ended_at=timezone.now())


@pytest.fixture
def history(endpoint, clock):
    """Three events a day apart: delivered, given up, delivered; of two orders and names. The time is Beijing's noon."""
    clock.move_to(datetime(2026, 11, 1, 12, tzinfo=BEIJING))
    events = []
    for name, number in (("order.paid", "1"), ("order.cancelled", "2"), ("order.paid", "2")):
        events.append(new_event(name, number=number))
        deliver_all()
        clock.shift(timedelta(days=1))
    give_up(events[1])
    endpoint.received.clear()
    return events


def test_what_was_given_up_is_tried_for_three_new_days(endpoint, deliver_after):
    endpoint.answers = [500]
    event = new_event()
    for _ in range(40):
        deliver_after(8 * 3600)
    assert Delivery.objects.get().status == "GIVEN_UP"
    tries = len(endpoint.received)
    assert redeliver() == f"1 events are sent again to {endpoint.url}.\n"
    row = Delivery.objects.get()
    assert (row.status, row.times_tried, row.since, row.ended_at) == ("PENDING", 0, timezone.now(), None)
    for _ in range(7):
        deliver_after(8 * 3600)
    assert Delivery.objects.get().status == "PENDING", "not given up at once for its age"
    endpoint.answers = [200]
    deliver_after(9 * 3600)
    assert Delivery.objects.get().status == "DELIVERED"
    assert set(endpoint.keys()) == {event.key}
    assert len(log()) == len(endpoint.received) > tries, "the old log is kept"


SELECTIONS = {
    (): {1},
    ("--all",): {0, 1, 2},
    ("--order", "2"): {1},
    ("--order", "2", "--all"): {1, 2},
    ("--order", "3", "--all"): set(),
    ("--order", "", "--all"): set(),
    ("--name", "order.paid"): set(),
    ("--name", "order.paid", "--all"): {0, 2},
    ("--name", "order.paid", "--order", "2", "--all"): {2},
    ("--since", "2026-11-02"): {1},
    ("--since", "2026-11-02", "--all"): {1, 2},
    ("--since", "2026-11-03"): set(),
    ("--since", "2026-11-03", "--all"): {2},
    ("--since", "2026-11-02T12:00+08:00", "--all"): {1, 2},
    ("--since", "2026-11-02T12:00:01+08:00", "--all"): {2},
    ("--since", "2026-11-02T04:00:00Z", "--all"): {1, 2},
    ("--since", "2026-11-02 12:00", "--all"): {1, 2},
}


@pytest.mark.parametrize("options", SELECTIONS, ids=" ".join)
def test_which_events_are_sent_again(history, endpoint, options):
    expected = SELECTIONS[options]
    assert redeliver(*options) == f"{len(expected)} events are sent again to {endpoint.url}.\n"
    deliver_all()
    assert sorted(endpoint.keys()) == sorted(history[i].key for i in expected)


def test_by_id_whatever_became_of_it(history, endpoint):
    redeliver("--id", history[0].key, "--id", history[1].key)
    deliver_all()
    assert endpoint.keys() == [history[0].key, history[1].key]


def test_a_day_begins_at_midnight_in_beijing(endpoint, clock):
    for minute in (-1, 0):
        clock.move_to(datetime(2026, 11, 2, tzinfo=BEIJING) + timedelta(minutes=minute))
        new_event()
        deliver_all()
    endpoint.received.clear()
    redeliver("--since", "2026-11-02", "--all")
    deliver_all()
    assert endpoint.keys() == [Event.objects.latest("pk").key]


@pytest.mark.parametrize("options", [(), ("--all",), ("--order", "2"), ("--since", "2026-11-02", "--all")])
def test_a_dry_run_says_how_many_and_changes_nothing(history, endpoint, options):
    before = rows()
    assert redeliver(*options, "--dry-run") == (
        f"{len(SELECTIONS[options])} events would be sent again to {endpoint.url}.\n"
    )
    assert rows() == before
    assert deliver_all() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--since", "yesterday"), "'yesterday' is neither a day nor a time"),
        (("--since", "2026-02-30"), "'2026-02-30' is neither a day nor a time"),
        (("--since", "2026-11-01T25:00"), "'2026-11-01T25:00' is neither a day nor a time"),
        (("--since", ""), "'' is neither a day nor a time"),
        (("--url", "http://elsewhere.example/"), "Not in EVENT_URLS: http://elsewhere.example/"),
        (("--name", "order.created"), "invalid choice: 'order.created'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(history, endpoint, options, said):
    before = rows()
    with pytest.raises(CommandError, match=said):
        redeliver(*options)
    assert rows() == before


def test_without_an_address_there_is_nobody_to_send_to(history, settings):
    before = rows()
    settings.EVENT_URLS = []
    with pytest.raises(CommandError, match="set EVENT_URLS"):
        redeliver("--all")
    assert rows() == before


@pytest.fixture
def two(make_endpoint, settings, clock):
    """One event that the first address got and the second did not, until it was given up."""
    got, missed = make_endpoint(), make_endpoint(500)
    settings.EVENT_URLS, settings.EVENT_SECRETS = [got.url, missed.url], [SECRET]
    event = new_event()
    deliver_all()
    Delivery.objects.filter(url=missed.url).update(status="GIVEN_UP", next_try_at=None, ended_at=timezone.now())
    missed.answers = [200]
    got.received.clear()
    missed.received.clear()
    return got, missed, event


def test_who_has_it_already_does_not_get_it_again(two):
    got, missed, event = two
    redeliver()
    deliver_all()
    assert (got.keys(), missed.keys()) == ([], [event.key])


def test_who_still_waits_for_it_keeps_its_turn(two, deliver_after):
    waits, *_ = two
    at, since = timezone.now() + timedelta(hours=1), timezone.now() - timedelta(days=1)
    pending = {"status": "PENDING", "times_tried": 7, "next_try_at": at, "since": since, "ended_at": None}
    Delivery.objects.filter(url=waits.url).update(**pending)
    redeliver()
    assert Delivery.objects.filter(url=waits.url, **pending).exists()


def test_an_event_that_two_addresses_missed_is_counted_once(two):
    give_up(two[2])
    assert redeliver().startswith("1 events")
    assert deliver_all() == 2


def test_to_one_address_only(two, settings):
    got, missed, event = two
    redeliver("--all", "--url", got.url)
    deliver_all()
    assert (got.keys(), missed.keys()) == ([event.key], [])
    assert redeliver("--url", got.url).startswith("0 events")
    assert deliver_all() == 0
    redeliver("--url", got.url, "--url", missed.url)
    deliver_all()
    assert missed.keys() == [event.key]


def test_a_new_address_gets_what_was_before_it_on_request(two, make_endpoint, settings):
    new = make_endpoint()
    settings.EVENT_URLS = [*settings.EVENT_URLS, new.url]
    redeliver()
    deliver_all()
    assert new.received == [], "it never missed anything"
    redeliver("--all", "--url", new.url)
    deliver_all()
    assert new.keys() == [two[2].key]


def test_an_address_that_was_removed_and_came_back(endpoint, deliver_after, settings):
    event, urls = new_event(), settings.EVENT_URLS
    endpoint.answers = [500, 200]
    deliver_after()
    settings.EVENT_URLS = ["http://127.0.0.1:9/"]
    deliver_after(6)
    assert Delivery.objects.get().status == "GIVEN_UP"
    settings.EVENT_URLS = urls
    redeliver()
    deliver_after()
    assert endpoint.keys() == [event.key] * 2


def test_more_events_than_go_into_one_transaction(endpoint, monkeypatch):
    monkeypatch.setattr("backend.events.management.commands.redeliver_events.AT_ONCE", 2)
    keys = [new_event().key for _ in range(5)]
    deliver_all()
    redeliver("--all")
    deliver_all()
    assert sorted(endpoint.keys()) == sorted(keys * 2)


def test_an_event_that_was_not_yet_dispatched_is_sent_once(endpoint):
    event = new_event()
    redeliver("--all")
    deliver_all()
    assert endpoint.keys() == [event.key]


def test_asked_twice_sent_once(history, endpoint):
    redeliver()
    redeliver()
    deliver_all()
    assert endpoint.keys() == [history[1].key]


def test_asked_for_while_a_worker_has_it(endpoint, clock, deliver_after):
    """The claimed row comes due at once; whoever takes it, it is sent and the log is whole."""
    event = new_event()
    deliver_after()
    Delivery.objects.update(status="PENDING", ended_at=None, next_try_at=timezone.now() + lease_time())
    deliver_again([event.pk], urls=[endpoint.url])
    deliver_after()
    assert endpoint.keys() == [event.key] * 2
    assert len(log()) == 2
