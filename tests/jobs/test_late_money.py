"""Money that nobody waits for any more: recorded first, then honoured or given back, by itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend.courses.models import Enrollment
from backend.orders.models import Order, OrderEvent
from backend.payments.checkout import new_payment
from backend.payments.jobs import run_everything_due
from backend.payments.models import Discrepancy, Payment, Refund
from backend.payments.providers.base import RefundResult, RefundState, TradeNotFound, TradeState
from backend.payments.trades import TradeRefused, apply_trade
from backend.stored import insert
from tests.jobs.conftest import trade_of
from tests.shop import post_notify

pytestmark = pytest.mark.django_db


@pytest.fixture
def timed_out(clock, later, provider, order, payment):
    provider.answers("query", TradeNotFound("ACQ.TRADE_NOT_EXIST", ""))
    provider.answers("refund", RefundResult(RefundState.SUCCEEDED))
    later(1801)
    later(121)
    assert Order.objects.get().status == "TIMED_OUT"
    return payment


def test_late_money_is_honoured(later, timed_out, buyer):
    apply_trade(trade_of(timed_out, TradeState.PAID))
    assert Order.objects.get().status == "PAID"
    assert Enrollment.objects.open().count() == 2
    assert not Refund.objects.exists()


def test_late_money_goes_back_where_the_shop_wants_it_so(later, timed_out, settings):
    settings.LATE_PAYMENT = "refund"
    apply_trade(trade_of(timed_out, TradeState.PAID))
    later(1)
    assert (Order.objects.get().status, Payment.objects.get().status) == ("TIMED_OUT", "PAID")
    refund = Refund.objects.get()
    assert (refund.cause, refund.status, refund.amount_fen) == ("LATE", "SUCCEEDED", 15600)
    assert not Enrollment.objects.exists()


def test_money_taken_in_time_is_never_late(later, timed_out, settings):
    settings.LATE_PAYMENT = "refund"
    apply_trade(trade_of(timed_out, TradeState.PAID, paid_at=timed_out.expires_at))
    assert Order.objects.get().status == "PAID"


def test_late_money_for_courses_bought_meanwhile_goes_back(later, timed_out, buyer, courses):
    second = Payment.objects.get(out_trade_no=buyer.create_order(courses[:2])["order"]["outTradeNo"])
    apply_trade(trade_of(second, TradeState.PAID))
    apply_trade(trade_of(timed_out, TradeState.PAID))
    later(1)
    assert Order.objects.get(pk=timed_out.order_id).status == "TIMED_OUT"
    assert [(r.payment_id, r.cause, r.amount_fen) for r in Refund.objects.all()] == [(timed_out.pk, "LATE", 15600)]
    assert Enrollment.objects.open().count() == 2


def test_overlapping_orders_give_back_the_part_that_is_owned(later, timed_out, buyer, courses):
    second = Payment.objects.get(out_trade_no=buyer.create_order(courses[1:3])["order"]["outTradeNo"])
    apply_trade(trade_of(second, TradeState.PAID))
    apply_trade(trade_of(timed_out, TradeState.PAID))
    later(1)
    refund = Refund.objects.get()
    assert (refund.payment_id, refund.cause, refund.amount_fen) == (timed_out.pk, "OWNED", courses[1].price_fen)
    assert {row.course_id for row in Enrollment.objects.open()} == {course.pk for course in courses[:3]}
    assert buyer.ask("query ($id: ID!) { order(id: $id) { refundState refundedAmount } }", id=timed_out.order.number)[
        "order"
    ] == {"refundState": "PARTIAL", "refundedAmount": "39.00"}


def test_the_second_of_two_payments_goes_back_and_the_course_stays_open(later, provider, order, payment, buyer):
    provider.answers("refund", RefundResult(RefundState.SUCCEEDED))
    apply_trade(trade_of(payment, TradeState.CLOSED))
    second = insert(new_payment(order, timezone.now()))
    apply_trade(trade_of(second, TradeState.PAID))
    apply_trade(trade_of(payment, TradeState.PAID))
    later(1)
    refund = Refund.objects.get()
    assert (refund.payment_id, refund.cause, refund.status) == (payment.pk, "DOUBLE", "SUCCEEDED")
    assert Enrollment.objects.open().count() == 2
    shown = buyer.ask(
        "query ($id: ID!) { order(id: $id) { status refundState refundedAmount tradeNo } }", id=order.number
    )
    assert shown["order"]["status"] == "PAID"
    assert (shown["order"]["refundState"], shown["order"]["refundedAmount"]) == ("PARTIAL", "156.00")


def test_an_automatic_refund_that_fails_is_a_discrepancy(later, timed_out, settings, provider):
    settings.LATE_PAYMENT = "refund"
    provider.answers("refund", RefundResult(RefundState.FAILED, code="ACQ.TRADE_HAS_FINISHED", message="交易已完结"))
    provider.answers("query_refund", RefundResult(RefundState.NOT_SEEN))
    apply_trade(trade_of(timed_out, TradeState.PAID))
    later(1)
    refund = Refund.objects.get()
    assert (refund.status, refund.provider_code) == ("FAILED", "ACQ.TRADE_HAS_FINISHED")
    assert Discrepancy.objects.get().kind == "refund failed"
    assert Payment.objects.get().refunding_fen == 0


@pytest.mark.parametrize(("change", "kind"), [({"total_amount": "0.01"}, "money refused")])
def test_verified_money_that_cannot_be_applied_is_a_discrepancy_once(alipay, payment, change, kind):
    body = alipay.paid_notify(payment, **change)
    assert [post_notify(body).content for _ in range(2)] == [b"fail", b"fail"]
    assert Discrepancy.objects.get().kind == kind
    assert Discrepancy.objects.get().closed_at is None


def test_money_of_a_wrong_amount_that_a_query_finds_is_a_discrepancy(later, provider, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PAID, amount_fen=1))
    later(61)
    later(3600)
    assert Discrepancy.objects.get().detail.startswith("wrong amount: 1 fen, not 15600")
    assert Order.objects.get().status == "UNPAID"


def test_a_refused_refund_of_money_is_a_discrepancy(payment):
    with pytest.raises(TradeRefused):
        apply_trade(trade_of(payment, TradeState.CLOSED, amount_fen=1, refunded_fen=1))
    assert Discrepancy.objects.get().kind == "money refused"


def test_a_refused_statement_that_tells_of_no_money_is_none(payment):
    with pytest.raises(TradeRefused):
        apply_trade(trade_of(payment, TradeState.PENDING, amount_fen=1))
    assert not Discrepancy.objects.exists()


def test_a_discrepancy_that_resolves_itself_is_closed(alipay, order, payment):
    body = alipay.paid_notify(payment)
    number = payment.out_trade_no
    Payment.objects.update(out_trade_no="elsewhere")
    assert post_notify(body).content == b"fail"
    Payment.objects.update(out_trade_no=number)
    run_everything_due()
    assert Discrepancy.objects.get().closed_at is None
    assert post_notify(body).content == b"success"
    run_everything_due()
    assert Discrepancy.objects.get().closed_at is not None


def test_the_timeline_tells_it(later, timed_out, settings):
    settings.LATE_PAYMENT = "refund"
    apply_trade(trade_of(timed_out, TradeState.PAID, paid_at=timezone.now() + timedelta(seconds=1)))
    later(1)
    names = list(OrderEvent.objects.order_by("id").values_list("name", flat=True))
    assert names == [
        "order.created",
        "payment.closed",
        "order.timed_out",
        "payment.received",
        "refund.requested",
        "refund.succeeded",
        "order.refunded",
    ]
