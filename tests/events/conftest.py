"""An endpoint that listens, events to be delivered, and a clock that the test moves."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend.events import delivery
from backend.events.delivery import DELIVERIES
from backend.events.models import Delivery, DeliveryStatus, Event
from backend.events.outbox import tell
from tests.concurrency.conftest import database_url
from tests.concurrency.processes import start_nursery
from tests.events.endpoint import SECRET, Endpoint
from tests.jobs.conftest import clock, later, provider

__all__ = ["clock", "later", "provider"]


@pytest.fixture(autouse=True)
def rested(monkeypatch):
    """No address rests from a test before."""
    monkeypatch.setattr(delivery, "_resting", {})


@pytest.fixture
def make_endpoint():
    """Makes endpoints that listen until the test is over."""
    made = []

    def make(*answers):
        endpoint = Endpoint(answers=list(answers) or [200])
        endpoint.up()
        made.append(endpoint)
        return endpoint

    yield make
    for endpoint in made:
        endpoint.down()


@pytest.fixture
def endpoint(make_endpoint, settings):
    """The one address that the shop tells."""
    listening = make_endpoint()
    settings.EVENT_URLS, settings.EVENT_SECRETS = [listening.url], [SECRET]
    return listening


@pytest.fixture
def deliver_after(clock):
    """Let time pass, then deliver all that is due; how many tries there were."""

    def run(seconds=0.0):
        clock.shift(timedelta(seconds=seconds))
        return deliver_all()

    return run


@pytest.fixture(scope="session")
def nursery(django_db_setup):
    """Where the processes of a race are forked from."""
    start_nursery(database_url())


def deliver_all():
    total = 0
    while done := DELIVERIES.run():
        total += done
    return total


def new_event(name="order.cancelled", number="2026112200000001", **data):
    """An event as the shop writes it, of an order that need not be there."""
    tell({name: {"order": {"number": number}, **data}}, order_number=number, at=timezone.now())
    return Event.objects.latest("pk")


def log(of=None):
    """What the log says: (HTTP status, outcome) of each try."""
    return list((of or Delivery.objects.get()).attempts.values_list("status", "outcome"))


def next_try():
    """Seconds until the next try of anything."""
    pending = Delivery.objects.filter(status=DeliveryStatus.PENDING)
    return (pending.earliest("next_try_at").next_try_at - timezone.now()).total_seconds()
