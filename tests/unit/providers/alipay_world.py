"""Alipay as the tests play it: its key pairs, what it signs, and a gateway that answers as told."""

import gzip
import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import contextmanager, suppress
from copy import copy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from backend.payments.providers.alipay import Alipay
from backend.payments.providers.base import CloseResult, RefundRequest, RefundResult, RefundState

APP_ID, SELLER_ID = "9021000122682882", "2088721003899159"
NUMBER, TRADE_NO = "C20260131A_0001", "2026013122001499160501586202"
NOW = datetime(2026, 1, 31, 4, 0, 0, 999_999, tzinfo=UTC)  # noon in Beijing
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS1, PKCS8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
SPKI, PKCS1_PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
QUERY_NODE = "alipay_trade_query_response"


def vector(name):
    return json.loads((Path(__file__).parents[2] / "vectors" / f"{name}.json").read_text("utf-8"))


@cache
def key(name):
    """The key pair of "app", "alipay" or anybody else, made once in a run; that of "short" is too short."""
    return rsa.generate_private_key(65537, 1024 if name == "short" else 2048)


def private_text(name="app", *, shape=PKCS8):
    return key(name).private_bytes(PEM, shape, serialization.NoEncryption()).decode()


def public_text(name="alipay", *, shape=SPKI):
    return key(name).public_key().public_bytes(PEM, shape).decode()


def one_line(pem):
    return "".join(line for line in pem.splitlines() if "-----" not in line)


def make(**changes):
    """An adapter. Reading keys is slow: those that differ in their gateway alone share them."""
    if changes.keys() == {"gateway_url"}:
        twin, client = copy(_standard()), copy(_standard()._client)
        twin._client, client._gateway = client, changes["gateway_url"]
        return twin
    return build(**changes)


@cache
def _standard():
    return build()


def build(**changes):
    """An adapter by its constructor."""
    given = {
        "app_id": APP_ID,
        "seller_id": SELLER_ID,
        "app_private_key": private_text(),
        "alipay_public_keys": [public_text()],
        "gateway_url": "http://127.0.0.1:9/gateway.do",
        "notify_url": "http://shop.test/payments/alipay/notify/",
        "return_url": "http://shop.test/pay/success",
        "clock": lambda: NOW,
    }
    return Alipay(**(given | changes))


def sign(text, by="alipay", algorithm=None):
    return b64encode(key(by).sign(text.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256())).decode()


def canonical(fields):
    return "&".join(f"{k}={v}" for k, v in sorted(fields.items()) if k not in {"sign", "sign_type"} and v)


def signed(fields, by="alipay"):
    return fields | {"sign_type": "RSA2", "sign": sign(canonical(fields), by)}


def changed(fields, changes):
    """``fields`` with ``changes``; None takes a field away."""
    return {name: value for name, value in (fields | changes).items() if value is not None}


def notice(**changes):
    """The fields of a paid trade's notify, changed, then signed by Alipay."""
    fields = {
        "gmt_create": "2026-01-31 12:00:05",
        "charset": "utf-8",
        "gmt_payment": "2026-01-31 12:00:10",
        "notify_time": "2026-01-31 12:00:12",
        "subject": "Python 入门+进阶 - 1",
        "buyer_id": "2088722003899169",
        "invoice_amount": "117.00",
        "version": "1.0",
        "notify_id": "2026013101222162644199160501632046",
        "fund_bill_list": '[{"amount":"117.00","fundChannel":"ALIPAYACCOUNT"}]',
        "notify_type": "trade_status_sync",
        "out_trade_no": NUMBER,
        "total_amount": "117.00",
        "trade_status": "TRADE_SUCCESS",
        "trade_no": TRADE_NO,
        "auth_app_id": APP_ID,
        "receipt_amount": "117.00",
        "point_amount": "0.00",
        "app_id": APP_ID,
        "buyer_pay_amount": "117.00",
        "seller_id": SELLER_ID,
    }
    return signed(changed(fields, changes))


def returned(**changes):
    """The fields of a return, changed, then signed by Alipay."""
    fields = {
        "charset": "utf-8",
        "out_trade_no": NUMBER,
        "method": "alipay.trade.page.pay.return",
        "total_amount": "117.00",
        "trade_no": TRADE_NO,
        "auth_app_id": APP_ID,
        "version": "1.0",
        "app_id": APP_ID,
        "seller_id": SELLER_ID,
        "timestamp": "2026-01-31 12:00:13",
    }
    return signed(changed(fields, changes))


def form(fields):
    return urlencode(fields).encode()


PAID = {
    "code": "10000",
    "msg": "Success",
    "buyer_logon_id": "ifv***@sandbox.com",
    "out_trade_no": NUMBER,
    "receipt_amount": "0.00",
    "send_pay_date": "2026-01-31 12:00:10",
    "total_amount": "117.00",
    "trade_no": TRADE_NO,
    "trade_status": "TRADE_SUCCESS",
}


FEN, REFUND_NO = 1700, "R20260201_0001"

CLOSED = {"code": "10000", "msg": "Success", "out_trade_no": NUMBER, "trade_no": TRADE_NO}

REFUNDED = {
    "code": "10000",
    "msg": "Success",
    "buyer_logon_id": "ifv***@sandbox.com",
    "fund_change": "Y",
    "gmt_refund_pay": "2026-02-01 09:00:00",
    "out_trade_no": NUMBER,
    "refund_fee": "47.00",
    "send_back_fee": "17.00",
    "trade_no": TRADE_NO,
}

FOUND_REFUND = {
    "code": "10000",
    "msg": "Success",
    "out_request_no": REFUND_NO,
    "out_trade_no": NUMBER,
    "refund_amount": "17.00",
    "refund_status": "REFUND_SUCCESS",
    "total_amount": "117.00",
    "trade_no": TRADE_NO,
}


def refund_request(**changes):
    given = {"out_trade_no": NUMBER, "out_request_no": REFUND_NO, "amount_fen": FEN}
    return RefundRequest(**(given | changes))


class Call(NamedTuple):
    """One of the adapter's calls after a payment: how to make it, and how Alipay says yes."""

    method: str
    ask: Callable[..., object]
    yes: dict[str, str]
    outcome: object

    @property
    def node(self):
        return self.method.replace(".", "_") + "_response"


CALLS = {
    "close": Call(
        "alipay.trade.close",
        lambda alipay, number=NUMBER, **how: alipay.close(number, **how),
        CLOSED,
        CloseResult.CLOSED,
    ),
    "refund": Call(
        "alipay.trade.refund",
        lambda alipay, number=NUMBER, **how: alipay.refund(refund_request(out_trade_no=number), **how),
        REFUNDED,
        RefundResult(RefundState.SUCCEEDED, refunded_fen=4700),
    ),
    "query_refund": Call(
        "alipay.trade.fastpay.refund.query",
        lambda alipay, number=NUMBER, **how: alipay.query_refund(refund_request(out_trade_no=number), **how),
        FOUND_REFUND,
        RefundResult(RefundState.SUCCEEDED),
    ),
}


def refusal(code, sub_code, **more):
    return {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "没有", **more}


def wire(node):
    """A node as Alipay writes it: no spaces, CJK as it is, every slash escaped."""
    return json.dumps(node, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def answer(node, *, by="alipay", name=QUERY_NODE):
    text = node if isinstance(node, str) else wire(node)
    return f'{{"{name}":{text},"sign":"{sign(text, by)}"}}'.encode()


def no_signed_answers(node, name):
    """Bodies that are almost the signed answer ``node``, a success, to the method whose node is ``name``."""

    def yes(content, **changes):
        return answer(content, **({"name": name} | changes))

    return {
        "nothing": b"",
        "{}": b"{}",
        "[]": b"[]",
        "null": b"null",
        "a string": b'"x"',
        "HTML": b"<html>502</html>",
        "cut": yes(node)[:-40],
        "cut after the node": yes(node).split(b',"sign"')[0],
        "more after it": yes(node) + b"{}",
        "a byte order mark": b"\xef\xbb\xbf" + yes(node),
        "GBK": yes(node | {"subject": "课程"}).decode().encode("gbk"),
        "UTF-16": yes(node).decode().encode("utf-16"),
        "gzip": gzip.compress(yes(node)),
        "unsigned": b'{"%s":%s}' % (name.encode(), wire(node).encode()),
        "a blank sign": b'{"%s":%s,"sign":""}' % (name.encode(), wire(node).encode()),
        "a sign that is null": b'{"%s":%s,"sign":null}' % (name.encode(), wire(node).encode()),
        "a sign that is a list": b'{"%s":%s,"sign":["x"]}' % (name.encode(), wire(node).encode()),
        "a sign that is half a letter": b'{"%s":%s,"sign":"\\ud800"}' % (name.encode(), wire(node).encode()),
        "a wrong sign": yes(node).replace(b"Success", b"success"),
        "white space put into the node": yes(node).replace(b'"code":', b'"code": '),
        "the key of somebody else": yes(node, by="stranger"),
        "our own key": yes(node, by="app"),
        "the answer to another method": yes(node, name="alipay_trade_create_response"),
        "error_response": yes(refusal("40002", "isv.invalid-app-id"), name="error_response"),
        "a node that is text": yes('"x"'),
        "a node that is a list": yes("[]"),
        "the node twice": yes(node)[:-1] + f',"{name}":{{"code":"10000"}}}}'.encode(),
        "the node twice, the false one first": b'{"%s":{"code":"10000"},' % name.encode() + yes(node)[1:],
        "the sign twice": yes(node)[:-1] + b',"sign":"x"}',
        "the node twice, once escaped": yes(node)[:-1] + f',"\\u0061{name[1:]}":{{}}}}'.encode(),
        "a name twice in the node": yes(wire(node)[:-1] + ',"code":"10000"}'),
        "a name twice deep in the node": yes(wire(node)[:-1] + ',"a":[{"b":1,"b":2}]}'),
        "NaN": yes(wire(node)[:-1] + ',"a":NaN}'),
        "minus Infinity": yes(wire(node)[:-1] + ',"a":-Infinity}'),
        "a float": yes(wire(node)[:-1] + ',"a":1e400}'),
        "a huge integer": yes(wire(node)[:-1] + ',"a":' + "9" * 5000 + "}"),
        "deep nesting": b'{"a":' + b"[" * 30000,
        "deep nesting in the node": yes('{"a":' + "[" * 20000 + "]" * 20000 + "}"),
        "a NUL": yes(node).replace(b"Success", b"Succ\x00ss"),
    }


def http(body, *, status="200 OK", headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class Gateway(socketserver.ThreadingTCPServer):
    """A gateway on this machine that plays ``script`` to each caller and keeps what it was sent."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), _Caller)
        self.script = script
        self.requests = []
        self.caller_left = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/gateway.do"

    def handle_error(self, request, client_address):
        """A caller that hangs up is what many of these tests want."""


class _Caller(socketserver.StreamRequestHandler):
    def handle(self):
        script = self.server.script
        if callable(script):
            script(self)
            return
        self.read_request()
        self.wfile.write(script)

    def read_request(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline() or b"\r\n\r\n"
        length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length:")), 0)
        self.server.requests.append((head.decode(), self.rfile.read(length).decode()))

    def send_until_caller_leaves(self, pieces, *, pause=0.0):
        """Sends piece after piece; tells the server when the other side is gone."""
        wait = threading.Event()
        with suppress(OSError):
            for piece in pieces:
                self.request.sendall(piece)
                wait.wait(pause)
            return
        self.server.caller_left.set()


@contextmanager
def serving(script):
    with Gateway(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
