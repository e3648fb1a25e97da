"""What a trade does here, in its effect, the history and the inbox; and what is said of one that is refused."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend.orders.models import Order, OrderEvent
from backend.payments import trades
from backend.payments.locks import lock_payment
from backend.payments.models import Discrepancy, Notification, Payment
from backend.payments.providers.base import TradeState
from backend.payments.trades import Effect, TradeRefused, apply_trade
from tests.api.helpers import nothing_changes
from tests.jobs.conftest import trade_of
from tests.shop import post_notify

pytestmark = pytest.mark.django_db


def test_each_effect_is_told_in_the_inbox(alipay, payment):
    def said(**changes):
        assert post_notify(alipay.paid_notify(payment, **changes)).content == b"success"
        return Notification.objects.latest("id").reason

    refund = {"refund_fee": "1.00", "gmt_refund": "2026-11-23 09:00:00.123", "out_biz_no": "console"}
    assert said() == "paid"
    assert said(notify_id="a") == "nothing new"
    assert said(notify_id="b", **refund) == "refund taken in"
    assert said(notify_id="c", **refund) == "nothing new"


def test_a_closed_attempt_is_told_in_the_inbox(alipay, payment):
    post_notify(alipay.paid_notify(payment, trade_status="TRADE_CLOSED", gmt_payment=None))
    assert Notification.objects.get().reason == "closed"


def test_closed_before_its_time_is_looked_at_again_when_that_ends(clock, order, payment):
    assert apply_trade(trade_of(payment, TradeState.CLOSED)) == Effect.CLOSED
    payment.refresh_from_db()
    assert (payment.closed_at, payment.next_query_at) == (timezone.now(), order.expires_at)
    assert OrderEvent.objects.latest("id").detail == payment.out_trade_no


def test_closed_after_its_time_is_looked_at_at_once(clock, order, payment):
    clock.move_to(order.expires_at + timedelta(seconds=5))
    apply_trade(trade_of(payment, TradeState.CLOSED))
    payment.refresh_from_db()
    assert payment.next_query_at == timezone.now()


def test_closed_for_an_order_that_has_ended_is_looked_at_no_more(clock, order, payment):
    order.move_to("CANCELLED")
    apply_trade(trade_of(payment, TradeState.CLOSED))
    payment.refresh_from_db()
    assert (payment.closed_at, payment.next_query_at) == (timezone.now(), None)


def test_a_status_that_another_has_moved_meanwhile_is_a_refusal(order, payment, monkeypatch):
    """The guard behind the locks: money is not lost, people are told."""
    stale = lock_payment(payment.out_trade_no)
    Order.objects.update(status="CANCELLED")
    monkeypatch.setattr(trades, "lock_payment", lambda number: stale)
    with nothing_changes(), pytest.raises(TradeRefused, match=f"orders.Order {order.pk} is no longer UNPAID"):
        apply_trade(trade_of(payment, TradeState.PAID))
    assert (
        f"orders.Order {order.pk} is no longer UNPAID (trade T{payment.pk}, 156.00)" == Discrepancy.objects.get().detail
    )


def test_a_refusal_says_why_and_is_logged(buyer, courses, order, payment, caplog):
    other = Payment.objects.get(out_trade_no=buyer.create_order(courses[2:3])["order"]["outTradeNo"])
    apply_trade(trade_of(payment, TradeState.PAID))
    with pytest.raises(TradeRefused) as refusal:
        apply_trade(trade_of(other, TradeState.PAID, trade_no=f"T{payment.pk}"))
    assert str(refusal.value) == refusal.value.reason
    assert refusal.value.reason == "the database refused it: is this trade_no another payment's?"
    assert ("coursepay.trades", f"trade {other.out_trade_no} broke a constraint") in [
        (record.name, record.getMessage()) for record in caplog.records
    ]


@pytest.mark.parametrize("name", ["notifications", "refunding", "trades", "returns", "watch"])
def test_what_the_shop_logs_about_money_is_where_the_settings_look_for_it(name):
    from importlib import import_module

    assert import_module(f"backend.payments.{name}").logger.name == f"coursepay.{name}"
