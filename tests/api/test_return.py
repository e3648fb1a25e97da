"""The browser comes back: what it brings is checked, and never believed."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from backend.courses.models import Course
from backend.orders.models import OrderStatus
from backend.payments.models import Payment
from backend.payments.providers.base import ProviderRejected, ProviderUnavailable, TradeNotFound, TradeState
from tests.api.helpers import CONFIRM_RETURN, end, nothing_changes, pay, trade_of
from tests.shop import post_notify

ADDRESSES = ["/payments/alipay/return/", "/order/success/"]
NO_ANSWERS = [
    ProviderUnavailable("time-out"),
    TradeNotFound("ACQ.TRADE_NOT_EXIST", "none"),
    ProviderRejected("X", "no"),
]


def rest(query, path=ADDRESSES[0]):
    response = Client().get(f"{path}?{query}")
    assert (response.status_code, response["content-type"]) == (200, "application/json")
    assert "no-store" in response["cache-control"]
    return response.json()


def confirm(shopper, query):
    return shopper.ask(CONFIRM_RETURN, search=query)["confirmReturn"]


def said(payment, *, verified=True, paid=False, status="UNPAID"):
    return {"outTradeNo": payment.out_trade_no, "verified": verified, "paid": paid, "status": status}


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_return_alone_pays_nothing(alipay, payment, questions, path):
    with nothing_changes():
        assert rest(alipay.return_query(payment), path) == said(payment)
    assert questions == [payment.out_trade_no]


def test_confirm_return_alone_pays_nothing(buyer, alipay, order, payment, questions):
    with nothing_changes():
        answer = confirm(buyer, alipay.return_query(payment))
    assert answer == {
        "__typename": "ConfirmReturnSuccess",
        "verified": True,
        "order": {"id": order.number, "status": "UNPAID"},
    }
    assert questions == [payment.out_trade_no]


@pytest.mark.parametrize("path", ADDRESSES)
def test_alipays_answer_to_our_question_pays(alipay, payment, questions, path):
    questions.answer = trade_of(payment, trade_no="T", paid_at=datetime(2026, 11, 22, 4, tzinfo=UTC))
    assert rest(alipay.return_query(payment), path) == said(payment, paid=True, status="PAID")
    payment.refresh_from_db()
    assert (payment.status, payment.trade_no, payment.order.status) == ("PAID", "T", "PAID")


@pytest.mark.parametrize("mark", ["", "?"])
def test_confirm_return_takes_the_search_as_it_stands(buyer, alipay, order, payment, questions, mark):
    questions.answer = trade_of(payment)
    answer = confirm(buyer, mark + alipay.return_query(payment))
    assert answer["order"] == {"id": order.number, "status": "PAID"}
    assert answer["verified"] is True


def test_the_question_is_asked_with_a_total_deadline_of_three_seconds(alipay, payment, questions):
    rest(alipay.return_query(payment))
    assert questions.deadlines == [3.0]


@pytest.mark.django_db(transaction=True)
def test_the_question_is_asked_outside_any_transaction(buyer, alipay, payment, questions):
    seen = []

    def answer():
        seen.append(connection.in_atomic_block)
        return trade_of(payment)

    questions.answer = answer
    assert rest(alipay.return_query(payment))["paid"] is True
    payment.refresh_from_db()
    assert (seen, payment.status) == ([False], "PAID")


@pytest.mark.parametrize("answer", NO_ANSWERS, ids=lambda answer: type(answer).__name__)
def test_without_a_yes_the_order_stays_unpaid(buyer, alipay, payment, questions, answer):
    questions.answer = answer
    with nothing_changes():
        assert rest(alipay.return_query(payment)) == said(payment)
        assert confirm(buyer, alipay.return_query(payment))["order"]["status"] == "UNPAID"
    assert questions == [payment.out_trade_no] * 2


@pytest.mark.parametrize(
    "changes",
    [{"amount_fen": 1}, {"out_trade_no": "0" * 32}, {"provider": "free"}, {"state": TradeState.PENDING}],
    ids=str,
)
def test_an_answer_that_does_not_fit_pays_nothing(buyer, alipay, payment, questions, changes):
    questions.answer = trade_of(payment, **changes)
    with nothing_changes():
        assert rest(alipay.return_query(payment)) == said(payment)
        assert confirm(buyer, alipay.return_query(payment))["order"]["status"] == "UNPAID"


def test_a_paid_order_is_not_asked_about(buyer, alipay, payment, questions):
    pay(payment)
    assert rest(alipay.return_query(payment)) == said(payment, paid=True, status="PAID")
    assert confirm(buyer, alipay.return_query(payment))["order"]["status"] == "PAID"
    assert questions == []


def test_a_notify_that_came_first_is_shown(alipay, payment, questions):
    post_notify(alipay.paid_notify(payment))
    assert rest(alipay.return_query(payment))["paid"] is True
    assert questions == []


def test_a_cancelled_order_is_not_shown_as_paid(alipay, payment, order, questions):
    end(order, OrderStatus.CANCELLED)
    shown = rest(alipay.return_query(payment))
    assert (shown["verified"], shown["paid"], shown["status"]) == (True, False, "CANCELLED")


# --- What is not a return --------------------------------------------------------------------------------------------


def not_returns(alipay, forger, payment):
    good = alipay.return_query(payment)
    return {
        "forged": forger.return_query(payment),
        "changed": good.replace("total_amount=156.00", "total_amount=0.01"),
        "another app": alipay.return_query(payment, app_id="1"),
        "another seller": alipay.return_query(payment, seller_id="1"),
        "no seller": alipay.return_query(payment, seller_id=None),
        "no amount": alipay.return_query(payment, total_amount=None),
        "an amount in another spelling": alipay.return_query(payment, total_amount="1e2"),
        "a notify": alipay.paid_notify(payment),
        "unsigned": good.partition("&sign=")[0],
        "twice": good + "&out_trade_no=" + payment.out_trade_no,
        "foreign text": alipay.return_query(payment, timestamp="x&total_amount=1.00"),
        "garbage": "garbage",
        "empty": "",
        "only a mark": "?",
        "a bad escape": "a=%zz",
        "too long": good + "&x=" + "y" * 8192,
    }


KINDS = [
    "forged", "changed", "another app", "another seller", "no seller", "no amount", "an amount in another spelling",
    "a notify", "unsigned", "twice", "foreign text", "garbage", "empty", "only a mark", "a bad escape", "too long",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_that_alipay_did_not_sign_is_refused_and_nobody_asked(buyer, alipay, forger, payment, questions, kind):
    query = not_returns(alipay, forger, payment)[kind]
    with nothing_changes():
        answer = confirm(buyer, query)
        shown = rest(query)
    assert (answer["__typename"], answer["code"], answer["field"]) == ("InvalidInput", "INVALID_INPUT", "query")
    assert (shown["verified"], shown["paid"], shown["status"]) == (False, False, None)
    assert set(shown) == {"outTradeNo", "verified", "paid", "status"}
    assert shown["outTradeNo"] in (None, payment.out_trade_no)
    assert questions == []


def test_the_list_of_what_is_no_return_is_whole(alipay, forger, payment):
    assert list(not_returns(alipay, forger, payment)) == KINDS


def test_a_bad_signature_says_nothing_of_the_order(forger, payment):
    """Anybody could name a number: neither whether it is ours nor how it stands comes back."""
    pay(payment)
    assert rest(forger.return_query(payment)) == said(payment, verified=False, status=None)
    unknown = rest(forger.return_query(payment, out_trade_no="0" * 32))
    assert unknown == said(payment, verified=False, status=None) | {"outTradeNo": "0" * 32}


@pytest.mark.parametrize("text", ["\x00", "号", "x" * 20_000, "\u2028"], ids=lambda text: ascii(text[:3]))
def test_text_that_no_url_carries_is_refused(buyer, text):
    assert confirm(buyer, text)["__typename"] == "InvalidInput"


# --- Whose order -----------------------------------------------------------------------------------------------------


def test_anothers_order_is_not_found_and_not_asked_about(stranger, staff, alipay, payment, questions):
    for shopper in (stranger, staff):
        answer = confirm(shopper, alipay.return_query(payment))
        assert (answer["__typename"], answer["code"]) == ("OrderNotFound", "ORDER_NOT_FOUND")
    assert questions == []


def test_anothers_order_is_answered_as_one_that_is_not_there(stranger, alipay, payment, questions):
    theirs = stranger.post(CONFIRM_RETURN, search=alipay.return_query(payment))
    nobodys = stranger.post(CONFIRM_RETURN, search=alipay.return_query(payment, out_trade_no="0" * 32))
    assert theirs.content == nobodys.content
    assert json.loads(theirs.content)["data"]["confirmReturn"]["__typename"] == "OrderNotFound"


def test_a_return_for_a_number_that_is_not_ours(alipay, payment, questions):
    shown = rest(alipay.return_query(payment, out_trade_no="0" * 32))
    assert shown == {"outTradeNo": "0" * 32, "verified": True, "paid": False, "status": None}
    assert questions == []


# --- No more than two at a time --------------------------------------------------------------------------------------


def test_no_more_than_two_questions_are_asked_at_a_time(buyer, alipay, questions):
    """While one is asked the next return comes in, and in that one the next: the third goes without."""
    payments = []
    for n in range(3):
        buyer.create_order([Course.objects.create(name=f"C{n}", price_fen=100)])
        payments.append(Payment.objects.latest("id"))
    shown = []

    def answer():
        nested = payments[len(questions)]
        shown.append(rest(alipay.return_query(nested)))
        return ProviderUnavailable("slow")

    questions.answer = answer
    rest(alipay.return_query(payments[0]))
    assert questions == [payment.out_trade_no for payment in payments[:2]]
    assert [answer["outTradeNo"] for answer in shown] == [payments[2].out_trade_no, payments[1].out_trade_no]
    assert shown[0] == said(payments[2])

    # Both places are free again, though the answers were no answers.
    questions.answer = trade_of(payments[2])
    assert rest(alipay.return_query(payments[2]))["paid"] is True


def test_a_fault_in_asking_gives_the_place_back(alipay, payment, questions):
    questions.answer = RuntimeError("a bug")
    client = Client(raise_request_exception=False)
    for _ in range(3):
        assert client.get(f"{ADDRESSES[0]}?{alipay.return_query(payment)}").status_code == 500
    questions.answer = trade_of(payment)
    assert rest(alipay.return_query(payment))["paid"] is True


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_return_is_read_by_get(db, method):
    assert getattr(Client(), method)(ADDRESSES[0]).status_code == 405
