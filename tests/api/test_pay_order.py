"""payOrder: a fresh URL while there is something to pay."""

import json
from datetime import timedelta

import pytest
import time_machine

from backend.orders.models import Order, OrderEvent, OrderStatus
from backend.payments.models import Payment
from tests.api.helpers import PAY_ORDER, close, end, nothing_changes, own, pay, pay_order
from tests.shop import params_of, post_notify


def trade_in(url):
    return json.loads(params_of(url)["biz_content"])["out_trade_no"]


def test_an_unpaid_order_gets_a_fresh_url_of_the_same_attempt(buyer, order, payment):
    with nothing_changes():
        answer = pay_order(buyer, order.number)
    assert answer["__typename"] == "PayOrderSuccess"
    assert (answer["order"]["id"], answer["order"]["outTradeNo"]) == (order.number, payment.out_trade_no)
    assert trade_in(answer["payUrl"]) == payment.out_trade_no


@pytest.mark.parametrize("pay_type", [None, "ALIPAY"])
def test_it_may_be_said_how_to_pay(buyer, order, pay_type):
    assert pay_order(buyer, order.number, payType=pay_type)["__typename"] == "PayOrderSuccess"


def test_wechat_pay_is_refused_until_it_is_there(buyer, order):
    with nothing_changes():
        answer = pay_order(buyer, order.number, payType="WECHAT_PAY")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "payType")


@pytest.mark.parametrize("number", ["", "0", "20261122" + "0" * 14, "x" * 500, "\x00", "1\x00", "号"], ids=ascii)
def test_a_number_of_no_order_is_not_found(buyer, order, number):
    with nothing_changes():
        answer = pay_order(buyer, number)
    assert (answer["__typename"], answer["code"]) == ("OrderNotFound", "ORDER_NOT_FOUND")


def test_anothers_order_is_answered_as_one_that_is_not_there(stranger, staff, order):
    with nothing_changes():
        theirs = stranger.post(PAY_ORDER, input={"orderId": order.number}).content
        nobodys = stranger.post(PAY_ORDER, input={"orderId": "20261122" + "0" * 14}).content
    assert theirs == nobodys
    assert json.loads(theirs)["data"]["payOrder"]["__typename"] == "OrderNotFound"
    # Staff sees orders; it does not pay them.
    assert pay_order(staff, order.number)["__typename"] == "OrderNotFound"


def test_the_wrong_pay_type_tells_a_stranger_nothing(stranger, order):
    assert pay_order(stranger, order.number, payType="WECHAT_PAY")["__typename"] == "OrderNotFound"


def test_a_paid_order_is_not_payable(buyer, order, payment):
    pay(payment)
    with nothing_changes():
        answer = pay_order(buyer, order.number)
    assert (answer["__typename"], answer["code"]) == ("OrderNotPayable", "ORDER_NOT_PAYABLE")
    assert answer["order"] == {"id": order.number, "status": "PAID", "payUrl": None}


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.TIMED_OUT])
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_an_order_that_has_ended_is_not_payable(buyer, order, payment, status, closed):
    if closed:
        close(payment)
    end(order, status)
    with nothing_changes():
        answer = pay_order(buyer, order.number)
    assert (answer["__typename"], answer["order"]["status"]) == ("OrderNotPayable", status)


@pytest.mark.parametrize(
    ("seconds_left", "kind"),
    [(60, "PayOrderSuccess"), (59, "OrderNotPayable"), (0, "OrderNotPayable"), (-3600, "OrderNotPayable")],
)
def test_an_order_is_payable_until_a_minute_before_it_expires(buyer, order, seconds_left, kind):
    with time_machine.travel(order.expires_at - timedelta(seconds=seconds_left), tick=False), nothing_changes():
        answer = pay_order(buyer, order.number)
    assert (answer["__typename"], answer["order"]["status"]) == (kind, "UNPAID")


def test_a_course_that_was_opened_meanwhile_is_not_paid_again(buyer, user, courses, order):
    own(user, courses[1])
    with nothing_changes():
        answer = pay_order(buyer, order.number)
    assert (answer["__typename"], answer["courseIds"]) == ("AlreadyOwned", [str(courses[1].pk)])


# --- A new attempt ---------------------------------------------------------------------------------------------------


def test_a_new_attempt_is_opened_where_alipay_closed_the_first_before_its_time(buyer, order, payment):
    close(payment)
    answer = pay_order(buyer, order.number)

    new = Payment.objects.latest("id")
    assert (answer["__typename"], trade_in(answer["payUrl"])) == ("PayOrderSuccess", new.out_trade_no)
    assert new.out_trade_no != payment.out_trade_no
    assert (new.order_id, new.amount_fen, new.expires_at) == (order.pk, payment.amount_fen, order.expires_at)
    assert answer["order"]["outTradeNo"] == new.out_trade_no
    shown = "query ($no: String!) { order(outTradeNo: $no) { id outTradeNo } }"
    for number in (payment.out_trade_no, new.out_trade_no):
        assert buyer.ask(shown, no=number)["order"] == {"id": order.number, "outTradeNo": new.out_trade_no}
    events = list(OrderEvent.objects.order_by("id").values_list("name", "detail"))
    assert events[-2:] == [("payment.closed", payment.out_trade_no), ("payment.opened", new.out_trade_no)]

    with nothing_changes():
        assert trade_in(pay_order(buyer, order.number)["payUrl"]) == new.out_trade_no


@pytest.mark.parametrize("which", ["first", "second"])
def test_money_for_either_attempt_pays_the_order(buyer, order, payment, alipay, which):
    close(payment)
    pay_order(buyer, order.number)
    paid = payment if which == "first" else Payment.objects.latest("id")
    assert post_notify(alipay.paid_notify(paid)).content == b"success"
    assert buyer.status(payment.out_trade_no) == "PAID"
    shown = buyer.ask("query ($id: ID!) { order(id: $id) { tradeNo } }", id=order.number)["order"]
    paid.refresh_from_db()
    assert shown["tradeNo"] == paid.trade_no


@pytest.mark.parametrize("seconds_left", [59, 0, -1])
def test_no_new_attempt_is_opened_for_an_order_out_of_time(buyer, order, payment, seconds_left):
    close(payment)
    with time_machine.travel(order.expires_at - timedelta(seconds=seconds_left), tick=False), nothing_changes():
        answer = pay_order(buyer, order.number)
    assert answer["__typename"] == "OrderNotPayable"
    assert Payment.objects.count() == 1


def test_no_new_attempt_is_opened_while_one_is_open(buyer, order, payment):
    close(payment)
    for _ in range(3):
        pay_order(buyer, order.number)
    assert list(Payment.objects.order_by("id").values_list("status", flat=True)) == ["CLOSED", "OPEN"]
    assert Order.objects.count() == 1
