"""Clients that go on buying whatever happens to the shop, and what they were told.

A request without an answer is sent again, with the same idempotency key: nobody knows what became of the first. Each
purchase comes to an end of the buyer's own choosing: paid, paid and given back, paid without a notify, or cancelled.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from alipay_simulator.control import Control
from tests.canaries import Watch
from tests.lifecycle.world import CANCEL, CREATE, GIVE_BACK
from tests.shop import STATUS
from torture.buyers import Purchase, Stock
from torture.leaks import IN_ANSWERS
from torture.linear import Answer, Created, Kind

LOOK = "query ($no: String!) { order(outTradeNo: $no) { status } myCourses { totalCount } }"
PART = "39.00"
PATIENCE_SECONDS = 60
TIMEOUT_SECONDS = 8
AGAIN_SECONDS = 0.03
POLL_SECONDS = 0.05
CLICKS_AGAIN, LOOKS_ON = 0.2, 0.5
"""How many buyers have a second window: up to here it clicks again, from there up to here it only looks."""
LOOKS = 3
T = TypeVar("T")


class NoAnswer(Exception):
    """Nothing came, or nothing that says what happened."""


@dataclass
class Client:
    """Speaks GraphQL to the shop and pays at Alipay's cashier. Each request has a connection of its own."""

    url: str
    control: Control
    chance: Random
    stock: Stock
    gave_up: threading.Event
    watch: Watch
    """Looks at every answer."""

    def buy(self, this: Purchase) -> None:
        pay_url = self.create(this)
        parts = urlsplit(pay_url)
        session = self.at_cashier(lambda: self.control.scan(f"{parts.path}?{parts.query}"))
        with self.another_window(this):
            if this.ending == "cancelled":
                self.cancel(this)
            else:
                self.pay(this, session)
                self.wait_until_paid(this)
        if this.ending == "refunded":
            self.give_back(this)
        self.look(this)

    @contextmanager
    def another_window(self, this: Purchase) -> Iterator[None]:
        """Some buyers have the page open twice: the other one clicks again, or looks, while this one goes on."""
        draw = self.chance.random()
        if draw >= LOOKS_ON:
            yield
            return
        other = replace(self, chance=Random(draw))
        with ThreadPoolExecutor(1) as window:
            ended = window.submit(other.create if draw < CLICKS_AGAIN else other.look_on, this)
            yield
        ended.result()

    def cancel(self, this: Purchase) -> None:
        done = {"CancelOrderSuccess", "OrderNotCancellable"}  # by the try before, whose answer was lost
        self.insist(this, "cancel", CANCEL, "cancelOrder", done, i={"orderId": this.number})

    def pay(self, this: Purchase, session: str) -> None:
        if this.ending == "unheard":
            self.at_cashier(lambda: self.control.fault("notify", "drop_all", out_trade_no=this.out_trade_no))
        self.at_cashier(lambda: self.press(this, session))

    def press(self, this: Purchase, session: str) -> None:
        called = time.monotonic()
        try:
            self.control.pay_session(session, "stay")
        except httpx.TransportError:
            this.note("pay", called)
            raise
        this.note("pay", called, "paid")

    def at_cashier(self, step: Callable[[], T]) -> T:
        """Again while Alipay is away: each step of its cashier may be repeated."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return step()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_SECONDS)

    def create(self, this: Purchase) -> str:
        given = {"courseIds": self.stock.course_ids, "totalAmount": this.total, "idempotencyKey": this.key}
        answer = self.insist(this, "create", CREATE, "createOrder", {"CreateOrderSuccess"}, i=given)
        this.numbers.add(answer["order"]["id"])
        this.found_again += answer["replayed"]
        this.out_trade_no = answer["order"]["outTradeNo"]
        return str(answer["payUrl"])

    def wait_until_paid(self, this: Purchase) -> None:
        """Polls, as a page does that waits; what it sees may never go back."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not this.statuses or this.statuses[-1] != "PAID":
            if time.monotonic() > deadline or self.gave_up.is_set():
                raise AssertionError(f"paid at Alipay, and {PATIENCE_SECONDS} s later the buyer sees {this.statuses}")
            this.asks()
            called = time.monotonic()
            try:
                status = self.ask(this.token, STATUS, {"no": this.out_trade_no})["order"]["status"]
            except NoAnswer:
                time.sleep(AGAIN_SECONDS)
                continue
            this.note("read", called, status)
            if not this.statuses or this.statuses[-1] != status:
                this.statuses.append(status)
            time.sleep(POLL_SECONDS)

    def look_on(self, this: Purchase) -> None:
        for _ in range(LOOKS):
            self.look(this)
            self.gave_up.wait(POLL_SECONDS)

    def look(self, this: Purchase) -> None:
        """Once: at the order and at the courses that are open. Two questions at the same time."""
        this.asks()
        called = time.monotonic()
        with suppress(NoAnswer):
            seen = self.ask(this.token, LOOK, {"no": this.out_trade_no})
            this.note("read", called, seen["order"]["status"])
            this.note("courses", called, self.how_many(seen["myCourses"]["totalCount"]))

    def how_many(self, count: int) -> str:
        whole = len(self.stock.course_ids)
        return {0: "none", whole: "all"}.get(count, f"{count} of {whole}")

    def give_back(self, this: Purchase) -> None:
        given = {"orderId": this.number, "reason": "torture", "idempotencyKey": f"{this.key} back"}
        kind: Kind = "refund all"
        if self.chance.random() < 0.5:
            kind, given["amount"] = "refund part", PART
        expected = {"RefundOrderSuccess"}
        self.insist(this, kind, GIVE_BACK, "refundOrder", expected, token=self.stock.staff, i=given)

    def insist(
        self, this: Purchase, kind: Kind, query: str, field: str, good: set[str], *, token: str = "", **variables: Any
    ) -> Any:
        """Ask until there is an answer that says what happened. Any answer but the good ones is wrong."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            this.asks()
            called = time.monotonic()
            try:
                answer = self.ask(token or this.token, query, variables)[field]
                break
            except NoAnswer as error:
                this.note(kind, called)
                if time.monotonic() > deadline or self.gave_up.is_set():
                    raise AssertionError(f"{field} came to no end in {PATIENCE_SECONDS} s: {error}") from error
                time.sleep(AGAIN_SECONDS)
        this.note(kind, called, told(answer))
        assert answer["__typename"] in good, f"{field} was answered with {answer}"
        return answer

    def ask(self, token: str, query: str, variables: dict[str, Any]) -> Any:
        body = json.dumps({"query": query, "variables": variables})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        status, text = self.post("/graphql", body, headers)
        if status != http.client.OK:
            raise NoAnswer(f"HTTP {status}")
        try:
            told = json.loads(text)
        except ValueError as error:  # cut short, where the server tells no length
            raise NoAnswer("half an answer") from error
        if "errors" in told:
            codes = [error["extensions"]["code"] for error in told["errors"]]
            assert set(codes) <= {"INTERNAL", "UNAVAILABLE"}, told["errors"]
            raise NoAnswer(f"errors {codes}")
        return told["data"]

    def post(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """The status and the whole body. Raises NoAnswer."""
        address = ".".join(str(self.chance.randrange(1, 255)) for _ in range(3))
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", path, body, {**headers, "X-Forwarded-For": f"10.{address}"})
            response = connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(type(error).__name__) from error
        finally:
            connection.close()
        self.watch.look(f"{response.headers}{said.decode(errors='replace')}", f"an answer of {path}", IN_ANSWERS)
        return response.status, said


def told(answer: dict[str, Any]) -> Answer:
    """The part of a mutation's answer that is held against the order's history."""
    match answer:
        case {"order": {"id": number, "status": status}, "replayed": replayed}:
            return Created(number, status, replayed)
        case {"replayed": bool(replayed)}:
            return replayed
    return str(answer["__typename"])
