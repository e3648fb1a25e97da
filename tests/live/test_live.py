"""The whole shop as it is started: a purchase over HTTP, what it survives, and that it leaves nothing behind."""

import os
import re
import signal
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from backend.money import parse_yuan
from backend.payments.models import Payment
from tests.live.conftest import STOP_SECONDS, session_of, until
from tests.shop import AlipaySide, load_key
from tests.startup.trees import run

pytestmark = pytest.mark.live

OFFERED = re.compile(r"DEBUG=1 \.venv/bin/python (manage\.py demo_purchase .*)")
LOGIN = """mutation ($input: LoginInput!) { login(input: $input) { __typename ... on LoginSuccess { token } } }"""
COURSES = """{ courses(first: 40) { totalCount edges { node { id price owned } } } }"""
CREATE = """mutation ($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename ... on UserError { message }
  ... on CreateOrderSuccess { payUrl order { outTradeNo status totalAmount } } } }"""
ORDER = """query ($no: String!) { order(outTradeNo: $no) {
  status isTerminal tradeNo lines { course { id owned } } timeline { name } } }"""


class Buyer:
    """A signed-in storefront."""

    def __init__(self, url):
        self.url, self.token = url, ""
        self.http = httpx.Client(timeout=20, trust_env=False)
        self.token = self.ask(LOGIN, input={"username": "buyer", "password": "buyer"})["login"]["token"]

    def ask(self, query, **variables):
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self.http.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, headers=headers)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def order(self, number):
        return self.ask(ORDER, no=number)["order"]

    def buy_cheapest(self):
        nodes = [edge["node"] for edge in self.ask(COURSES)["courses"]["edges"]]
        course = min((node for node in nodes if not node["owned"]), key=lambda node: float(node["price"]))
        made = self.ask(CREATE, input={"courseIds": [course["id"]], "totalAmount": course["price"]})["createOrder"]
        assert made["__typename"] == "CreateOrderSuccess", made
        return made


def pay_and_stay(http, pay_url):
    """The buyer pays and closes the window: the shop hears of it by the notify alone."""
    location = urljoin(pay_url, http.get(pay_url).headers["location"])
    form = {"payOrderId": parse_qs(urlsplit(location).query)["payOrderId"][0]}
    http.post(urljoin(location, "/cashier/scan"), data=form)
    return http.post(urljoin(location, "/cashier/pay"), data={**form, "outcome": "stay"})


def stop(server):
    """SIGTERM to the process that was started; all of its family must be gone, without help."""
    family = server.family()
    assert len(family) >= 2
    server.process.send_signal(signal.SIGTERM)
    until(lambda: server.process.poll() is not None, STOP_SECONDS, "it to end")
    until(lambda: not [pid for pid in family if session_of(pid)], 10, "its children to end")
    assert server.family() == []


def test_make_run_serves_a_purchase_and_ends_without_a_trace(demo, tree):
    offered = until(lambda: OFFERED.search(demo.said()), 20, "the command for another terminal")
    bought = run(tree, *offered[1].split(), DEBUG="1", **demo.env)
    assert bought.code == 0, bought.said + demo.said()
    assert "done  PAID, trade " in bought.said
    assert "order.created, order.paid, enrollment.opened" in bought.said

    buyer = Buyer(demo.url)
    made = buyer.buy_cheapest()
    number = made["order"]["outTradeNo"]
    assert buyer.order(number)["status"] == "UNPAID"
    receipt = pay_and_stay(buyer.http, made["payUrl"])
    assert (receipt.status_code, receipt.headers.get("location")) == (200, None)

    # Only polled, as the storefront does; nobody came back from the cashier.
    order = until(lambda: (now := buyer.order(number))["isTerminal"] and now, 30, "the notify")
    assert order["status"] == "PAID"
    assert order["tradeNo"]
    assert [line["course"]["owned"] for line in order["lines"]] == [True]
    assert [event["name"] for event in order["timeline"]] == ["order.created", "order.paid", "enrollment.opened"]

    # A second start on the same ports says so instead of half-starting.
    again = run(tree, "tools/run.py", **demo.env)
    assert again.code != 0
    assert f"Port {demo.env['PORT']} is taken" in again.said

    stop(demo)


def test_when_one_process_of_make_run_dies_the_others_end_too(demo):
    simulator = next(pid for pid in demo.family() if b"alipay_simulator" in command_line(pid))
    os.kill(simulator, signal.SIGKILL)
    until(lambda: demo.process.poll() is not None, STOP_SECONDS, "make run to end")
    until(lambda: not demo.family(), 10, "the server to end")
    assert demo.process.returncode != 0


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_the_production_server_takes_a_payment_with_two_workers(production_server, cut_all_lines, tmp_path):
    url = production_server.url
    live = httpx.get(f"{url}/healthz/live", trust_env=False)
    assert (live.status_code, live.text) == (200, "ok")
    # No page for curious people: not GraphiQL, not DEBUG's list of addresses.
    assert httpx.get(f"{url}/graphql", headers={"accept": "text/html"}, trust_env=False).status_code in (404, 405)
    assert b"urlpatterns" not in httpx.get(f"{url}/nowhere", trust_env=False).content

    buyer = Buyer(url)
    made = buyer.buy_cheapest()
    number = made["order"]["outTradeNo"]
    alipay = AlipaySide(key=load_key((tmp_path / "keys/alipay_private.pem").read_text()))
    body = alipay.signed(paid(alipay, number, made["order"]["totalAmount"]))
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}

    # The database's sessions end under the workers: each request finds a good one, or none would be safe to send.
    statuses = []
    for _ in range(6):
        cut_all_lines()
        statuses.append(buyer.order(number)["status"])
    assert statuses == ["UNPAID"] * 6
    cut_all_lines()
    answers = [httpx.post(f"{url}/payments/alipay/notify/", content=body, headers=headers, trust_env=False)
               for _ in range(4)]  # fmt: skip
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"success")] * 4
    assert buyer.order(number)["status"] == "PAID"

    workers = [pid for pid in production_server.family() if pid != production_server.process.pid]
    assert len(workers) >= 2
    stop(production_server)


def paid(alipay, number, amount):
    return alipay.paid_fields(Payment(pk=1, out_trade_no=number, amount_fen=parse_yuan(amount)))
