"""Lists that grow with every order: what is found, what is listed, and the calendar above them."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backend import admin_lists
from backend.accounts.models import User
from backend.admin_lists import periods
from backend.events.models import Event
from backend.orders.models import Order
from backend.payments.models import Notification, Payment
from tests.shop import post_notify

FIRST, LAST = date(2025, 11, 29), date(2026, 2, 3)


@pytest.fixture
def operator(client, db):
    client.force_login(User.objects.create_superuser("zhao", password="paper clip"))
    return client


@pytest.fixture
def orders(buyer, stranger, courses):
    """The newest first."""
    for shopper, course in ((buyer, 0), (buyer, 1), (stranger, 2)):
        shopper.create_order([courses[course]], idempotencyKey=f"k{course}")
    return list(Order.objects.order_by("-pk"))


def listed(operator, model, **asked):
    """The primary keys on the page, in its order."""
    response = operator.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), asked)
    assert response.status_code == 200, response
    return [row.pk for row in response.context["cl"].result_list]


def keys(rows):
    return [row.pk for row in rows]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ((), [(2025,), (2026,)]),
        ((2025,), [(2025, 11), (2025, 12)]),
        ((2026,), [(2026, 1), (2026, 2)]),
        ((2025, 11), [(2025, 11, 29), (2025, 11, 30)]),
        ((2026, 2), [(2026, 2, 1), (2026, 2, 2), (2026, 2, 3)]),
        ((2026, 1, 15), [(2026, 1, 15)]),
        ((2024,), []),
    ],
)
def test_a_calendar_goes_from_the_first_row_to_today(chosen, found):
    assert periods(FIRST, LAST, chosen) == found


def test_the_newest_come_first(operator, orders):
    assert listed(operator, Order) == keys(orders)


def test_an_exact_field_finds_the_whole_value_and_no_part_of_it(operator, orders):
    newest = orders[0]
    assert listed(operator, Order, q=newest.user.username) == [newest.pk]
    assert listed(operator, Order, q=f" {newest.number} ") == [newest.pk]
    assert listed(operator, Order, q=newest.user.username[:-1]) == []
    trade = newest.payments.get().out_trade_no
    assert listed(operator, Order, q=trade) == [newest.pk]
    assert listed(operator, Order, q=trade[:-1]) == []


def test_a_number_is_found_by_its_beginning(operator, orders):
    payments = Payment.objects.order_by("-pk")
    assert listed(operator, Payment, q=orders[0].number[:-1]) == [payments[0].pk]
    assert listed(operator, Order, q=orders[0].number[:2]) == keys(orders)


def test_a_user_is_found_by_a_part_of_the_name_or_address(operator, db):
    anna = User.objects.create_user("anna-maria", password="paper clip", email="am@lms.example")
    assert listed(operator, User, q="maria") == listed(operator, User, q="@lms") == [anna.pk]


def test_a_search_and_a_filter_hold_together(operator, orders):
    assert listed(operator, Order, q=orders[1].user.username, status__exact="UNPAID") == keys(orders[1:])
    assert listed(operator, Order, q=orders[1].user.username, status__exact="PAID") == []


def test_a_search_finds_so_many_and_no_more(operator, orders, monkeypatch):
    monkeypatch.setattr(admin_lists, "MOST_FOUND", 1)
    assert len(listed(operator, Order, q=orders[1].user.username)) == 1


def test_a_list_ends_somewhere_and_says_so(operator, orders, monkeypatch):
    address, words = reverse("admin:orders_order_changelist"), "There may be more rows than are listed."
    assert words not in operator.get(address, headers={"accept-language": "en"}).content.decode()
    monkeypatch.setattr(admin_lists, "MOST_LISTED", 2)
    response = operator.get(address, headers={"accept-language": "en"})
    assert words in response.content.decode()
    assert response.context["cl"].result_count == 2


def test_a_day_of_the_calendar_lists_that_day(operator, orders):
    old = orders[-1]
    day = timezone.localtime(old.created_at) - timedelta(days=400)
    Order.objects.filter(pk=old.pk).update(created_at=day)
    calendar = calendar_of(operator)
    assert [choice["title"] for choice in calendar["choices"]] == [str(year) for year in range(day.year, day.year + 2)]
    assert calendar["back"] is None
    for _ in range(3):
        first = calendar["choices"][0]["link"]
        calendar = calendar_of(operator, first)
    asked = dict(pair.split("=") for pair in first.removeprefix("?").split("&"))
    assert listed(operator, Order, **asked) == [old.pk]
    assert asked == {f"created_at__{part}": str(getattr(day, part)) for part in ("year", "month", "day")}
    assert calendar["back"]["link"] == f"?created_at__month={day.month}&created_at__year={day.year}"


def calendar_of(operator, asked=""):
    response = operator.get(reverse("admin:orders_order_changelist") + asked, headers={"accept-language": "en"})
    assert all(choice["link"].replace("&", "&amp;") in response.content.decode() for choice in calendar(response))
    return response.context["cl"].calendar


def calendar(response):
    return response.context["cl"].calendar["choices"]


@pytest.mark.parametrize("asked", ["created_at__month=15", "created_at__year=2026&created_at__day=1"])
def test_a_date_with_a_part_left_out_is_no_fault_of_ours(operator, orders, asked):
    assert operator.get(reverse("admin:orders_order_changelist") + "?" + asked).status_code in (200, 302)


def test_an_empty_list_has_no_calendar(operator):
    assert operator.get(reverse("admin:orders_order_changelist")).context["cl"].calendar is None


def test_notifies_are_filtered_by_alipays_statuses_without_looking_for_them(operator, orders, alipay):
    post_notify(alipay.paid_notify(orders[0].payments.get()))
    with CaptureQueriesContext(connection) as asked:
        found = listed(operator, Notification, trade_status="TRADE_SUCCESS")
    assert found == keys(Notification.objects.all())
    assert listed(operator, Notification, trade_status="TRADE_CLOSED") == []
    assert not [query for query in asked if "DISTINCT" in query["sql"]]


def test_nobody_has_the_rows_of_every_filter_counted(operator, orders):
    response = operator.get(reverse("admin:orders_order_changelist"), {"_facets": "True"})
    assert not response.context["cl"].add_facets


def test_events_are_filtered_by_the_names_that_there_are(operator, orders, alipay):
    post_notify(alipay.paid_notify(orders[0].payments.get()))
    paid = Event.objects.get(name="order.paid")
    assert listed(operator, Event, name="order.paid") == [paid.pk]
