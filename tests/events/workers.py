"""What the processes of a race over events do; imported by the children they are forked into."""

from django.test import override_settings

from backend.events.delivery import DELIVERIES, dispatch
from backend.events.models import Event
from tests.events.endpoint import SECRET


def deliver_all(url: str) -> int:
    """Work until nothing is due; how many tries this worker made."""
    tries = 0
    with override_settings(EVENT_URLS=[url], EVENT_SECRETS=[SECRET]):
        while done := DELIVERIES.run():
            tries += done
    return tries


def events_seen() -> int:
    return Event.objects.count()


def dispatch_all(url: str) -> int:
    """How many events this worker gave their deliveries."""
    events = 0
    with override_settings(EVENT_URLS=[url], EVENT_SECRETS=[SECRET]):
        while done := dispatch():
            events += done
    return events
