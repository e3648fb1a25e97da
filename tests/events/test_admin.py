"""The operator's pages of events: to look at, and to send once more."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from backend.accounts.models import User
from backend.events.models import Delivery, Event
from tests.events.conftest import deliver_all, new_event

pytestmark = pytest.mark.django_db

CHANGELIST = reverse("admin:events_event_changelist")


@pytest.fixture
def operator(client):
    client.force_login(User.objects.create_superuser("zhao", password="paper clip"))
    return client


def staff(client, *rights):
    person = User.objects.create_user("qian", password="paper clip", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(person)
    return client


def send_again(client, *events):
    chosen = {"action": "send_again", "_selected_action": [event.pk for event in events]}
    return client.post(CHANGELIST, chosen, follow=True, headers={"accept-language": "en"}).content.decode()


def text(client, url, language="en"):
    response = client.get(url, headers={"accept-language": language})
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def told(endpoint, clock):
    """An event that the endpoint refused, and one that it took."""
    endpoint.answers = [503, 200]
    events = [
        new_event("order.paid", number="2026112200000001", note="<b>粗</b>"),
        new_event(number="2026112200000002"),
    ]
    deliver_all()
    endpoint.received.clear()
    return events


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_lists_and_details_open(operator, told, endpoint, language):
    listed = text(operator, CHANGELIST, language)
    for event in told:
        assert event.key in listed
    assert "order.paid" in listed
    assert endpoint.url in text(operator, reverse("admin:events_delivery_changelist"), language)
    for row in (*told, *Delivery.objects.all()):
        text(operator, reverse(f"admin:events_{row._meta.model_name}_change", args=[row.pk]), language)


def test_an_event_shows_its_body_and_who_was_told(operator, told, endpoint):
    page = text(operator, reverse("admin:events_event_change", args=[told[0].pk]))
    assert "&lt;b&gt;粗&lt;/b&gt;" in page
    assert "<b>粗</b>" not in page
    assert endpoint.url in page
    assert "pending" in page


def test_a_delivery_shows_what_happened(operator, told):
    page = text(operator, reverse("admin:events_delivery_change", args=[Delivery.objects.get(event=told[0]).pk]))
    assert "HTTP 503" in page


@pytest.mark.parametrize("query", ["key", "order_number"])
def test_an_event_is_found_by_its_id_and_its_order(operator, told, query):
    page = text(operator, f"{CHANGELIST}?q={getattr(told[0], query)}")
    assert told[0].key in page
    assert told[1].key not in page
    page = text(operator, f"{reverse('admin:events_delivery_changelist')}?q={getattr(told[0], query)}")
    assert "2026112200000001" in page
    assert "2026112200000002" not in page


@pytest.mark.parametrize("query", ["status__exact=PENDING", "status__exact=GIVEN_UP"])
def test_deliveries_are_filtered_by_state(operator, told, query):
    page = text(operator, f"{reverse('admin:events_delivery_changelist')}?{query}")
    assert ("2026112200000001" in page) is query.endswith("PENDING")
    assert "2026112200000002" not in page


def test_nothing_can_be_changed_here(operator, told):
    before = list(Event.objects.values()), list(Delivery.objects.values())
    for name, row in (("event", told[0]), ("delivery", Delivery.objects.first())):
        for page in ("change", "delete"):
            form = {"name": "x", "body": "x", "url": "x", "status": "GIVEN_UP", "post": "yes"}
            assert operator.post(reverse(f"admin:events_{name}_{page}", args=[row.pk]), form).status_code == 403
        assert operator.get(reverse(f"admin:events_{name}_add")).status_code == 403
    operator.post(CHANGELIST, {"action": "delete_selected", "_selected_action": [told[0].pk], "post": "yes"})
    assert (list(Event.objects.values()), list(Delivery.objects.values())) == before


def test_the_chosen_events_are_sent_once_more(operator, told, endpoint):
    assert "Sent again: 1." in send_again(operator, told[1])
    deliver_all()
    assert endpoint.keys() == [told[1].key]
    assert "Sent again: 2." in send_again(operator, *told)
    deliver_all()
    assert sorted(endpoint.keys()[1:]) == sorted(event.key for event in told)


def test_without_an_address_none_is_said_to_be_sent(operator, told, settings):
    before = list(Delivery.objects.values())
    settings.EVENT_URLS = []
    assert "Sent again: 0." in send_again(operator, *told)
    assert list(Delivery.objects.values()) == before


def test_who_may_only_look_sends_nothing(client, told, endpoint):
    looker = staff(client, "view_event", "view_delivery")
    before = list(Delivery.objects.values())
    assert told[0].key in text(looker, CHANGELIST)
    assert "send_again" not in text(looker, CHANGELIST)
    send_again(looker, *told)
    assert list(Delivery.objects.values()) == before


def test_who_has_the_right_sends(client, told, endpoint):
    sender = staff(client, "view_event", "change_event")
    assert "Sent again: 2." in send_again(sender, *told)
    deliver_all()
    assert len(endpoint.received) == 2


def test_a_visitor_sees_the_sign_in(client, told):
    before = list(Delivery.objects.values())
    assert client.get(CHANGELIST).status_code == 302
    send_again(client, *told)
    assert list(Delivery.objects.values()) == before
