"""How an unpaid order ends: closed at Alipay, or known to be unpayable; never by a guess."""

import pytest

from backend.courses.models import Enrollment
from backend.orders.models import OrderEvent
from backend.payments.models import Payment, Refund
from backend.payments.providers.base import (
    CloseResult,
    ProviderRejected,
    ProviderUnavailable,
    TradeNotFound,
    TradeState,
)
from tests.jobs.conftest import trade_of

TTL, GRACE = 1800, 120
NOT_THERE = TradeNotFound("ACQ.TRADE_NOT_EXIST", "交易不存在")

pytestmark = pytest.mark.django_db


def states(order):
    order.refresh_from_db()
    return order.status, order.payments.get().status


def test_before_its_time_an_order_is_only_asked_about(clock, later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PENDING))
    later(61)
    assert provider.calls() == ["query"]
    assert states(order) == ("UNPAID", "OPEN")
    assert later(10) == 0


def test_no_such_trade_before_its_time_leaves_the_url_to_be_paid(clock, later, provider, order, payment):
    provider.answers("query", NOT_THERE)
    later(TTL // 2)
    assert provider.calls() == ["query"]
    assert states(order) == ("UNPAID", "OPEN")
    provider.answers("query", trade_of(payment, TradeState.PAID))
    later(TTL // 2 - 1)
    assert states(order) == ("PAID", "PAID")


def test_a_trade_that_waits_for_its_buyer_is_closed_at_the_provider(clock, later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PENDING))
    provider.answers("close", CloseResult.CLOSED)
    later(TTL + 1)
    assert provider.calls() == ["query", "close"]
    assert states(order) == ("TIMED_OUT", "CLOSED")
    assert [event.name for event in OrderEvent.objects.order_by("id")][-2:] == ["payment.closed", "order.timed_out"]
    assert Payment.objects.get().next_query_at is None


def test_a_trade_that_does_not_exist_is_over_only_after_the_grace(clock, later, provider, order, payment):
    provider.answers("query", NOT_THERE)
    later(TTL + 1)
    assert states(order) == ("UNPAID", "CLOSING")
    later(GRACE - 10)
    assert states(order) == ("UNPAID", "CLOSING")
    later(15)
    assert states(order) == ("TIMED_OUT", "CLOSED")
    assert "close" not in provider.calls()


def test_money_found_at_the_last_moment_pays(clock, later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PAID))
    later(TTL + 1)
    assert states(order) == ("PAID", "PAID")
    assert Enrollment.objects.open().count() == 2


def test_a_close_that_came_too_late_is_asked_about_and_followed(clock, later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PENDING), trade_of(payment, TradeState.PAID))
    provider.answers("close", CloseResult.STATUS_CHANGED)
    later(TTL + 1)
    assert provider.calls() == ["query", "close", "query"]
    assert states(order) == ("PAID", "PAID")


@pytest.mark.parametrize("outcome", [ProviderUnavailable("time-out"), ProviderRejected("isv.x", "no")])
def test_an_unknown_outcome_changes_nothing_and_is_asked_again(clock, later, provider, order, payment, outcome):
    provider.answers("query", outcome)
    later(TTL + 1)
    assert states(order) == ("UNPAID", "CLOSING")
    provider.answers("query", trade_of(payment, TradeState.PENDING))
    provider.answers("close", ProviderUnavailable("time-out"), CloseResult.CLOSED)
    later(3600)
    assert states(order) == ("UNPAID", "CLOSING")
    later(3600)
    assert states(order) == ("TIMED_OUT", "CLOSED")


def test_all_notifies_lost_and_the_site_down_for_26_hours(clock, later, provider, order, payment):
    paid = trade_of(payment, TradeState.PAID)
    provider.answers("query", paid)
    later(26 * 3600)
    assert states(order) == ("PAID", "PAID")
    assert not Refund.objects.exists()


def test_closed_at_the_provider_before_its_time_leaves_the_order_to_be_paid_anew(
    clock, later, provider, order, payment, buyer
):
    provider.answers("query", trade_of(payment, TradeState.CLOSED))
    later(61)
    assert states(order) == ("UNPAID", "CLOSED")
    answer = buyer.ask(
        "mutation ($i: PayOrderInput!) { payOrder(input: $i) { ... on PayOrderSuccess { order { outTradeNo } } } }",
        i={"orderId": order.number},
    )["payOrder"]
    assert answer["order"]["outTradeNo"] != payment.out_trade_no


def test_closed_at_the_provider_and_left_alone_times_out_with_its_time(clock, later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.CLOSED))
    later(61)
    later(TTL)
    assert states(order) == ("TIMED_OUT", "CLOSED")


def test_a_second_sweep_changes_nothing(clock, later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PENDING))
    provider.answers("close", CloseResult.CLOSED)
    later(TTL + 1)
    events = OrderEvent.objects.count()
    assert later(7200) == 0
    assert OrderEvent.objects.count() == events
