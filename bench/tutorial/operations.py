"""The four operations as the tutorial's front end and Alipay send them."""

import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from bench import operations
from bench.load import Call
from bench.operations import BASKET, TOTAL, Buyer, expect


def create(buyer: Buyer) -> Call:
    def check(answer: Any) -> None:
        expect("sign=" in answer["pay_url"], answer)
        buyer.out_trade_no = answer["out_trade_no"]

    asked = {"subject": "课程订单", "total_amount": TOTAL, "pay_type": 1, "courses": [int(pk) for pk in BASKET]}
    return Call("/order/pay/", json.dumps(asked).encode(), headers(buyer), read(check))


def with_lines(buyer: Buyer) -> Call:
    def check(order: Any) -> None:
        expect(order["order_status"] == 0 and order["total_amount"] == TOTAL, order)
        names = sorted(line["course"]["name"] for line in order["order_courses"])  # which nobody orders
        expect(names == [f"Course {pk}" for pk in sorted(BASKET)], order)

    return Call(f"/order/{buyer.out_trade_no}/", b"", headers(buyer), read(check), "GET")


def minimal(buyer: Buyer) -> Call:
    def check(answer: Any) -> None:
        expect(answer == {"order_status": 0}, answer)

    return Call(f"/order/{buyer.out_trade_no}/status/", b"", headers(buyer), read(check), "GET")


def notify(buyer: Buyer, key: rsa.RSAPrivateKey) -> Call:
    return operations.notify(buyer, {"notify": "/order/success/"}, key)


def headers(buyer: Buyer) -> dict[str, str]:
    return {"Content-Type": "application/json", "Authorization": f"jwt {buyer.token}"}


def read(check: Callable[[Any], None]) -> Callable[[bytes], None]:
    return lambda body: check(json.loads(body))
