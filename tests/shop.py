"""What the tests share: a client that speaks GraphQL, and Alipay's side of the conversation, signed with a real key."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.http import HttpResponse
from django.test import Client

from backend.accounts.models import User
from backend.accounts.tokens import issue_token
from backend.courses.models import Course
from backend.money import format_yuan
from backend.payments.models import Payment
from tests.settings import ALIPAY_KEY

BEIJING = ZoneInfo("Asia/Shanghai")

CREATE_ORDER = """
mutation ($input: CreateOrderInput!) {
  createOrder(input: $input) {
    __typename
    ... on CreateOrderSuccess {
      payUrl replayed
      order { id number outTradeNo status totalAmount subject payType expiresAt payUrl lines { name price realPrice } }
    }
    ... on UserError { code message }
    ... on InvalidInput { field }
    ... on CoursesUnavailable { courseIds }
    ... on AlreadyOwned { courseIds }
    ... on OpenOrderExists { payUrl order { id } }
    ... on PriceChanged { expectedTotal actualTotal }
  }
}
"""
STATUS = "query ($no: String!) { order(outTradeNo: $no) { status } }"


@dataclass
class Shopper:
    """A GraphQL client, signed in as ``user`` or nobody."""

    user: User | None = None
    token: str = ""
    http: Client = field(default_factory=Client)

    @classmethod
    def signed_in(cls, user: User) -> "Shopper":
        return cls(user, issue_token(user).text)

    def post(self, query: str, **variables: Any) -> HttpResponse:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables}
        return self.http.post("/graphql", json.dumps(body), content_type="application/json", headers=headers)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data; a top-level error fails the test."""
        answer = self.post(query, **variables).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def errors(self, query: str, **variables: Any) -> list[str]:
        """The codes of the top-level errors."""
        return [error["extensions"]["code"] for error in self.post(query, **variables).json().get("errors", [])]

    def create_order(self, courses: list[Course], total: str | None = None, **more: Any) -> Any:
        asked = {
            "courseIds": [str(course.pk) for course in courses],
            "totalAmount": total if total is not None else format_yuan(sum(course.price_fen for course in courses)),
            **more,
        }
        return self.ask(CREATE_ORDER, input=asked)["createOrder"]

    def status(self, out_trade_no: str) -> str | None:
        order = self.ask(STATUS, no=out_trade_no)["order"]
        return order and order["status"]


def load_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@dataclass
class AlipaySide:
    """Signs what Alipay would: notifies and returns, true or false as the test asks."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: load_key(ALIPAY_KEY.read_text()))
    app_id: str = "9021000100000001"
    seller_id: str = "2088100000000001"

    def sign(self, fields: dict[str, str]) -> str:
        text = "&".join(f"{k}={fields[k]}" for k in sorted(fields) if k not in ("sign", "sign_type"))
        return base64.b64encode(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()

    def paid_fields(self, payment: Payment, **changes: str | None) -> dict[str, str]:
        now = datetime.now(UTC).astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        amount = format_yuan(payment.amount_fen)
        fields: dict[str, str | None] = {
            "gmt_create": now,
            "charset": "utf-8",
            "gmt_payment": now,
            "notify_time": now,
            "subject": "课程订单",
            "buyer_id": "2088722003899169",
            "invoice_amount": amount,
            "version": "1.0",
            "notify_id": f"{payment.pk:034d}",
            "fund_bill_list": json.dumps([{"amount": amount, "fundChannel": "ALIPAYACCOUNT"}], separators=(",", ":")),
            "notify_type": "trade_status_sync",
            "out_trade_no": payment.out_trade_no,
            "total_amount": amount,
            "trade_status": "TRADE_SUCCESS",
            "trade_no": f"2026112222001{payment.pk:015d}",
            "auth_app_id": self.app_id,
            "receipt_amount": amount,
            "point_amount": "0.00",
            "app_id": self.app_id,
            "buyer_pay_amount": amount,
            "seller_id": self.seller_id,
            **changes,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def signed(self, fields: dict[str, str]) -> str:
        return urlencode({**fields, "sign_type": "RSA2", "sign": self.sign(fields)})

    def paid_notify(self, payment: Payment, **changes: str | None) -> str:
        """The body of a paid notify; a change to None leaves a field out."""
        return self.signed(self.paid_fields(payment, **changes))

    def return_query(self, payment: Payment, **changes: str | None) -> str:
        fields: dict[str, str | None] = {
            "charset": "utf-8",
            "out_trade_no": payment.out_trade_no,
            "method": "alipay.trade.page.pay.return",
            "total_amount": format_yuan(payment.amount_fen),
            "trade_no": f"2026112222001{payment.pk:015d}",
            "auth_app_id": self.app_id,
            "version": "1.0",
            "app_id": self.app_id,
            "seller_id": self.seller_id,
            "timestamp": "2026-11-22 14:48:44",
            **changes,
        }
        return self.signed({name: value for name, value in fields.items() if value is not None})


def post_notify(
    body: str | bytes, client: Client | None = None, path: str = "/payments/alipay/notify/"
) -> HttpResponse:
    """As Alipay posts it."""
    content_type = "application/x-www-form-urlencoded; text/html; charset=utf-8"
    return (client or Client()).post(path, body, content_type=content_type)


def params_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


NotifyPoster = Callable[[str | bytes], HttpResponse]
