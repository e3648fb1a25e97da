"""A simulator without sockets and without real time, and a merchant who calls it."""

import copy
import functools
import json
from urllib.parse import parse_qsl, urlencode

from alipay import AliPay
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from alipay_simulator import Config
from alipay_simulator.clock import beijing
from alipay_simulator.signing import request_text, sign
from alipay_simulator.simulator import Simulator

NOON = 1_767_240_000.25  # 2026-01-01 12:00:00.250 in Beijing
NOTIFY_URL = "http://shop.example/alipay/notify"
RETURN_URL = "http://shop.example/pay/success"


def sdk_of(key, alipay_public_key):
    """A client of its own, with keys that are read once: that takes longer than most tests."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return copy.copy(read_keys(pem, alipay_public_key))


@functools.cache
def read_keys(app_private_key, alipay_public_key):
    return AliPay(
        appid=Config().app_id, app_private_key_string=app_private_key, alipay_public_key_string=alipay_public_key
    )


class Lab:
    """Calls are signed by the merchant's key; replies and notifies are read through python-alipay-sdk."""

    def __init__(self, data, key, **settings):
        self.key = key
        self.simulator = Simulator(Config(data=data, **{"frozen_at": NOON, "seed": 7, "in_memory": True, **settings}))
        self.sdk = sdk_of(key, (data / "alipay_public_key.pem").read_text())

    def params(self, method, biz, **extra):
        params = {
            "app_id": self.simulator.config.app_id,
            "method": method,
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": beijing(self.simulator.clock.now()),
            "version": "1.0",
            "biz_content": json.dumps(biz),
            **extra,
        }
        return {**params, "sign": sign(request_text(params), self.key)}

    def raw(self, method, **biz):
        return self.simulator.gateway_call(self.params(f"alipay.trade.{method}", biz))

    def call(self, method, **biz):
        """The node of a reply whose signature the SDK accepted."""
        node = f"alipay_trade_{method.replace('.', '_')}_response"
        return self.sdk._verify_and_return_sync_response(self.raw(method, **biz).decode(), node)

    def refund(self, number, amount, request="r1", **biz):
        biz = {"out_trade_no": number, "refund_amount": amount, "out_request_no": request, **biz}
        return self.call("refund", **{name: value for name, value in biz.items() if value is not None})

    def status(self, number):
        return self.call("query", out_trade_no=number).get("trade_status")

    def open(self, number, total="117.00", notify_url=NOTIFY_URL, minutes=15, **biz):
        biz = {
            "out_trade_no": number,
            "total_amount": total,
            "subject": "课程",
            "product_code": "FAST_INSTANT_TRADE_PAY",
            "time_expire": beijing(self.simulator.clock.now() + minutes * 60),
            **biz,
        }
        urls = {"return_url": RETURN_URL, **({"notify_url": notify_url} if notify_url else {})}
        return self.simulator.open_cashier(urlencode(self.params("alipay.trade.page.pay", biz, **urls)))

    def scan(self, number, **order):
        session = self.open(number, **order)
        self.simulator.scan(session)
        return session

    def buy(self, number, **order):
        return self.simulator.pay(self.scan(number, **order))

    def post(self, body=b"success", status=200):
        """Post what is due and have it answered; returns the forms, each with a good signature."""
        forms = []
        for one in self.simulator.due_notifies():
            forms.append(dict(parse_qsl(one.form)))
            self.simulator.record_attempt(one.notify_id, status, body)
        return forms

    def verifies(self, form):
        form = dict(form)
        return self.sdk.verify(form, form.pop("sign"))

    def kinds(self):
        return [row["kind"] for row in self.simulator.book.all("SELECT kind FROM events ORDER BY seq")]
