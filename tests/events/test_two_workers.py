"""Two processes over one outbox: each event is dispatched once, and tried by one worker at a time."""

from functools import partial

import pytest
from django.db import transaction

from backend.events.models import Attempt, Delivery, Event
from tests.concurrency.processes import race
from tests.events import workers
from tests.events.conftest import new_event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nursery")]


def test_two_workers_share_the_deliveries_and_send_none_twice(endpoint):
    keys = [new_event().key for _ in range(120)]
    tries = race([partial(workers.deliver_all, endpoint.url)] * 2)
    assert sum(tries) == 120
    assert sorted(endpoint.keys()) == sorted(keys)
    assert all(request.genuine for request in endpoint.received)
    assert set(Delivery.objects.values_list("status", "times_tried")) == {("DELIVERED", 1)}
    assert Attempt.objects.count() == 120


def test_two_workers_dispatch_each_event_once(endpoint):
    for _ in range(1200):
        new_event()
    done = race([partial(workers.dispatch_all, endpoint.url)] * 2)
    # A worker may find that the other has all that is left and go home; nobody's event is taken by both.
    assert sum(done) + Event.objects.exclude(dispatch_at=None).count() == 1200
    workers.dispatch_all(endpoint.url)
    assert Delivery.objects.count() == Delivery.objects.values("event").distinct().count() == 1200
    assert not Event.objects.exclude(dispatch_at=None).exists()


def test_an_event_in_an_open_transaction_is_nobodys_yet(endpoint):
    """What is not committed did not happen: another process sees nothing of it."""
    with transaction.atomic():
        new_event()
        assert Event.objects.count() == 1
        assert race([workers.events_seen]) == [0]
    assert race([workers.events_seen]) == [1]
