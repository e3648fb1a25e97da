"""How often a buyer and an address may order, ask for a URL, and confirm a return."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from backend.accounts.models import User
from backend.courses.models import Course
from backend.limits import quotas
from backend.limits.quotas import Quota
from backend.limits.throttle import Limit
from backend.orders.models import Order
from backend.payments import views
from backend.payments.checkout import cancel_order
from backend.schema import payments as schema
from tests.api.conftest import questions  # noqa: F401 - fixtures are found by name
from tests.api.helpers import CONFIRM_RETURN, PAY_ORDER, books, nothing_changes
from tests.shop import CREATE_ORDER, Shopper

NOON = "2026-11-22T04:00:00+00:00"


@pytest.fixture
def clock(db):
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def two_orders(monkeypatch, clock):
    """A buyer may place two in ten minutes, an address twenty. Gives the clock."""
    assert quotas.NEW_ORDERS == schema.NEW_ORDERS == Quota("orders", 60)
    monkeypatch.setattr(schema, "NEW_ORDERS", Quota("orders", 2))
    return clock


def tries(quota):
    return [(limit.times, limit.seconds) for limit, _ in quota.tries(1, "192.0.2.1")]


def test_an_address_has_ten_times_a_buyers_share():
    assert tries(quotas.NEW_ORDERS) == tries(quotas.PAY_URLS) == [(60, 600), (600, 600)]
    assert tries(quotas.CONFIRMATIONS) == [(30, 600), (300, 600)]
    assert (quotas.RETURNS.times, quotas.RETURNS.seconds) == (300, 600)


# --- New orders ------------------------------------------------------------------------------------------------------


def course(price_fen=100):
    return Course.objects.create(name="C", price_fen=price_fen)


def place(shopper, count):
    """Orders of a new course each; what came of them."""
    return [shopper.create_order([course()])["__typename"] for _ in range(count)]


LIMITED = {"code": "RATE_LIMITED", "message": "Too many tries. Try again in 600 seconds."}


def test_the_order_that_is_one_too_many_is_not_placed(buyer, two_orders):
    assert place(buyer, 2) == ["CreateOrderSuccess"] * 2
    one_more = course()
    with nothing_changes():
        assert buyer.create_order([one_more]) == {"__typename": "RateLimited", **LIMITED}


def test_neither_is_a_free_one(buyer, two_orders):
    place(buyer, 2)
    gift = course(0)
    with nothing_changes():
        assert buyer.create_order([gift], "0.00") == {"__typename": "RateLimited", **LIMITED}


def test_the_wait_is_told_and_ends(buyer, two_orders):
    place(buyer, 2)
    two_orders.shift(timedelta(seconds=599))
    query = CREATE_ORDER.replace("... on InvalidInput", "... on RateLimited { retryAfterMs } ... on InvalidInput")
    asked = {"courseIds": [str(course().pk)], "totalAmount": "1.00"}
    assert buyer.ask(query, input=asked)["createOrder"]["retryAfterMs"] == 1000
    two_orders.shift(timedelta(seconds=1))
    assert buyer.ask(query, input=asked)["createOrder"]["__typename"] == "CreateOrderSuccess"


def test_cancelling_makes_no_room(buyer, two_orders):
    for _ in range(2):
        answer = buyer.create_order([course()])
        cancel_order(user_id=buyer.user.pk, number=answer["order"]["id"])
    assert place(buyer, 1) == ["RateLimited"]


def test_repeats_cost_nothing(buyer, two_orders):
    first = course()
    orders = [buyer.create_order([first], idempotencyKey="k") for _ in range(5)]
    orders += [buyer.create_order([first]) for _ in range(5)]
    assert [order["replayed"] for order in orders] == [False] + [True] * 9
    assert place(buyer, 2) == ["CreateOrderSuccess", "RateLimited"]


@pytest.mark.parametrize("key", [{"idempotencyKey": "k"}, {"idempotencyKey": "another"}, {}], ids=str)
def test_a_repeat_is_answered_over_the_limit_too(buyer, two_orders, key):
    first = course()
    order = buyer.create_order([first], idempotencyKey="k")["order"]
    assert place(buyer, 5)[-1] == "RateLimited"
    again = buyer.create_order([first], **key)
    assert (again["__typename"], again["replayed"], again["order"]) == ("CreateOrderSuccess", True, order)
    assert place(buyer, 1) == ["RateLimited"]


def test_a_refusal_costs_nothing_and_is_told_over_the_limit_too(buyer, two_orders):
    one = course()
    for _ in range(5):
        assert buyer.create_order([one], "9.99")["__typename"] == "PriceChanged"
    assert place(buyer, 3) == ["CreateOrderSuccess"] * 2 + ["RateLimited"]
    with nothing_changes():
        assert buyer.create_order([one], "9.99")["__typename"] == "PriceChanged"


def test_buyers_are_counted_apart(buyer, stranger, two_orders):
    assert place(buyer, 3)[-1] == "RateLimited"
    assert place(stranger, 2) == ["CreateOrderSuccess"] * 2


def crowd(count, **client):
    users = [User.objects.create(username=f"u{User.objects.count()}") for _ in range(count)]
    shoppers = [Shopper.signed_in(user) for user in users]
    for shopper in shoppers:
        shopper.http = Client(**client)
    return shoppers


@pytest.fixture
def ten_of_an_address(monkeypatch, clock):
    monkeypatch.setattr(schema, "NEW_ORDERS", Quota("orders", 1))


def test_an_address_is_counted_over_all_its_buyers(ten_of_an_address):
    placed = [place(shopper, 1)[0] for shopper in crowd(11, REMOTE_ADDR="192.0.2.1")]
    assert placed == ["CreateOrderSuccess"] * 10 + ["RateLimited"]
    assert place(crowd(1, REMOTE_ADDR="192.0.2.2")[0], 1) == ["CreateOrderSuccess"]


def test_an_invented_address_does_not_help(ten_of_an_address):
    shoppers = crowd(11, REMOTE_ADDR="192.0.2.1")
    for n, shopper in enumerate(shoppers):
        shopper.http = Client(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}")
    assert [place(shopper, 1)[0] for shopper in shoppers][-1] == "RateLimited"


def test_one_household_is_one_ipv6_network(ten_of_an_address):
    shoppers = [crowd(1, REMOTE_ADDR=f"2001:db8:1:2::{n}")[0] for n in range(11)]
    assert [place(shopper, 1)[0] for shopper in shoppers][-1] == "RateLimited"
    assert place(crowd(1, REMOTE_ADDR="2001:db8:1:3::1")[0], 1) == ["CreateOrderSuccess"]


def test_off_means_that_orders_are_not_counted(buyer, two_orders, settings):
    settings.RATE_LIMITS = False
    assert place(buyer, 5) == ["CreateOrderSuccess"] * 5
    assert Order.objects.count() == 5


# --- URLs and returns ------------------------------------------------------------------------------------------------


def test_a_pay_url_too_many(buyer, order, monkeypatch, clock):
    monkeypatch.setattr(schema, "PAY_URLS", Quota("pay-urls", 2))
    answers = [buyer.ask(PAY_ORDER, input={"orderId": order.number})["payOrder"] for _ in range(3)]
    assert [answer["__typename"] for answer in answers] == ["PayOrderSuccess"] * 2 + ["RateLimited"]


def test_a_confirmation_too_many_asks_nobody(buyer, alipay, order, payment, questions, monkeypatch):  # noqa: F811
    monkeypatch.setattr(schema, "CONFIRMATIONS", Quota("confirmations", 2))
    search = alipay.return_query(payment)
    with nothing_changes():
        answers = [buyer.ask(CONFIRM_RETURN, search=search)["confirmReturn"]["__typename"] for _ in range(4)]
    assert answers == ["ConfirmReturnSuccess"] * 2 + ["RateLimited"] * 2
    assert len(questions) == 2


@pytest.mark.parametrize("path", ["/payments/alipay/return/", "/order/success/"])
def test_a_return_too_many_is_answered_from_our_own_rows(alipay, payment, questions, monkeypatch, path):  # noqa: F811
    monkeypatch.setattr(views, "RETURNS", Limit("returns", times=2, seconds=600))
    before = books()
    answers = [Client().get(f"{path}?{alipay.return_query(payment)}") for _ in range(4)]
    assert {answer.status_code for answer in answers} == {200}
    said = {"outTradeNo": payment.out_trade_no, "verified": True, "paid": False, "status": "UNPAID"}
    assert [answer.json() for answer in answers] == [said] * 4
    assert len(questions) == 2
    assert books() == before
    assert Client(REMOTE_ADDR="192.0.2.9").get(f"{path}?{alipay.return_query(payment)}").status_code == 200
    assert len(questions) == 3
