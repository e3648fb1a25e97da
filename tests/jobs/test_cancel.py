"""The buyer's word counts at once; what was open at Alipay is closed behind it, and money that comes goes back."""

import pytest
from django.utils import timezone

from backend.courses.models import Enrollment
from backend.orders.models import Order
from backend.payments.models import Payment, Refund
from backend.payments.providers.base import (
    CloseResult,
    ProviderUnavailable,
    RefundResult,
    RefundState,
    TradeNotFound,
    TradeState,
)
from backend.payments.trades import apply_trade
from tests.jobs.conftest import trade_of

pytestmark = pytest.mark.django_db
NOT_THERE = TradeNotFound("ACQ.TRADE_NOT_EXIST", "交易不存在")
CANCEL = """mutation ($i: CancelOrderInput!) { cancelOrder(input: $i) {
  __typename
  ... on CancelOrderSuccess { order { status payUrl } }
  ... on OrderNotCancellable { order { status } } } }"""


def cancel(shopper, order):
    return shopper.ask(CANCEL, i={"orderId": order.number})["cancelOrder"]


def test_cancel_works_at_once_while_alipay_is_away(clock, later, provider, buyer, courses, order, payment):
    provider.answers("query", ProviderUnavailable("time-out"))
    assert cancel(buyer, order) == {
        "__typename": "CancelOrderSuccess",
        "order": {"status": "CANCELLED", "payUrl": None},
    }
    assert buyer.create_order(courses[:2])["replayed"] is False


def test_what_was_open_at_alipay_is_closed(clock, later, provider, buyer, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PENDING))
    provider.answers("close", CloseResult.CLOSED)
    cancel(buyer, order)
    later(0)
    assert Payment.objects.get().status == "CLOSED"
    assert Order.objects.get().status == "CANCELLED"


def test_an_unvisited_payment_is_watched_until_its_url_is_dead(clock, later, provider, buyer, order, payment):
    provider.answers("query", NOT_THERE)
    cancel(buyer, order)
    later(1)
    assert Payment.objects.get().status == "CLOSING"
    provider.answers("query", trade_of(payment, TradeState.PAID))
    provider.answers("refund", RefundResult(RefundState.SUCCEEDED))
    later(1800 + 121)
    refund = Refund.objects.get()
    assert (refund.cause, refund.status, refund.amount_fen) == ("CANCELLED", "SUCCEEDED", 15600)
    assert refund.out_request_no == f"{payment.out_trade_no}_CANCELLED"
    assert Order.objects.get().status == "CANCELLED"
    assert not Enrollment.objects.exists()


@pytest.mark.parametrize("who", ["stranger", "staff"])
def test_only_the_buyer_cancels(request, order, who):
    assert cancel(request.getfixturevalue(who), order) == {"__typename": "OrderNotFound"}
    assert Order.objects.get().status == "UNPAID"


def test_a_paid_order_is_not_cancelled(buyer, order, payment):
    apply_trade(trade_of(payment, TradeState.PAID, paid_at=timezone.now()))
    assert cancel(buyer, order) == {"__typename": "OrderNotCancellable", "order": {"status": "PAID"}}


def test_a_second_cancel_is_refused(buyer, order):
    cancel(buyer, order)
    assert cancel(buyer, order)["__typename"] == "OrderNotCancellable"
