"""The pay URL: signed by us, and nothing in it is a client's."""

import base64
import json
from datetime import timedelta

import pytest
import time_machine
from alipay import AliPay
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from backend import keyfiles
from backend.courses.models import Course
from backend.orders.models import Order
from tests.api.helpers import pay_order
from tests.settings import ALIPAY_PUBLIC_KEY, APP_KEY
from tests.shop import BEIJING, load_key, params_of

FIELDS = {
    "app_id", "biz_content", "charset", "method", "notify_url", "return_url", "sign", "sign_type", "timestamp",
    "version",
}  # fmt: skip


def signed_text(params):
    """Of a request Alipay's text keeps sign_type; only the signature itself stays out."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "sign")


def test_the_url_verifies_with_our_public_key(buyer, courses):
    params = params_of(buyer.create_order(courses[:2])["payUrl"])
    assert set(params) == FIELDS
    assert (params["sign_type"], params["method"]) == ("RSA2", "alipay.trade.page.pay")
    key = load_key(APP_KEY.read_text()).public_key()
    sign = base64.b64decode(params["sign"], validate=True)
    key.verify(sign, signed_text(params).encode(), padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        key.verify(sign, signed_text(params | {"app_id": "1"}).encode(), padding.PKCS1v15(), hashes.SHA256())


def test_the_url_verifies_with_the_sdk_alone(buyer, courses):
    params = params_of(buyer.create_order(courses[:2])["payUrl"])
    sdk = AliPay(
        appid=params["app_id"],
        app_notify_url=None,
        app_private_key_string=APP_KEY.read_text(),
        alipay_public_key_string=keyfiles.public_key_of(APP_KEY.read_text()),
        sign_type="RSA2",
    )
    assert sdk._verify(signed_text(params), params["sign"]) is True
    assert sdk._verify(signed_text(params | {"biz_content": "{}"}), params["sign"]) is False


def test_it_is_not_signed_with_alipays_key(buyer, courses):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    params = params_of(buyer.create_order(courses[:1])["payUrl"])
    theirs = load_pem_public_key(ALIPAY_PUBLIC_KEY.read_bytes())
    with pytest.raises(InvalidSignature):
        theirs.verify(
            base64.b64decode(params["sign"]), signed_text(params).encode(), padding.PKCS1v15(), hashes.SHA256()
        )


def test_what_is_signed_is_the_orders_own(buyer, courses):
    answer = buyer.create_order(courses[:2])
    order = Order.objects.get()
    assert json.loads(params_of(answer["payUrl"])["biz_content"]) == {
        "out_trade_no": answer["order"]["outTradeNo"],
        "total_amount": "156.00",
        "subject": f"课程订单 {order.number}",
        "product_code": "FAST_INSTANT_TRADE_PAY",
        "goods_type": "0",
        "time_expire": order.expires_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
    }


@pytest.mark.parametrize("text", ["a&total_amount=0.01", "evil={}", "{", "}", "a=b", '"', "x&out_trade_no=1"])
def test_no_word_of_a_client_or_a_title_is_signed(buyer, courses, text):
    Course.objects.filter(pk=courses[0].pk).update(name=f"MARK{text}")
    answer = buyer.create_order(courses[:1], subject=f"MARK{text}")
    params = params_of(answer["payUrl"])
    assert answer["order"]["subject"] == f"MARK{text}"
    assert not [name for name, value in params.items() if name != "sign" and "MARK" in value]
    subject = json.loads(params["biz_content"])["subject"]
    assert not set("&={}\"'<>") & set(subject)


def test_a_later_url_asks_for_the_same_money_until_the_same_time(buyer, courses, order):
    def biz(answer):
        return params_of(answer["payUrl"])["biz_content"]

    first = buyer.create_order(courses[:2])
    with time_machine.travel(order.expires_at - timedelta(minutes=2), tick=False):
        later = buyer.create_order(courses[:2])
        fresh = pay_order(buyer, order.number)
    assert biz(first) == biz(later) == biz(fresh)
    assert params_of(first["payUrl"])["timestamp"] != params_of(later["payUrl"])["timestamp"]


def test_every_way_to_the_url_gives_the_same_trade(buyer, courses, order, payment):
    asked = buyer.ask("query ($id: ID!) { order(id: $id) { payUrl outTradeNo } }", id=order.number)["order"]
    assert asked["outTradeNo"] == payment.out_trade_no
    assert json.loads(params_of(asked["payUrl"])["biz_content"])["out_trade_no"] == payment.out_trade_no
