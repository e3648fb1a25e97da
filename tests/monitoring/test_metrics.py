"""GET /metrics: what is counted, who may read it, and what it never says."""

import logging
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from backend.courses.models import Course
from backend.events.models import Delivery, Event
from backend.monitoring import meters, shop
from backend.monitoring.meters import set_waiting_streams
from backend.monitoring.provider_calls import Measured
from backend.payments.discrepancies import MONEY_REFUSED, open_discrepancy
from backend.payments.models import Notification, Payment
from backend.payments.providers.base import CloseResult, ProviderRejected, ProviderUnavailable, TradeNotFound
from backend.payments.registry import get_provider
from tests.shop import post_notify


def grew(before, after, *name):
    return after.get(name, 0) - before.get(name, 0)


# --- Who may read it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "more", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("127.9.9.9", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.1", {}, 403),
        ("::2", {}, 403),
        ("2001:db8::1", {}, 403),
        ("", {}, 403),
        ("192.0.2.1", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
        # Through a proxy of this machine that nobody has named in TRUSTED_PROXIES: it could be anybody.
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "192.0.2.1"}, 403),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
    ],
)
def test_only_this_machine_by_default(db, peer, more, status):
    assert Client(REMOTE_ADDR=peer, **more).get("/metrics").status_code == status


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [("10.1.2.3", 200), ("192.0.2.1, 10.1.2.3", 200), ("10.1.2.3, 192.0.2.1", 403), ("127.0.0.1, 192.0.2.1", 403)],
)
def test_behind_a_trusted_proxy_it_is_the_clients_address(db, settings, forwarded, status):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES, settings.METRICS_ALLOW = ["127.0.0.1"], [ip_network("10.0.0.0/8")]
    client = Client(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert client.get("/metrics").status_code == status


def test_staff_may_read_it_from_anywhere_and_nobody_else(staff, buyer, db):
    def ask(token):
        return Client(REMOTE_ADDR="192.0.2.1").get("/metrics", headers={"authorization": f"Bearer {token}"})

    assert ask(staff.token).status_code == 200
    for token in (buyer.token, staff.token + "x", ""):
        refused = ask(token)
        assert (refused.status_code, refused.content) == (403, b"Not from this address.\n")


def test_it_is_answered_by_address_and_over_plain_http(db, settings):
    settings.SECURE_SSL_REDIRECT = True
    response = Client(SERVER_NAME="10.0.0.7").get("/metrics")
    assert response.status_code == 200
    assert response["content-type"].startswith("text/plain; version=")
    assert "no-store" in response["cache-control"]
    assert Client().post("/metrics").status_code == 405


# --- What is counted in the process ----------------------------------------------------------------------------------


def requests_of(found):
    return {labels[1:]: value for labels, value in found.items() if labels[0] == "coursepay_request_seconds_count"}


@pytest.mark.parametrize(
    ("ask", "route", "status"),
    [
        (lambda: Client().post("/graphql", "{}", content_type="application/json"), "graphql", "4xx"),
        (lambda: Client().get("/graphql/stream"), "stream", "4xx"),
        (lambda: post_notify("a=b"), "notify", "2xx"),
        (lambda: post_notify("a=b", path="/order/success/"), "notify", "2xx"),
        (lambda: Client().get("/order/success/"), "return", "2xx"),
        (lambda: Client().get("/payments/alipay/return/"), "return", "2xx"),
        (lambda: Client().get("/admin/"), "admin", "3xx"),
        (lambda: Client().get("/static/no-such-file"), "static", "4xx"),
        (lambda: Client().get("/" + "x" * 3000), "pages", "4xx"),
        (lambda: Client().get("/graphql/secret"), "pages", "4xx"),
    ],
)
def test_requests_are_timed_by_route_group_and_status(scraped, ask, route, status):
    before = requests_of(scraped())
    ask()
    after = requests_of(scraped())
    assert {
        labels: value - before.get(labels, 0) for labels, value in after.items() if value != before.get(labels)
    } == {(route, status): 1}


def test_a_request_that_breaks_is_counted_too(scraped, monkeypatch, alipay, payment):
    def broken(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr("backend.payments.notifications.keep_verified", broken)
    before = scraped()
    client = Client(raise_request_exception=False)
    assert post_notify(alipay.paid_notify(payment), client).status_code == 500
    assert grew(before, scraped(), "coursepay_request_seconds_count", "notify", "5xx") == 1


def test_notifies_are_counted_by_verdict(scraped, alipay, payment):
    before = scraped()
    post_notify(alipay.paid_notify(payment, notify_id="1", total_amount="1.00"))
    post_notify(alipay.paid_notify(payment, notify_id="2"))
    post_notify(alipay.paid_notify(payment, notify_id="3").replace("&sign=", "&sign=A"))
    post_notify("nonsense")
    after = scraped()
    counted = {labels[1:]: after[labels] - before.get(labels, 0) for labels in after if "notifies_total" in labels[0]}
    assert {labels: value for labels, value in counted.items() if value} == {
        ("", "not_applied"): 1,
        ("", "applied"): 1,
        ("bad_signature", "refused"): 1,
        ("malformed", "refused"): 1,
    }


class Company:
    """A provider that answers as it is told."""

    name = "company"

    def __init__(self, answer):
        self.answer = answer

    def say(self, *args, **kwargs):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    pay = query = close = refund = query_refund = parse_notification = parse_return = say

    def bill(self, *args, **kwargs):
        yield from self.say()


CALLS = {
    "query": lambda provider: provider.query("no"),
    "close": lambda provider: provider.close("no"),
    "refund": lambda provider: provider.refund("request"),
    "query_refund": lambda provider: provider.query_refund("request"),
    "bill": lambda provider: list(provider.bill("day")),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((CloseResult.CLOSED,), "ok"),
        (ProviderRejected("X", "no"), "rejected"),
        (TradeNotFound("X", "no"), "rejected"),
        (ProviderUnavailable("time-out"), "unknown"),
        (ZeroDivisionError(), "unknown"),
    ],
    ids=repr,
)
def test_provider_calls_are_timed_by_outcome(scraped, call, answer, outcome):
    before = scraped()
    provider = Measured(Company(answer))
    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            CALLS[call](provider)
    else:
        assert tuple(CALLS[call](provider)) == answer
    after, name = scraped(), "coursepay_provider_call_seconds_count"
    counted = {labels[1:]: after[labels] - before.get(labels, 0) for labels in after if labels[0] == name}
    assert {labels: value for labels, value in counted.items() if value} == {(call, outcome, "company"): 1}


def test_what_does_not_call_is_passed_on_and_not_timed(scraped):
    before = scraped()
    provider = Measured(Company("an answer"))
    answers = [provider.pay("request"), provider.parse_notification(b"", {}), provider.parse_return("")]
    assert answers == ["an answer"] * 3
    after = scraped()
    assert {name: after[name] for name in after if "company" in name} == {
        name: before[name] for name in before if "company" in name
    }


def test_an_empty_bill_is_a_good_answer_too(scraped):
    before = scraped()
    assert list(Measured(Company(())).bill("day")) == []
    assert grew(before, scraped(), "coursepay_provider_call_seconds_count", "bill", "ok", "company") == 1


def test_alipay_is_measured_under_its_name():
    assert get_provider("alipay").name == "alipay"


def test_the_shops_provider_is_measured():
    assert isinstance(get_provider("alipay"), Measured)


def test_waiting_streams_are_set_by_whoever_serves_them(scraped):
    set_waiting_streams(7)
    assert scraped()["coursepay_streams_waiting",] == 7
    set_waiting_streams(0)
    assert scraped()["coursepay_streams_waiting",] == 0


# --- What the database says ------------------------------------------------------------------------------------------


def figures(found, name):
    return {labels[1]: value for labels, value in found.items() if labels[0] == name}


def test_orders_by_status(scraped, buyer, stranger, courses):
    nothing = dict.fromkeys(["UNPAID", "PAID", "CANCELLED", "TIMED_OUT"], 0)
    assert figures(scraped(), "coursepay_orders") == nothing
    buyer.create_order(courses[:1])
    buyer.create_order(courses[1:2])
    stranger.create_order([Course.objects.create(name="Gift", price_fen=0)])
    assert figures(scraped(), "coursepay_orders") == nothing | {"UNPAID": 2, "PAID": 1}


def test_open_discrepancies_by_kind(scraped):
    found = figures(scraped(), "coursepay_discrepancies_open")
    assert set(found.values()) == {0}
    for n in range(2):
        open_discrepancy(MONEY_REFUSED, key=str(n), out_trade_no="no", detail="why")
    assert figures(scraped(), "coursepay_discrepancies_open") == found | {"money refused": 2}


def test_the_oldest_due_row_of_each_job(scraped, payment, time_machine):
    jobs = figures(scraped(), "coursepay_oldest_due_seconds")
    assert jobs == dict.fromkeys(["payments", "refunds", "deliveries", "bills"], 0)
    time_machine.move_to("2026-11-22T04:00:00+00:00", tick=False)
    Payment.objects.update(next_query_at=timezone.now() - timedelta(seconds=75))
    assert figures(scraped(), "coursepay_oldest_due_seconds") == jobs | {"payments": 75}
    Payment.objects.update(next_query_at=timezone.now() + timedelta(seconds=1))
    assert figures(scraped(), "coursepay_oldest_due_seconds") == jobs


def test_what_waits(scraped, alipay, payment, monkeypatch):
    now = timezone.now()
    event = Event.objects.create(name="order.paid", order_number="1", body="{}", created_at=now)
    Delivery.objects.create(event=event, url="http://a.example", since=now, next_try_at=now)

    def broken(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr("backend.payments.notifications.apply_trade", broken)
    post_notify(alipay.paid_notify(payment), Client(raise_request_exception=False))
    assert figures(scraped(), "coursepay_waiting") == {"deliveries": 1, "notifies": 1}


def test_a_scrape_is_eight_statements_and_the_next_none(db):
    with CaptureQueriesContext(connection) as first:
        Client().get("/metrics")
    with CaptureQueriesContext(connection) as second:
        Client().get("/metrics")
    assert (len(first), len(second)) == (8, 0)


def test_what_took_long_is_read_seldom(monkeypatch):
    now, reads = [0.0], []
    monkeypatch.setattr(shop.time, "monotonic", lambda: now[0])

    def read():
        reads.append(now[0])
        now[0] += 3.0
        return {"PAID": len(reads)}

    sparing = shop.Sparing(read, 2.0)
    assert sparing.now() == {"PAID": 1}
    now[0] = 302.0
    assert sparing.now() == {"PAID": 1}
    now[0] = 303.0
    assert sparing.now() == {"PAID": 2}
    assert reads == [0.0, 303.0]


def test_what_cannot_be_read_is_left_out_and_said(scraped, monkeypatch, caplog):
    up = dict.fromkeys(family[0] for family in shop.FAMILIES)
    assert figures(scraped(), "coursepay_figures_up") == dict.fromkeys(up, 1)

    def broken():
        raise OperationalError("password=hunter2")

    for _, _, _, source in shop_sources():
        monkeypatch.setattr(source, "read", broken)
    with caplog.at_level(logging.WARNING):
        found = scraped()
    assert figures(found, "coursepay_figures_up") == dict.fromkeys(up, 0)
    assert not [name for name in up if figures(found, name)]
    assert requests_of(found)
    assert "hunter2" not in caplog.text


def shop_sources():
    from backend.monitoring import scrape

    return scrape.shop(meters.METERS).sources


def test_no_label_says_who_bought_what(db, buyer, alipay, order, payment):
    post_notify(alipay.paid_notify(payment))
    buyer.status(payment.out_trade_no)
    payment.refresh_from_db()
    text = Client().get("/metrics").content.decode()
    assert 'coursepay_orders{status="PAID"} 1.0' in text
    secrets = [payment.out_trade_no, payment.trade_no, order.number, buyer.token, "127.0.0.1"]
    secrets += [course.name for course in Course.objects.all()] + [Notification.objects.get().notify_id, "20887220"]
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {value for sample in samples for value in sample.labels.values()}
    assert not [secret for secret in secrets if any(secret in value for value in values)]
    assert buyer.user.username not in values
