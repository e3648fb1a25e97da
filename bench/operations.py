"""The four operations that are measured: what is sent, and what must come back."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.load import Call, WrongAnswer

APP_ID = "9021000100000001"
SELLER_ID = "2088100000000001"
TOTAL = "117.00"
BASKET = ("1", "2", "3")

CREATE = """
mutation CreateOrder($input: CreateOrderInput!) {
  createOrder(input: $input) {
    ... on CreateOrderSuccess { order { id outTradeNo totalAmount status expiresAt } payUrl replayed }
    ... on UserError { code message }
  }
}
"""
WITH_LINES = """
query OrderStatus($outTradeNo: String!) {
  order(outTradeNo: $outTradeNo) {
    id number status totalAmount paidAt
    lines { name price realPrice course { id name } }
    isTerminal nextPollAfterMs
  }
}
"""
WATCH = """
subscription OrderUpdated($id: ID!) {
  orderUpdated(id: $id) {
    id number status totalAmount paidAt
    lines { name price realPrice course { id name } }
    isTerminal nextPollAfterMs
  }
}
"""
OPERATION = re.compile(r"(?:query|mutation|subscription) (\w+)\(")
MINIMAL = "query OrderStatus($outTradeNo: String!) { order(outTradeNo: $outTradeNo) { status } }"


@dataclass
class Buyer:
    """Who buys once: the token, and the order's two numbers once there is one."""

    number: int
    token: str
    out_trade_no: str = ""
    order_id: str = ""


Ask = Callable[[str], Mapping[str, object]]
"""How a document is named in the body of a request: by its text or by its hash."""


def by_text(document: str) -> Mapping[str, object]:
    return {"query": document}


def by_hash(document: str) -> Mapping[str, object]:
    """As Apollo Client does it once the server knows the document."""
    named = OPERATION.search(document)
    digest = hashlib.sha256(document.encode()).hexdigest()
    return {
        "operationName": named[1] if named else None,
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}},
    }


Paths = Mapping[str, str]
"""Where an operation is asked for: at the server two addresses, at the floor one for each."""

SERVER: Paths = dict.fromkeys(("create", "with_lines", "minimal"), "/graphql") | {"notify": "/payments/alipay/notify/"}
FLOOR: Paths = {name: f"/{name}" for name in SERVER}


def create(buyer: Buyer, paths: Paths, ask: Ask = by_text, document: str = CREATE) -> Call:
    """The buyer's one order, for three courses."""

    def check(data: Any) -> None:
        answer = data["createOrder"]
        expect(answer["order"]["status"] == "UNPAID" and answer["order"]["totalAmount"] == TOTAL, answer)
        expect(not answer["replayed"] and "sign=" in answer["payUrl"], answer)
        buyer.out_trade_no, buyer.order_id = answer["order"]["outTradeNo"], answer["order"]["id"]

    asked = {"courseIds": BASKET, "totalAmount": TOTAL, "idempotencyKey": f"bench-{buyer.number}"}
    return graphql(paths["create"], buyer, ask(document), {"input": asked}, check)


def with_lines(buyer: Buyer, paths: Paths, ask: Ask = by_text) -> Call:
    def check(data: Any) -> None:
        order = data["order"]
        expect(order["status"] == "UNPAID" and order["totalAmount"] == TOTAL, order)
        expect([line["course"]["name"] for line in order["lines"]] == [f"Course {pk}" for pk in BASKET], order)
        expect(order["nextPollAfterMs"] >= 2000 and not order["isTerminal"], order)

    return graphql(paths["with_lines"], buyer, ask(WITH_LINES), {"outTradeNo": buyer.out_trade_no}, check)


def final(buyer: Buyer, paths: Paths, ask: Ask = by_text) -> Call:
    """The same of an order that is paid: what a client that polls reads at the end."""

    def check(data: Any) -> None:
        order = data["order"]
        expect(order["status"] == "PAID" and order["paidAt"] and order["isTerminal"], order)
        expect(len(order["lines"]) == len(BASKET), order)

    return graphql(paths["with_lines"], buyer, ask(WITH_LINES), {"outTradeNo": buyer.out_trade_no}, check)


def minimal(buyer: Buyer, paths: Paths, ask: Ask = by_text) -> Call:
    def check(data: Any) -> None:
        expect(data == {"order": {"status": "UNPAID"}}, data)

    return graphql(paths["minimal"], buyer, ask(MINIMAL), {"outTradeNo": buyer.out_trade_no}, check)


def graphql(
    path: str,
    buyer: Buyer,
    document: Mapping[str, object],
    variables: Mapping[str, object],
    check: Callable[[Any], None],
) -> Call:
    def check_body(body: bytes) -> None:
        answer = json.loads(body)
        expect("errors" not in answer, answer)
        check(answer["data"])

    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {buyer.token}"}
    return Call(path, json.dumps({**document, "variables": variables}).encode(), headers, check_body)


def notify(buyer: Buyer, paths: Paths, key: rsa.RSAPrivateKey) -> Call:
    """Alipay's word that the buyer's order is paid, signed with the key pair that stands for Alipay's here."""

    def check(body: bytes) -> None:
        expect(body == b"success", body)

    fields = paid_fields(buyer)
    signed = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    sign = base64.b64encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    body = urlencode({**fields, "sign_type": "RSA2", "sign": sign}).encode()
    return Call(paths["notify"], body, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, check)


def paid_fields(buyer: Buyer) -> dict[str, str]:
    """The fields that Alipay's notify of a page payment has."""
    now = datetime.now(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S")
    moments = dict.fromkeys(("gmt_create", "gmt_payment", "notify_time"), now)
    amounts = dict.fromkeys(("invoice_amount", "total_amount", "receipt_amount", "buyer_pay_amount"), TOTAL)
    return {
        **moments,
        **amounts,
        "point_amount": "0.00",
        "charset": "utf-8",
        "version": "1.0",
        "subject": "课程订单",
        "buyer_id": "2088722003899169",
        "seller_id": SELLER_ID,
        "app_id": APP_ID,
        "auth_app_id": APP_ID,
        "notify_id": f"20261122002221{buyer.number:020d}",
        "notify_type": "trade_status_sync",
        "fund_bill_list": f'[{{"amount":"{TOTAL}","fundChannel":"ALIPAYACCOUNT"}}]',
        "out_trade_no": buyer.out_trade_no,
        "trade_no": f"2026112222001{buyer.number:015d}",
        "trade_status": "TRADE_SUCCESS",
    }


def expect(truth: object, answer: object) -> None:
    if not truth:
        raise WrongAnswer(f"not the answer expected: {str(answer)[:500]}")
