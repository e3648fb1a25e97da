"""The programs that serve the stream, as they are started, with real sockets."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.concurrency.conftest import database_url
from tests.shop import CREATE_ORDER, post_notify
from tests.stream.conftest import free_port
from tests.stream.listener import APOLLO, PATIENCE, SSE, WATCH, until

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.live


class Program:
    def __init__(self, command, port, **env):
        self.url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": database_url(), **env}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)

    def is_up(self, url=None):
        assert self.process.poll() is None
        try:
            return httpx.get(f"{url or self.url}/healthz/live", trust_env=False).text == "ok"
        except httpx.HTTPError:
            return False

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def is_gone(self):
        """The process and all that it started."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@contextlib.contextmanager
def whole_shop():
    """The whole shop on one port, as `make run` serves it."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "backend.asgi:application", "--port", str(port), "--no-proxy-headers",
               "--log-level", "warning", "--timeout-graceful-shutdown", "10"]  # fmt: skip
    program = Program(command, port)
    try:
        until(program.is_up, 60)
        yield program
    finally:
        program.end()


@pytest.fixture(scope="module")
def shop(django_db_setup):
    with whole_shop() as program:
        yield program


@contextlib.contextmanager
def subscribed(url, order, shopper, accept):
    body = {"query": WATCH, "variables": {"id": order.number}}
    headers = {"accept": accept, "authorization": f"Bearer {shopper.token}"}
    with (
        httpx.Client(trust_env=False, timeout=PATIENCE) as http,
        http.stream("POST", f"{url}/graphql/stream", json=body, headers=headers) as answer,
    ):
        yield answer


def parts_as_apollo_reads_them(answer):
    """Apollo Client 3's readMultipartBody: a part is whole when the next boundary has come."""
    boundary = "\r\n--" + answer.headers["content-type"].partition("boundary=")[2].partition(";")[0].strip('"')
    buffer = ""
    for chunk in answer.iter_text():
        buffer += chunk
        while boundary in buffer:
            part, _, buffer = buffer.partition(boundary)
            head, _, body = part.partition("\r\n\r\n")
            if body:
                assert head.strip().lower() == "content-type: application/json"
                yield json.loads(body)
    assert buffer == "--\r\n"


def test_a_purchase_seen_live_by_apollo_on_one_port_with_everything_else(shop, buyer, order, payment, alipay):
    with subscribed(shop.url, order, buyer, APOLLO) as answer:
        parts = (part["payload"]["data"]["orderUpdated"] for part in parts_as_apollo_reads_them(answer) if part)
        assert next(parts) == {"status": "UNPAID", "isTerminal": False}
        notify = httpx.post(
            f"{shop.url}/payments/alipay/notify/", content=alipay.paid_notify(payment), trust_env=False,
            headers={"content-type": "application/x-www-form-urlencoded; text/html; charset=utf-8"},
        )  # fmt: skip
        assert (notify.status_code, notify.content) == (200, b"success")
        assert next(parts) == {"status": "PAID", "isTerminal": True}
        assert list(parts) == []


def test_all_else_is_the_wsgi_application(shop, buyer, courses):
    with httpx.Client(base_url=shop.url, trust_env=False) as http:
        assert http.get("/admin/login/").status_code == 200
        style = http.get("/static/admin/css/base.css")
        assert (style.status_code, style.headers["content-type"].partition(";")[0]) == (200, "text/css")
        asked = {"courseIds": [str(courses[0].pk)], "totalAmount": "117.00"}
        body = {"query": CREATE_ORDER, "variables": {"input": asked}}
        made = http.post("/graphql", json=body, headers={"authorization": f"Bearer {buyer.token}"}).json()
        assert made["data"]["createOrder"]["__typename"] == "CreateOrderSuccess"
        assert http.get("/graphql/stream").status_code == 405


def test_the_order_in_this_process_is_told_to_the_server(shop, buyer, order, payment, alipay):
    """Two processes, one database: what one commits, the other's clients see."""
    with subscribed(shop.url, order, buyer, SSE) as answer:
        lines = answer.iter_lines()
        assert "UNPAID" in next(line for line in lines if line.startswith("data: "))
        assert post_notify(alipay.paid_notify(payment)).content == b"success"
        assert "PAID" in next(line for line in lines if line.startswith("data: "))
        assert "event: complete" in list(lines)


def test_sigterm_cuts_the_streams_and_ends_the_server(buyer, order):
    with whole_shop() as shop:
        with subscribed(shop.url, order, buyer, SSE) as answer:
            lines = answer.iter_lines()
            assert "UNPAID" in next(line for line in lines if line.startswith("data: "))
            shop.terminate()
            assert [line for line in lines if line] == []
        assert shop.process.wait(8) in (0, -signal.SIGTERM)


@pytest.fixture
def production():
    """What `make serve` starts."""
    port, stream_port = free_port(), free_port()
    program = Program(
        [sys.executable, "tools/serve.py"], port, PORT=str(port), STREAM_PORT=str(stream_port), WEB_WORKERS="1"
    )
    program.stream_url = f"http://127.0.0.1:{stream_port}"
    try:
        until(program.is_up, 60)
        until(lambda: program.is_up(program.stream_url), 60)
        yield program
    finally:
        program.end()


def test_make_serve_has_the_stream_on_a_port_of_its_own_and_stops_as_one(production, buyer, order, payment, alipay):
    assert httpx.get(f"{production.stream_url}/graphql", trust_env=False).status_code == 404
    with subscribed(production.stream_url, order, buyer, SSE) as answer:
        lines = answer.iter_lines()
        assert "UNPAID" in next(line for line in lines if line.startswith("data: "))
        metrics = httpx.get(f"{production.url}/metrics", trust_env=False).text
        assert "coursepay_streams_waiting 1.0" in metrics.splitlines()
        notify = httpx.post(
            f"{production.url}/payments/alipay/notify/", content=alipay.paid_notify(payment), trust_env=False,
            headers={"content-type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert notify.content == b"success"
        assert "PAID" in next(line for line in lines if line.startswith("data: "))
    production.terminate()
    production.process.wait(30)
    assert production.process.returncode == 0
    until(production.is_gone)


def test_when_one_of_the_two_servers_dies_the_other_ends_too(production):
    children = Path(f"/proc/{production.process.pid}/task/{production.process.pid}/children").read_text().split()
    stream = next(pid for pid in children if b"uvicorn" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(stream), signal.SIGKILL)
    assert production.process.wait(30) == 1
    until(production.is_gone)
