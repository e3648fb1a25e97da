"""kill -9 at every database statement, commit and POST of dispatch and delivery: nothing is lost, and no row doubled.

A child is forked in the middle of the test, delivers, and dies by its own hand before step k; the endpoint lives on in
the parent, so it keeps what reached it. Before a step is after the one before it; the death after the last is tried
too. Then the dead one's lease lapses, and the next worker brings everything to its end.
"""

import os
import signal
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from backend import http_client
from backend.events import delivery as delivering
from backend.events.delivery import DELIVERIES, deliver_again
from backend.events.models import Attempt, Delivery, DeliveryStatus, Event
from backend.sweeps import lease_time
from tests.concurrency.child import DeathWish
from tests.events.conftest import deliver_all, new_event
from tests.events.endpoint import SECRET
from tests.lifecycle.deaths import hang_up

pytestmark = pytest.mark.django_db(transaction=True)

MOST_STEPS = 100
DAY = 86400


# --- What a worker has to do ------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """Two endpoints, and what the child works on."""

    endpoints: list
    clock: object
    events: list = field(default_factory=list)

    def begin(self, answers):
        Event.objects.all().delete()
        for endpoint in self.endpoints:
            endpoint.received.clear()
            endpoint.answers = list(answers)
        self.events = [new_event(), new_event("order.paid")]


def first_try(scene):
    """Two events for two addresses, of which nobody has heard yet."""
    scene.begin([200])
    return DELIVERIES.run


def refused_try(scene):
    """Every endpoint refuses each event once."""
    scene.begin([500, 500, 200])
    return DELIVERIES.run


def last_try(scene):
    """The three days are over: it is given up, and sent once more."""
    scene.begin([500])
    deliver_all()
    times, since = len(delivering.WAITS), timezone.now() - timedelta(days=3)
    Delivery.objects.update(since=since, times_tried=times, next_try_at=timezone.now())
    return DELIVERIES.run


def sent_again(scene):
    """An operator sends once more what was delivered, to a second address for the first time; the command dies."""
    scene.begin([200])
    deliver_all()
    Delivery.objects.filter(url=scene.endpoints[1].url).delete()
    for endpoint in scene.endpoints:
        endpoint.received.clear()
    pks = [event.pk for event in scene.events]
    return lambda: deliver_again(pks, urls=settings.EVENT_URLS)


# --- Dying ------------------------------------------------------------------------------------------------------------


def run_and_die(work, step, moment="before"):
    """In a child: the work, up to a step. Whether it died there; in the end the names of its steps."""
    hang_up()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        live(work, NamedWish(step, moment), writing)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    until_its_locks_are_gone()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True, []
    assert os.waitstatus_to_exitcode(status) == 0, said
    return False, said.splitlines()


def until_its_locks_are_gone():
    """PostgreSQL undoes what the dead one began a moment later; until then whoever goes on skips its locked rows."""
    under_way = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    if connection.vendor == "postgresql":
        for _ in range(2000):  # ten seconds, whatever the clock of the test says
            if not one(f"{under_way} AND xact_start IS NOT NULL"):
                break
            time.sleep(0.005)


def one(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


class NamedWish(DeathWish):
    """Remembers what each step was."""

    def __init__(self, step, moment):
        super().__init__(step, moment)
        self.names = []

    def named(self, name, act):
        self.names.append(name)
        return self.around(act)

    def statement(self, execute, sql, *rest):
        return self.named(sql.split()[0], lambda: execute(sql, *rest))


def live(work, wish, writing):
    """The whole life of the child; it never returns."""
    code, said = 1, ""
    commit, post = connection._commit, http_client.post
    try:
        connection.ensure_connection()
        with ExitStack() as stack:
            connection._commit = lambda: wish.named("COMMIT", commit)
            stack.enter_context(connection.execute_wrapper(wish.statement))
            sent = patch.object(http_client, "post", lambda *a, **more: wish.named("POST", lambda: post(*a, **more)))
            stack.enter_context(sent)
            work()
        code, said = 0, "\n".join(wish.names)
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(writing, said.encode()[-60_000:])
        os._exit(code)


@pytest.fixture
def scene(make_endpoint, settings, clock):
    endpoints = [make_endpoint(), make_endpoint()]
    settings.EVENT_URLS, settings.EVENT_SECRETS = [endpoint.url for endpoint in endpoints], [SECRET]
    return Scene(endpoints, clock)


@dataclass
class Report:
    steps: list[str]
    deaths: int = 0
    wrongs: list[str] = field(default_factory=list)
    doubled: int = 0


def enumerate_deaths(scene, task, judge):
    died, steps = run_and_die(task(scene), 0)
    assert not died
    assert len(steps) < MOST_STEPS
    report = Report(steps)
    report.wrongs += [f"without a death: {wrong}" for wrong in judge(scene)]
    for step in range(1, len(steps) + 2):
        last = step > len(steps)
        died, _ = run_and_die(task(scene), len(steps) if last else step, "after" if last else "before")
        report.deaths += died
        report.wrongs += [f"step {step} ({'end' if last else steps[step - 1]}): {wrong}" for wrong in judge(scene)]
        report.doubled += sum(len(endpoint.received) > len(scene.events) for endpoint in scene.endpoints)
    return report


def mend(scene):
    """The next workers, once the dead one's lease has lapsed, until nothing waits any more."""
    for _ in range(3):
        scene.clock.shift(lease_time() + timedelta(seconds=1))
        deliver_all()


def everything_arrived(scene):
    """What is wrong after the mending, in words."""
    mend(scene)
    return rows_wrong(scene, DeliveryStatus.DELIVERED) + arrivals_wrong(scene)


def rows_wrong(scene, status):
    expected = sorted((event.pk, endpoint.url, status) for event in scene.events for endpoint in scene.endpoints)
    found = sorted(Delivery.objects.values_list("event_id", "url", "status"))
    wrongs = [] if found == expected else [f"deliveries {found}"]
    if Event.objects.exclude(dispatch_at=None).exists():
        wrongs.append("an event was never dispatched")
    return wrongs


def arrivals_wrong(scene):
    wrongs = []
    for endpoint in scene.endpoints:
        for event in scene.events:
            count = endpoint.keys().count(event.key)
            noted = Attempt.objects.filter(delivery__event=event, delivery__url=endpoint.url).count()
            if not 1 <= count <= 2:
                wrongs.append(f"{event.name} arrived {count} times")
            # A dead worker could not note its last try; nothing is noted that was not sent.
            if not count - 1 <= noted <= count:
                wrongs.append(f"{event.name} arrived {count} times and {noted} tries are noted")
        wrongs += [f"forged: {request.body!r}" for request in endpoint.received if not request.genuine]
        bodies = {event.body.encode() for event in scene.events}
        wrongs += [f"another body: {request.body!r}" for request in endpoint.received if request.body not in bodies]
    return wrongs


# --- The tests --------------------------------------------------------------------------------------------------------


def test_death_at_any_step_of_dispatch_and_delivery_loses_nothing(scene):
    report = enumerate_deaths(scene, first_try, everything_arrived)
    assert report.wrongs == []
    assert report.deaths == len(report.steps) + 1
    assert (report.steps.count("POST"), report.steps.count("COMMIT")) == (4, 6)
    assert len(report.steps) >= 20
    # Twice arrives only what was sent and could not be noted any more: any death from after a POST up to its commit.
    assert report.doubled == 4 * between("POST", "COMMIT", report.steps)


def between(first, last, steps):
    start = steps.index(first)
    return steps[start:].index(last)


def test_death_at_any_step_of_a_try_that_is_refused(scene):
    report = enumerate_deaths(scene, refused_try, everything_arrived_in_the_end)
    assert report.wrongs == []
    assert report.deaths == len(report.steps) + 1
    assert report.steps.count("POST") == 4


def everything_arrived_in_the_end(scene):
    """The refusals are shared out otherwise where a death repeats a POST: how often each came is not fixed."""
    mend(scene)
    wrongs = rows_wrong(scene, DeliveryStatus.DELIVERED)
    for endpoint in scene.endpoints:
        if set(endpoint.keys()) != {event.key for event in scene.events}:
            wrongs.append(f"arrived: {endpoint.keys()}")
    sent = sum(len(endpoint.received) for endpoint in scene.endpoints)
    if not sent - 1 <= Attempt.objects.count() <= sent:
        wrongs.append(f"{sent} sent and {Attempt.objects.count()} noted")
    return wrongs


def test_death_at_any_step_of_giving_up(scene):
    report = enumerate_deaths(scene, last_try, given_up_then_sent_again)
    assert report.wrongs == []
    assert report.deaths == len(report.steps) + 1


def given_up_then_sent_again(scene):
    """Given up, whoever had to say it; and one command brings everything."""
    mend(scene)
    wrongs = rows_wrong(scene, DeliveryStatus.GIVEN_UP)
    for endpoint in scene.endpoints:
        endpoint.answers = [200]
        endpoint.received.clear()
    Attempt.objects.all().delete()
    deliver_again([event.pk for event in scene.events], urls=settings.EVENT_URLS, given_up_only=True)
    return wrongs + everything_arrived(scene)


def test_a_redelivery_that_dies_is_done_or_not_begun(scene):
    def all_or_nothing(scene):
        mend(scene)
        counts = {endpoint.keys().count(event.key) for endpoint in scene.endpoints for event in scene.events}
        seen.append(counts)
        if counts == {1}:
            return rows_wrong(scene, DeliveryStatus.DELIVERED)
        return [] if counts == {0} and Delivery.objects.count() == 2 else [f"arrived {counts} times"]

    seen = []
    report = enumerate_deaths(scene, sent_again, all_or_nothing)
    assert report.wrongs == []
    assert report.deaths == len(report.steps) + 1
    assert {0} in seen, "a death before the commit undoes it"
    assert seen[-1] == {1}, "a death after the commit does not"


def test_a_second_death_in_the_run_that_was_to_mend_the_first(scene):
    _, steps = run_and_die(first_try(scene), 0)
    deaths = 0
    for step in range(1, len(steps) + 1, 4):
        for again in range(2, len(steps) + 1, 7):
            died, _ = run_and_die(first_try(scene), step)
            assert died
            scene.clock.shift(lease_time() + timedelta(seconds=1))
            died, _ = run_and_die(DELIVERIES.run, again)
            deaths += died
            mend(scene)
            assert rows_wrong(scene, DeliveryStatus.DELIVERED) == []
            for endpoint in scene.endpoints:
                assert set(endpoint.keys()) == {event.key for event in scene.events}
                assert len(endpoint.received) <= 2 + 2
    assert deaths >= len(steps) // 4


def test_control_a_worker_that_notes_before_it_sends_loses_events(scene):
    def note_first(pk):
        row = Delivery.objects.select_related("event").get(pk=pk)
        delivering.end(row, DeliveryStatus.DELIVERED, Attempt(outcome="HTTP 200", status=200, took_ms=0))
        delivering.post(row)

    def first_try_of_a_careless_worker(scene):
        first_try(scene)
        return replace(DELIVERIES, work=note_first).run

    report = enumerate_deaths(scene, first_try_of_a_careless_worker, everything_arrived)
    assert [wrong for wrong in report.wrongs if "arrived 0 times" in wrong]
    assert not [wrong for wrong in report.wrongs if wrong.startswith("step 1 ")]
