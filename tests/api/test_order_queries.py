"""order and orders: to whom they show what."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from backend.courses.models import Course
from backend.orders.models import Order, OrderStatus
from backend.payments.models import Payment
from tests.api.helpers import close, end, pay, pay_order
from tests.shop import Shopper

BY_ID = "query ($id: ID) { order(id: $id) { id number status } }"
BY_NUMBER = "query ($no: String) { order(outTradeNo: $no) { id number status } }"
ORDERS = """
query ($first: Int! = 20, $after: String, $status: [OrderStatus!]) {
  orders(first: $first, after: $after, status: $status) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id status } }
  }
}
"""
START = datetime(2026, 11, 22, 4, tzinfo=UTC)


def ids(connection):
    return [edge["node"]["id"] for edge in connection["edges"]]


@pytest.fixture
def five(buyer):
    """Five unpaid orders, oldest first."""
    for n in range(5):
        buyer.create_order([Course.objects.create(name=f"Course {n}", price_fen=100)])
    return list(Order.objects.order_by("id"))


# --- One order -------------------------------------------------------------------------------------------------------


def test_the_buyer_and_staff_find_an_order_by_id_and_by_number(buyer, staff, order, payment):
    expected = {"order": {"id": order.number, "number": order.number, "status": "UNPAID"}}
    for shopper in (buyer, staff):
        assert shopper.ask(BY_ID, id=order.number) == expected
        assert shopper.ask(BY_NUMBER, no=payment.out_trade_no) == expected


def test_anothers_order_is_answered_as_one_that_is_not_there(stranger, order, payment):
    assert stranger.post(BY_ID, id=order.number).content == stranger.post(BY_ID, id="20261122" + "0" * 14).content
    theirs = stranger.post(BY_NUMBER, no=payment.out_trade_no)
    assert theirs.content == stranger.post(BY_NUMBER, no="0" * 32).content
    assert theirs.json() == {"data": {"order": None}}
    pay(payment)
    assert stranger.ask(BY_ID, id=order.number) == {"order": None}


def test_every_attempts_number_finds_the_order(buyer, staff, stranger, order, payment):
    close(payment)
    pay_order(buyer, order.number)
    new = Payment.objects.latest("id")
    for number in (payment.out_trade_no, new.out_trade_no):
        assert buyer.ask(BY_NUMBER, no=number)["order"]["id"] == order.number
        assert staff.ask(BY_NUMBER, no=number)["order"]["id"] == order.number
        assert stranger.ask(BY_NUMBER, no=number)["order"] is None


def test_an_id_is_no_number_and_a_number_is_no_id(buyer, order, payment):
    assert buyer.ask(BY_ID, id=payment.out_trade_no)["order"] is None
    assert buyer.ask(BY_NUMBER, no=order.number)["order"] is None
    assert buyer.ask(BY_ID, id=str(order.pk))["order"] is None


@pytest.mark.parametrize("text", ["", "\x00", "x" * 1000, "%", "号", "*"], ids=lambda text: ascii(text[:9]))
def test_junk_is_no_order(buyer, order, text):
    assert buyer.ask(BY_ID, id=text)["order"] is None
    assert buyer.ask(BY_NUMBER, no=text)["order"] is None


@pytest.mark.parametrize(
    "args", ["", '(id: "1", outTradeNo: "1")', "(id: null)", "(outTradeNo: null)", "(id: null, outTradeNo: null)"]
)
def test_exactly_one_of_id_and_number_is_given(buyer, args):
    assert buyer.errors(f"{{ order{args} {{ id }} }}") == ["BAD_REQUEST"]


def test_a_null_beside_the_other_is_as_good_as_nothing(buyer, order):
    assert buyer.ask(f'{{ order(id: "{order.number}", outTradeNo: null) {{ id }} }}')["order"]["id"] == order.number


DETAILS = """
query ($id: ID!) {
  order(id: $id) {
    id number outTradeNo subject totalAmount status payType createdAt expiresAt paidAt tradeNo payUrl
    isTerminal nextPollAfterMs serverTime
    timeline { id name at detail }
    lines { id name price realPrice course { id } }
  }
}
"""


def test_an_unpaid_order_in_full(user, courses):
    with time_machine.travel(START, tick=False):
        buyer = Shopper.signed_in(user)
        number = buyer.create_order(courses[:1])["order"]["id"]
        shown = buyer.ask(DETAILS, id=number)["order"]
    payment = Payment.objects.get()
    assert shown.pop("payUrl").startswith("http://127.0.0.1:9/gateway.do?")
    assert len(shown["lines"][0].pop("id")) == 20
    assert len(shown["timeline"][0].pop("id")) == 20
    assert shown == {
        "id": number,
        "number": number,
        "outTradeNo": payment.out_trade_no,
        "subject": "Python 全栈开发",
        "totalAmount": "117.00",
        "status": "UNPAID",
        "payType": "ALIPAY",
        "createdAt": "2026-11-22T04:00:00+00:00",
        "expiresAt": "2026-11-22T04:30:00+00:00",
        "paidAt": None,
        "tradeNo": None,
        "isTerminal": False,
        "nextPollAfterMs": 2000,
        "serverTime": "2026-11-22T04:00:00+00:00",
        "timeline": [{"name": "order.created", "at": "2026-11-22T04:00:00+00:00", "detail": ""}],
        "lines": [
            {"name": "Python 全栈开发", "price": "117.00", "realPrice": "117.00", "course": {"id": str(courses[0].pk)}}
        ],
    }


def test_a_paid_order_tells_of_its_money(user, courses):
    from backend.payments.trades import apply_trade
    from tests.api.helpers import trade_of

    with time_machine.travel(START, tick=False) as clock:
        buyer = Shopper.signed_in(user)
        number = buyer.create_order(courses[:1])["order"]["id"]
        clock.shift(timedelta(minutes=2))
        apply_trade(trade_of(Payment.objects.get(), paid_at=START + timedelta(minutes=1), trade_no="2026T"))
        shown = buyer.ask(DETAILS, id=number)["order"]
    assert (shown["status"], shown["tradeNo"], shown["paidAt"]) == ("PAID", "2026T", "2026-11-22T04:01:00+00:00")
    assert (shown["payUrl"], shown["isTerminal"], shown["nextPollAfterMs"]) == (None, True, None)
    assert [(event["name"], event["at"][14:16]) for event in shown["timeline"]] == [
        ("order.created", "00"),
        ("order.paid", "02"),
        ("enrollment.opened", "02"),
    ]
    assert len({event["id"] for event in shown["timeline"]}) == 3


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.TIMED_OUT])
def test_an_order_that_has_ended_need_not_be_polled(buyer, order, status):
    end(order, status)
    shown = buyer.ask(DETAILS, id=order.number)["order"]
    assert (shown["status"], shown["isTerminal"], shown["nextPollAfterMs"]) == (status, True, None)
    assert (shown["payUrl"], shown["paidAt"], shown["tradeNo"]) == (None, None, None)


@pytest.mark.parametrize(
    ("age", "wait"), [(0, 2000), (30, 2000), (60, 4000), (120, 8000), (225, 15_000), (226, 15_000), (86_400, 15_000)]
)
def test_the_wait_between_polls_grows_with_age(user, courses, age, wait):
    with time_machine.travel(START, tick=False) as clock:
        number = Shopper.signed_in(user).create_order(courses[:1])["order"]["id"]
        clock.shift(timedelta(seconds=age))
        shown = Shopper.signed_in(user).ask(DETAILS, id=number)["order"]
    assert (shown["nextPollAfterMs"], shown["isTerminal"], shown["status"]) == (wait, False, "UNPAID")
    assert shown["serverTime"] == (START + timedelta(seconds=age)).isoformat()


def test_ids_tell_nothing_and_are_stable(buyer, stranger, courses):
    answer = buyer.create_order(courses[:2])["order"]
    other = stranger.create_order(courses[:2])["order"]
    first, again = (buyer.ask(DETAILS, id=answer["id"])["order"] for _ in range(2))
    theirs = stranger.ask(DETAILS, id=other["id"])["order"]
    found = [line["id"] for shown in (first, theirs) for line in shown["lines"]]
    found += [event["id"] for shown in (first, theirs) for event in shown["timeline"]]
    assert len(set(found)) == 6
    assert not [text for text in found if text.isdecimal()]
    assert [line["id"] for line in first["lines"]] == [line["id"] for line in again["lines"]]


# --- The list --------------------------------------------------------------------------------------------------------


def test_orders_are_ones_own_newest_first(buyer, stranger, staff, five):
    page = buyer.ask(ORDERS)["orders"]
    assert ids(page) == [order.number for order in reversed(five)]
    assert page["totalCount"] == 5
    for other in (stranger, staff):
        assert other.ask(ORDERS)["orders"] == {
            "totalCount": 0,
            "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
            "edges": [],
        }


def test_pages_of_two_over_five_rows(buyer, five):
    newest = [order.number for order in reversed(five)]
    pages, after = [], None
    for _ in range(3):
        page = buyer.ask(ORDERS, first=2, after=after)["orders"]
        info = page["pageInfo"]
        pages.append((ids(page), info["hasNextPage"], info["hasPreviousPage"], page["totalCount"]))
        assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
        after = info["endCursor"]
    assert pages == [(newest[:2], True, False, 5), (newest[2:4], True, True, 5), (newest[4:], False, True, 5)]


def test_an_order_placed_between_two_pages_does_not_shift_them(buyer, five):
    first = buyer.ask(ORDERS, first=2)["orders"]
    buyer.create_order([Course.objects.create(name="New", price_fen=1)])
    second = buyer.ask(ORDERS, first=2, after=first["pageInfo"]["endCursor"])["orders"]
    assert ids(second) == [five[2].number, five[1].number]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (["UNPAID"], [4, 3]),
        (["PAID"], [0]),
        (["CANCELLED", "TIMED_OUT"], [2, 1]),
        (["PAID", "PAID"], [0]),
        ([], []),
        (None, [4, 3, 2, 1, 0]),
    ],
    ids=str,
)
def test_orders_by_status(buyer, five, status, found):
    pay(five[0].payments.get())
    end(five[1], OrderStatus.CANCELLED)
    end(five[2], OrderStatus.TIMED_OUT)
    page = buyer.ask(ORDERS, status=status)["orders"]
    assert ids(page) == [five[n].number for n in found]
    assert page["totalCount"] == len(found)


def test_a_filter_holds_over_pages(buyer, five):
    pay(five[3].payments.get())
    page = buyer.ask(ORDERS, first=2, status=["UNPAID"])["orders"]
    assert (ids(page), page["totalCount"]) == ([five[4].number, five[2].number], 4)
    page = buyer.ask(ORDERS, first=2, status=["UNPAID"], after=page["pageInfo"]["endCursor"])["orders"]
    assert (ids(page), page["pageInfo"]["hasNextPage"]) == ([five[1].number, five[0].number], False)


def test_a_status_that_is_none_is_a_bad_request(buyer):
    assert buyer.errors(ORDERS, status=["LOST"]) == ["BAD_REQUEST"]
    assert buyer.errors("{ orders(status: [LOST]) { totalCount } }") == ["BAD_REQUEST"]


@pytest.mark.parametrize("after", ["", "abc", "0", "1", "-1", "9" * 30, "\x00", "号", "YXJyYXk6MQ=="], ids=ascii)
def test_a_junk_cursor_is_a_bad_request(buyer, five, after):
    assert buyer.errors(ORDERS, after=after) == ["BAD_REQUEST"]


def test_a_cursor_does_not_tell_whether_anothers_order_is_there(buyer, stranger, five):
    assert stranger.post(ORDERS, after=five[0].number).content == stranger.post(ORDERS, after="9" * 22).content


@pytest.mark.parametrize("first", [0, -1, 101])
def test_a_page_has_1_to_100_rows(buyer, first):
    assert buyer.errors(ORDERS, first=first) == ["BAD_REQUEST"]
