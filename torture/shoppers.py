"""Clients that go on buying whatever happens to the shop, and what they were told.

A request without an answer is sent again, with the same idempotency key: nobody knows what became of the first. Each
purchase comes to an end of the buyer's own choosing: paid, paid and given back, paid without a notify, or cancelled.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx

from alipay_simulator.control import Control
from backend.accounts.models import User
from backend.courses.models import Course
from backend.payments.management.commands.bench_seed import new_tokens
from tests.canaries import Watch
from tests.lifecycle.world import CANCEL, CREATE, GIVE_BACK
from tests.shop import STATUS
from torture.leaks import IN_ANSWERS

PRICES = (3900, 7900, 1)
TOTAL = "118.01"
PART = "39.00"
PATIENCE_SECONDS = 60
TIMEOUT_SECONDS = 8
AGAIN_SECONDS = 0.03
POLL_SECONDS = 0.05
T = TypeVar("T")
Ending = Literal["paid", "refunded", "unheard", "cancelled"]
ENDINGS: tuple[Ending, ...] = ("paid",) * 14 + ("refunded",) * 3 + ("unheard", "cancelled", "cancelled")


class NoAnswer(Exception):
    """Nothing came, or nothing that says what happened."""


@dataclass
class Purchase:
    """What one buyer wanted, and was told in order."""

    user_id: int
    token: str
    key: str
    ending: Ending
    total: str = TOTAL
    numbers: set[str] = field(default_factory=set)
    """The order's number in each answer to createOrder."""
    out_trade_no: str = ""
    statuses: list[str] = field(default_factory=list)
    tries: int = 0
    """Requests, with those that were sent again."""
    found_again: int = 0
    """Answers to createOrder that say that the order was there already."""
    wrong: str = ""

    @property
    def number(self) -> str:
        return next(iter(self.numbers))


@dataclass
class Stock:
    """Buyers with their tokens and the courses that all of them buy; somebody of the staff gives money back."""

    course_ids: list[str]
    staff: str
    buyers: list[tuple[int, str]] = field(default_factory=list)
    made: int = 0

    @classmethod
    def new(cls) -> "Stock":
        courses = [Course.objects.get_or_create(name=f"Torture {fen}", price_fen=fen)[0] for fen in PRICES]
        staff, _ = User.objects.get_or_create(username="torture staff", is_staff=True)
        return cls([str(course.pk) for course in courses], new_tokens([staff])[0])

    def more(self, count: int) -> None:
        """So many new buyers, made past the shop's server."""
        first = User.objects.count()
        users = User.objects.bulk_create(User(username=f"buyer {first + place}") for place in range(count))
        self.made += count
        self.buyers += [(user.pk, token) for user, token in zip(users, new_tokens(users), strict=True)]


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
        if self.chance.random() < 0.2:
            self.create(this)  # a second click, or the page loaded again
        parts = urlsplit(pay_url)
        session = self.at_cashier(lambda: self.control.scan(f"{parts.path}?{parts.query}"))
        if this.ending == "cancelled":
            done = {"CancelOrderSuccess", "OrderNotCancellable"}  # by the try before, whose answer was lost
            self.insist(this, CANCEL, "cancelOrder", done, i={"orderId": this.number})
            return
        if this.ending == "unheard":
            self.at_cashier(lambda: self.control.fault("notify", "drop_all", out_trade_no=this.out_trade_no))
        self.at_cashier(lambda: self.control.pay_session(session, "stay"))
        self.wait_until_paid(this)
        if this.ending == "refunded":
            self.give_back(this)

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
        answer = self.insist(this, CREATE, "createOrder", {"CreateOrderSuccess"}, i=given)
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
            this.tries += 1
            try:
                status = self.ask(this.token, STATUS, {"no": this.out_trade_no})["order"]["status"]
            except NoAnswer:
                time.sleep(AGAIN_SECONDS)
                continue
            if not this.statuses or this.statuses[-1] != status:
                this.statuses.append(status)
            time.sleep(POLL_SECONDS)

    def give_back(self, this: Purchase) -> None:
        given = {"orderId": this.number, "reason": "torture", "idempotencyKey": f"{this.key} back"}
        if self.chance.random() < 0.5:
            given["amount"] = PART
        expected = {"RefundOrderSuccess"}
        self.insist(this, GIVE_BACK, "refundOrder", expected, token=self.stock.staff, i=given)

    def insist(
        self, this: Purchase, query: str, field: str, good: set[str], *, token: str = "", **variables: Any
    ) -> Any:
        """Ask until there is an answer that says what happened. Any answer but the good ones is wrong."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            this.tries += 1
            try:
                answer = self.ask(token or this.token, query, variables)[field]
                break
            except NoAnswer as error:
                if time.monotonic() > deadline or self.gave_up.is_set():
                    raise AssertionError(f"{field} came to no end in {PATIENCE_SECONDS} s: {error}") from error
                time.sleep(AGAIN_SECONDS)
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
