"""One whole purchase over HTTP, as a buyer's browser makes it; every step is printed."""

import time
from argparse import ArgumentParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

LOGIN = """mutation ($input: LoginInput!) { login(input: $input) {
  __typename ... on LoginSuccess { token } ... on UserError { message } } }"""
COURSES = "{ courses(first: 100) { edges { node { id name price owned } } } }"
CREATE = """mutation ($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename ... on CreateOrderSuccess { payUrl replayed order { id number outTradeNo totalAmount status } }
  ... on UserError { message } } }"""
CONFIRM = """mutation ($input: ConfirmReturnInput!) { confirmReturn(input: $input) {
  __typename ... on ConfirmReturnSuccess { verified order { status } } ... on UserError { message } } }"""
STATUS = """query ($no: String!) { order(outTradeNo: $no) {
  status tradeNo paidAt isTerminal nextPollAfterMs lines { name course { owned } } timeline { name } } }"""


class Command(BaseCommand):
    help = "Sign in, order the cheapest course not owned yet, pay it at the simulator, and wait until it is open."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default=settings.PUBLIC_URL, help="Where the shop is (%(default)s).")
        parser.add_argument("--username", default="buyer")
        parser.add_argument("--password", default="buyer")
        parser.add_argument("--wait", type=float, default=30, help="Seconds to wait for the notify (%(default)s).")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ALIPAY_REAL_MONEY:
            raise CommandError("Refused: this would be a real purchase. It is made for the simulator.")
        try:
            with httpx.Client(timeout=10, trust_env=False) as self.http:
                self.purchase(options)
        except httpx.HTTPError as error:
            raise CommandError(f"The shop or the simulator did not answer ({error}). Is `make run` up?") from error

    def purchase(self, options: dict[str, Any]) -> None:
        self.url, self.token = options["url"], ""
        credentials = {"username": options["username"], "password": options["password"]}
        self.token = self.mutate(LOGIN, "login", credentials)["token"]
        self.say("signed in", options["username"])
        course = self.cheapest()
        self.say("chose", f"{course['name']}, {course['price']} yuan")
        basket = {"courseIds": [course["id"]], "totalAmount": course["price"]}
        created = self.mutate(CREATE, "createOrder", basket)
        order = created["order"]
        self.say("ordered", f"{order['number']}, {order['status']}" + (" (it stood already)" * created["replayed"]))
        if created["payUrl"]:
            self.pay(created["payUrl"])
        self.wait_until_paid(order["outTradeNo"], options["wait"])

    def cheapest(self) -> dict[str, Any]:
        nodes = [edge["node"] for edge in self.ask(COURSES)["courses"]["edges"]]
        wanted = [node for node in nodes if not node["owned"]]
        if not wanted:
            raise CommandError("This buyer owns every course. Try --username buyer2 --password buyer2.")
        return min(wanted, key=lambda node: float(node["price"]))

    def pay(self, pay_url: str) -> None:
        """What the buyer does at the cashier: open it, scan, pay, and come back."""
        cashier = self.http.get(pay_url)
        session = parse_qs(urlsplit(cashier.headers.get("location", "")).query).get("payOrderId")
        if not session:
            raise CommandError(f"The cashier did not open: HTTP {cashier.status_code}")
        address = httpx.URL(pay_url).join(cashier.headers["location"])
        self.say("at the cashier", str(address))
        form = {"payOrderId": session[0]}
        self.http.post(address.join("/cashier/scan"), data=form)
        back = self.http.post(address.join("/cashier/pay"), data=form).headers.get("location")
        if back is None:
            raise CommandError("The cashier did not take the payment.")
        self.say("paid, sent back to", back.partition("?")[0])
        answer = self.mutate(CONFIRM, "confirmReturn", {"query": urlsplit(back).query})
        self.say("return confirmed", f"signature good: {answer['verified']}, {answer['order']['status']}")

    def wait_until_paid(self, out_trade_no: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            order = self.ask(STATUS, no=out_trade_no)["order"]
            if order["isTerminal"] or time.monotonic() > deadline:
                break
            time.sleep(min(order["nextPollAfterMs"] / 1000, 1))
        self.say("timeline", ", ".join(event["name"] for event in order["timeline"]))
        if order["status"] != "PAID" or not all(line["course"]["owned"] for line in order["lines"]):
            raise CommandError(f"The order is {order['status']} after {seconds:g} seconds.")
        self.say("done", f"PAID, trade {order['tradeNo']}; the course is open")

    def mutate(self, query: str, field: str, given: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask(query, input=given)[field]
        if not answer["__typename"].endswith("Success"):
            raise CommandError(f"{field}: {answer['__typename']}: {answer['message']}")
        return answer

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables}
        answer = self.http.post(f"{self.url}/graphql", json=body, headers=headers).raise_for_status().json()
        if "errors" in answer:
            raise CommandError(answer["errors"][0]["message"])
        data: dict[str, Any] = answer["data"]
        return data

    def say(self, step: str, what: str) -> None:
        self.stdout.write(f"{step:>18}  {what}")
