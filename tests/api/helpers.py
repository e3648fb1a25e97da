"""What the API tests ask, and how they see that nothing has changed."""

from contextlib import contextmanager
from urllib.parse import urlencode

from backend.courses.models import Enrollment
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderLine
from backend.payments.models import Notification, Payment, Verdict
from backend.payments.providers.base import Trade, TradeState
from backend.payments.trades import apply_trade

BOOKS = (Order, OrderLine, Payment, IdempotencyKey, OrderEvent, Enrollment)

PAY_ORDER = """
mutation ($input: PayOrderInput!) {
  payOrder(input: $input) {
    __typename
    ... on PayOrderSuccess { payUrl order { id outTradeNo status payUrl totalAmount } }
    ... on UserError { code message }
    ... on OrderNotPayable { order { id status payUrl } }
    ... on AlreadyOwned { courseIds }
    ... on InvalidInput { field }
  }
}
"""
LOGIN = """
mutation ($input: LoginInput!) {
  login(input: $input) {
    __typename
    ... on LoginSuccess { token expiresAt user { id username } }
    ... on UserError { code message }
    ... on RateLimited { retryAfterMs }
  }
}
"""
CONFIRM_RETURN = """
mutation ($search: String!) {
  confirmReturn(input: {query: $search}) {
    __typename
    ... on ConfirmReturnSuccess { verified order { id status } }
    ... on UserError { code message }
    ... on InvalidInput { field }
  }
}
"""
ME = "{ me { id username } }"


def books():
    """Every row of the tables that money and access stand in."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in BOOKS}


@contextmanager
def nothing_changes():
    before = books()
    yield
    assert books() == before


def trade_of(payment, state=TradeState.PAID, **changes):
    said = {
        "provider": payment.provider,
        "out_trade_no": payment.out_trade_no,
        "trade_no": f"2026112222001{payment.pk:015d}",
        "state": state,
        "amount_fen": payment.amount_fen,
    }
    return Trade(**(said | changes))


def pay(payment):
    """The money comes, as a verified statement of the provider."""
    apply_trade(trade_of(payment))
    payment.refresh_from_db()


def close(payment):
    """The provider closed the attempt, unpaid."""
    apply_trade(trade_of(payment, TradeState.CLOSED))
    payment.refresh_from_db()


def end(order, status):
    """The order ended so."""
    order.move_to(status)


def own(user, *courses):
    for course in courses:
        Enrollment.objects.create(user=user, course=course)


def pay_order(shopper, number, **more):
    return shopper.ask(PAY_ORDER, input={"orderId": number, **more})["payOrder"]


def log_in(shopper, username, password):
    return shopper.ask(LOGIN, input={"username": username, "password": password})["login"]


def encoded(fields, sign=None):
    """A form of these fields, with a signature that was made elsewhere."""
    tail = {} if sign is None else {"sign_type": "RSA2", "sign": sign}
    return urlencode({**fields, **tail})


def stored():
    """The inbox: verdict, reason and whether the signature was good, oldest first."""
    return list(Notification.objects.order_by("pk").values_list("verdict", "reason", "verified"))


REFUSED = Verdict.REFUSED.value
APPLIED = Verdict.APPLIED.value
RECEIVED = Verdict.RECEIVED.value
