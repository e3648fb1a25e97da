"""A gateway that the test holds in its hand: each question waits until the test lets it be answered."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.events.endpoint import Server
from tests.settings import ALIPAY_KEY
from tests.shop import load_key

PATIENCE = 60
NO_SUCH_TRADE = {"code": "40004", "msg": "Business Failed", "sub_code": "ACQ.TRADE_NOT_EXIST", "sub_msg": "交易不存在"}


@dataclass
class Gateway:
    """Knows no trade. ``hold`` is called in the middle of each call, in a thread of its own."""

    hold: Callable[[], Any]
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, form: dict[str, str]) -> bytes:
        self.asked.append((form["method"], json.loads(form["biz_content"])["out_trade_no"]))
        self.hold()
        text = json.dumps(NO_SUCH_TRADE)
        sign = load_key(ALIPAY_KEY.read_text()).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        name = form["method"].replace(".", "_")
        return f'{{"{name}_response":{text},"sign":"{base64.b64encode(sign).decode()}"}}'.encode()


@contextmanager
def gateway(hold: Callable[[], Any]) -> Iterator[Gateway]:
    held = Gateway(hold)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            body = held.answer(form)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        def log_message(self, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    held.url = f"http://127.0.0.1:{server.server_address[1]}/gateway.do"
    yield held
    server.shutdown()
    server.server_close()


class Gate:
    """Shut at first; ``waiting`` counts who stands before it."""

    def __init__(self) -> None:
        self.is_open, self.waiting = threading.Event(), 0

    def __call__(self) -> None:
        self.waiting += 1
        assert self.is_open.wait(PATIENCE), "nobody opened the gate"
