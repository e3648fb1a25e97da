"""A simulator on a real port, a merchant with the SDK, and a place where notifies arrive."""

import asyncio
import json
import os
import shutil
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from alipay_simulator import Config, create_app
from alipay_simulator.signing import request_text, sign
from tests.simulator.lab import Lab, sdk_of

VECTORS = Path(__file__).parent.parent / "vectors"
BEIJING = timezone(timedelta(hours=8))
APP_ID = "9021000100000001"


def eventually(condition, seconds=10.0):
    """Poll until the condition gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true in time")


def beijing(seconds=0.0):
    return (datetime.now(BEIJING) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="session", autouse=True)
def _no_proxy():
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture
def vector():
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def merchant_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def merchant_public_pem(merchant_key):
    return merchant_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """The simulator's keys are made once; a data directory starts with a copy."""
    from alipay_simulator.keys import load_or_make_keys

    directory = tmp_path_factory.mktemp("keys")
    load_or_make_keys(directory)
    return directory


@pytest.fixture
def data(tmp_path, made_once, merchant_public_pem):
    directory = tmp_path / "simulator"
    shutil.copytree(made_once, directory)
    (directory / "app_public_key.pem").write_bytes(merchant_public_pem)
    return directory


class QuickServer(uvicorn.Server):
    """uvicorn looks every 0.1 s whether to stop, and then waits 0.1 s more; a hundred tests cannot."""

    async def main_loop(self):
        while not self.should_exit:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self.lifespan.shutdown()


class Running:
    """A simulator in a thread of its own, reached over HTTP like any other."""

    def __init__(self, data, **settings):
        # asyncio switches Nagle off only where the protocol is named; each answer would wait 40 ms for an ACK.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.bind(("127.0.0.1", 0))
        self.config = Config(data=data, port=self.socket.getsockname()[1], **settings)
        self.app = create_app(self.config)
        self.simulator = self.app.state.simulator
        self.url = f"http://127.0.0.1:{self.config.port}"
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=10, verify=False)
        self.server = QuickServer(uvicorn.Config(self.app, http="h11", log_level="warning", access_log=False))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        eventually(lambda: self.server.started)

    def stop(self):
        self.http.close()
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.socket.close()

    # What a buyer does.

    def open(self, url):
        """Follow a pay URL as far as the cashier; returns the payOrderId."""
        answer = self.http.get(url)
        assert answer.status_code == 302, answer.text
        address, _, pay_order_id = answer.headers["location"].partition("?payOrderId=")
        assert address == "/cashier"
        return pay_order_id

    def act(self, step, pay_order_id, **fields):
        return self.http.post(f"/cashier/{step}", data={"payOrderId": pay_order_id, **fields})

    def buy(self, url, outcome="return"):
        pay_order_id = self.open(url)
        assert self.act("scan", pay_order_id).status_code == 303
        return self.act("pay", pay_order_id, outcome=outcome)

    # What a test looks at.

    def trade(self, number):
        return self.http.get(f"/api/trades/{number}").json()

    def events(self, kind):
        return [event for event in self.http.get("/api/book").json()["events"] if event["kind"] == kind]

    def attempts(self, number):
        return [attempt for notify in self.trade(number)["notifies"] for attempt in notify["attempts"]]

    def clock(self, **change):
        answer = self.http.post("/api/clock", json=change)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def start(data):
    """Start a simulator with settings of one's own; all are stopped at the end."""
    running = []

    def starter(**settings):
        running.append(Running(settings.pop("data", data), **settings))
        return running[-1]

    yield starter
    for one in running:
        if one.thread.is_alive():
            one.stop()


@pytest.fixture
def sandbox(start):
    return start()


class Merchant:
    """Speaks to a simulator through python-alipay-sdk, and by hand where the SDK is too polite."""

    def __init__(self, running, key):
        self.key = key
        self.sdk = sdk_of(key, (running.config.data / "alipay_public_key.pem").read_text())
        self.sdk._gateway = f"{running.url}/gateway.do"
        self.http = running.http

    def pay_url(self, number="order_1", notify_url=None, return_url=None, **biz):
        biz = {
            "out_trade_no": number,
            "total_amount": "117.00",
            "subject": "课程 Vue + GraphQL",
            "product_code": "FAST_INSTANT_TRADE_PAY",
            "time_expire": beijing(900),
            **biz,
        }
        biz = {name: value for name, value in biz.items() if value is not None}
        urls = {"notify_url": notify_url, "return_url": return_url}
        query = self.sdk.client_api(
            "alipay.trade.page.pay", biz, timestamp=beijing(), **{k: v for k, v in urls.items() if v}
        )
        return f"{self.sdk._gateway}?{query}"

    def query(self, **biz):
        return self.sdk.server_api("alipay.trade.query", biz, timestamp=beijing())

    def params(self, method="alipay.trade.query", biz=None, **changes):
        """Signed parameters; a change of None leaves one out, and is signed like the rest."""
        params = {
            "app_id": APP_ID,
            "method": method,
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": beijing(),
            "version": "1.0",
            "biz_content": json.dumps(biz if biz is not None else {"out_trade_no": "order_1"}),
            **changes,
        }
        params = {name: value for name, value in params.items() if value is not None}
        return {**params, "sign": sign(request_text(params), self.key)}

    def get(self, params):
        return self.http.get(f"/gateway.do?{urlencode(params)}")

    def verifies(self, params):
        """Whether the SDK takes the signature of a notify or a return."""
        params = dict(params)
        return self.sdk.verify(params, params.pop("sign"))


@pytest.fixture
def merchant(sandbox, merchant_key):
    return Merchant(sandbox, merchant_key)


@pytest.fixture
def merchant_of(merchant_key):
    return lambda running: Merchant(running, merchant_key)


@pytest.fixture
def simulator_key(data):
    return load_pem_private_key((data / "alipay_private_key.pem").read_bytes(), None)


@pytest.fixture
def new_lab(data, merchant_key):
    """Make simulators without sockets, with settings of one's own."""
    made = []

    def make(**settings):
        made.append(Lab(data, merchant_key, **settings))
        return made[-1]

    yield make
    for one in made:
        one.simulator.close()


@pytest.fixture
def lab(new_lab):
    return new_lab()


@pytest.fixture
def day(lab):
    """Two purchases and two refunds on one day, a bill that can be had at once."""
    lab.simulator.rules.change({"bill_at_once": True})
    session = lab.scan("order_1", body="备注文字")
    lab.simulator.advance(60)
    lab.simulator.pay(session)
    lab.simulator.advance(60)
    lab.buy("order_2", total="39.05", subject="Vue 课程")
    lab.simulator.advance(60)
    lab.refund("order_1", "17.00")
    lab.simulator.advance(60)
    lab.simulator.console_refund("order_2", 3905)
    return lab


class Listener:
    """The merchant's notify address: keeps what came, answers what it is told to."""

    def __init__(self):
        self.received = []
        self.answers = [(200, b"success", {})]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
                outer.received.append({"path": self.path, "headers": dict(self.headers), "pairs": pairs})
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                status, text, headers = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, *answers):
        """(status, body) or (status, body, headers), one per request; the last one stays."""
        self.answers = [(*answer, {})[:3] for answer in answers]

    def forms(self):
        return [dict(one["pairs"]) for one in self.received]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def listener():
    one = Listener()
    yield one
    one.stop()


@pytest.fixture
def poll():
    return eventually


@pytest.fixture
def in_beijing():
    return beijing
