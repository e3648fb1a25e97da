"""How many statements each operation costs. A number that changes here is a decision, not an accident.

Statements that begin, end or mark a transaction are left out: the test's own transaction adds some of them.
"""

from contextlib import contextmanager

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.courses.models import Course
from backend.orders.models import Order
from backend.payments.models import Payment
from tests.api.helpers import CONFIRM_RETURN, PAY_ORDER, own
from tests.settings import ON_POSTGRES
from tests.shop import CREATE_ORDER, STATUS, post_notify

TRANSACTION_WORDS = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")


@contextmanager
def statements(expected, *, on_sqlite=None):
    """SQLite takes one INSERT a model where PostgreSQL takes one for all that is stored together."""
    expected = on_sqlite if on_sqlite and not ON_POSTGRES else expected
    with CaptureQueriesContext(connection) as captured:
        yield
    found = [query["sql"] for query in captured if not query["sql"].startswith(TRANSACTION_WORDS)]
    assert len(found) == expected, "\n".join(found)


LINES = "query ($no: String!) { order(outTradeNo: $no) { status lines { name course { name } } } }"
FULL = """
query ($no: String!) {
  order(outTradeNo: $no) {
    id status outTradeNo payUrl tradeNo paidAt isTerminal nextPollAfterMs lines { name course { name owned } }
    timeline { name }
  }
}
"""
ORDERS = "{ orders(first: 50) { edges { node { id status lines { name course { name } } } } } }"
ORDERS_FULL = """
{
  orders(first: 50) {
    totalCount edges { node { id outTradeNo payUrl tradeNo lines { course { owned } } timeline { name } } }
  }
}
"""
COURSES = "{ courses(first: 50) { edges { node { id name price owned } } } }"


def basket(courses):
    return {"courseIds": [str(course.pk) for course in courses], "totalAmount": "156.01", "idempotencyKey": "k"}


@pytest.fixture
def many(buyer):
    """Makes unpaid orders of two courses each."""

    def make(count):
        for _ in range(count):
            buyer.create_order([Course.objects.create(name="C", price_fen=100) for _ in range(2)])

    return make


def test_create_order(buyer, courses):
    with statements(8, on_sqlite=12):
        answer = buyer.post(CREATE_ORDER, input=basket(courses[:3])).json()
    assert answer["data"]["createOrder"]["__typename"] == "CreateOrderSuccess"


@pytest.mark.parametrize("size", [1, 20, 50])
def test_create_order_costs_the_same_whatever_its_size(buyer, size):
    courses = Course.objects.bulk_create(Course(name=f"C{n}", price_fen=1) for n in range(size))
    asked = {"courseIds": [str(course.pk) for course in courses], "totalAmount": f"0.{size:02d}"}
    with statements(7, on_sqlite=10):
        answer = buyer.post(CREATE_ORDER, input=asked).json()
    assert answer["data"]["createOrder"]["__typename"] == "CreateOrderSuccess"


def test_create_order_again(buyer, courses):
    buyer.post(CREATE_ORDER, input=basket(courses[:3]))
    with statements(8):
        answer = buyer.post(CREATE_ORDER, input=basket(courses[:3])).json()
    assert answer["data"]["createOrder"]["replayed"] is True


def test_pay_order(buyer, order):
    query = PAY_ORDER.replace("order { id outTradeNo status payUrl totalAmount }", "order { id status }")
    with statements(7):
        answer = buyer.post(query, input={"orderId": order.number}).json()
    assert answer["data"]["payOrder"]["__typename"] == "PayOrderSuccess"


@pytest.fixture
def polled(buyer, payment):
    """An unpaid order whose first poll has moved the next question to Alipay forward: one guarded UPDATE more."""
    with statements(3):
        assert buyer.status(payment.out_trade_no) == "UNPAID"
    return payment


def test_a_poll_of_the_status(buyer, polled):
    with statements(2):
        assert buyer.status(polled.out_trade_no) == "UNPAID"


def test_a_poll_without_a_token_reads_nothing(anonymous, payment):
    with statements(0):
        assert anonymous.errors(STATUS, no=payment.out_trade_no) == ["UNAUTHENTICATED"]


def test_an_order_with_its_lines(buyer, polled):
    with statements(3):
        assert len(buyer.ask(LINES, no=polled.out_trade_no)["order"]["lines"]) == 2


def test_an_order_in_full(buyer, polled):
    with statements(6):
        assert buyer.ask(FULL, no=polled.out_trade_no)["order"]["status"] == "UNPAID"


@pytest.mark.parametrize("count", [1, 5, 10])
def test_a_page_of_orders_with_lines(buyer, many, count):
    many(count)
    with statements(3):
        found = buyer.ask(ORDERS)["orders"]["edges"]
    assert [len(edge["node"]["lines"]) for edge in found] == [2] * count


@pytest.mark.parametrize("count", [1, 5])
def test_a_page_of_orders_in_full(buyer, many, count):
    many(count)
    with statements(7):
        assert buyer.ask(ORDERS_FULL)["orders"]["totalCount"] == count


@pytest.mark.parametrize("count", [1, 30])
def test_a_page_of_courses_with_owned(buyer, user, count):
    courses = [Course.objects.create(name=f"C{n}", price_fen=1) for n in range(count)]
    own(user, courses[0])
    with statements(3):
        found = buyer.ask(COURSES)["courses"]["edges"]
    assert [edge["node"]["owned"] for edge in found] == [True] + [False] * (count - 1)


def test_a_page_of_courses_without_a_token(anonymous, courses):
    with statements(1):
        assert len(anonymous.ask(COURSES)["courses"]["edges"]) == 3


def test_a_paid_notify(alipay, payment):
    """The inbox, the lock, payment and order, its lines, access, history with the outbox, the verdict."""
    body = alipay.paid_notify(payment)
    with statements(7, on_sqlite=9):
        assert post_notify(body).content == b"success"
    assert Order.objects.get().status == "PAID"


def test_a_paid_notify_again(alipay, payment):
    body = alipay.paid_notify(payment)
    post_notify(body)
    with statements(3):
        assert post_notify(body).content == b"success"


def test_a_forged_notify(forger, payment):
    """The cap on what is kept, and the inbox; the order is not looked for."""
    body = forger.paid_notify(payment)
    with statements(3):
        assert post_notify(body).content == b"fail"


def test_a_return_of_a_paid_order(buyer, alipay, payment, questions):
    post_notify(alipay.paid_notify(payment))
    with statements(3):
        answer = buyer.ask(CONFIRM_RETURN, search=alipay.return_query(payment))
    assert answer["confirmReturn"]["order"]["status"] == "PAID"
    assert (Payment.objects.get().status, questions) == ("PAID", [])
