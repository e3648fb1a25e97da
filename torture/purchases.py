"""A load of whole purchases: buyers who create an order, pay at Alipay's cashier and wait until the shop knows.

What a buyer was answered is written down as it came; what is right is for others to say. A request whose outcome is
unknown is sent again, as a browser would do it, with the same idempotency key.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from alipay_simulator.control import Control
from tests.shop import CREATE_ORDER, STATUS
from torture import leaks

WATCH = "subscription ($id: ID!) { orderUpdated(id: $id) { status isTerminal } }"
PATIENCE_SECONDS = 60
POLL_SECONDS, AGAIN_SECONDS = 0.25, 0.1
GATEWAY_STATUSES = {502, 503, 504}
"""What nginx says where a node is gone."""


@dataclass(frozen=True)
class Buyer:
    """Somebody signed in, at an address of this machine, who wants these courses once."""

    user_id: int
    token: str
    address: str
    course_ids: tuple[str, ...]
    total: str


@dataclass
class Purchase:
    """What one buyer did and was told, in order."""

    buyer: Buyer
    key: str
    streams: bool
    """Waits by the live stream, not by polls."""
    deaf: bool
    """No notify of it will ever arrive."""
    creates_again: bool
    out_trade_no: str = ""
    answers: list[str] = field(default_factory=list)
    """The number of the order in each answer to createOrder."""
    statuses: list[str] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)
    """Requests that were sent once more, by why."""


def purchase(buyer: Buyer, key: str, chance: Random) -> Purchase:
    return Purchase(
        buyer, key, streams=chance.random() < 0.5, deaf=chance.random() < 0.2, creates_again=chance.random() < 0.3
    )


class Unknown(Exception):
    """No answer, or nginx's own: it may have happened or not."""


class Client:
    """One buyer's connection to nginx and to the cashier."""

    def __init__(self, shop: str, control: Control, this: Purchase) -> None:
        self.control, self.this, self.hunt = control, this, leaks.watch()
        self.deadline = time.monotonic() + PATIENCE_SECONDS
        transport = httpx.HTTPTransport(local_address=this.buyer.address, verify=False)
        headers = {"authorization": f"Bearer {this.buyer.token}"}
        self.http = httpx.Client(base_url=shop, transport=transport, headers=headers, timeout=10, trust_env=False)

    def buy(self) -> None:
        pay_url = self.until_known(self.create)
        if self.this.creates_again:
            self.until_known(self.create)
        if self.this.deaf:
            self.control.fault("notify", "drop_all", out_trade_no=self.this.out_trade_no)
        self.control.pay(pay_url, "stay")
        self.until_known(self.watch if self.this.streams else self.poll)

    def until_known(self, ask: Callable[[], Any]) -> Any:
        while time.monotonic() < self.deadline:
            try:
                return ask()
            except (Unknown, httpx.TransportError) as error:
                why = str(error) if isinstance(error, Unknown) else type(error).__name__
                self.this.again[f"{ask.__name__}: {why}"] += 1
                time.sleep(AGAIN_SECONDS)
        raise AssertionError(f"{ask.__name__} came to no end in {PATIENCE_SECONDS} s; seen {self.this.statuses}")

    def create(self) -> str:
        """The pay URL."""
        buyer = self.this.buyer
        asked = {"courseIds": buyer.course_ids, "totalAmount": buyer.total, "idempotencyKey": self.this.key}
        answer = self.ask(CREATE_ORDER, input=asked)["createOrder"]
        assert answer["__typename"] == "CreateOrderSuccess", answer
        self.this.answers.append(answer["order"]["number"])
        self.this.out_trade_no = answer["order"]["outTradeNo"]
        return str(answer["payUrl"])

    def poll(self) -> None:
        while self.saw(self.ask(STATUS, no=self.this.out_trade_no)["order"]["status"]):
            if time.monotonic() > self.deadline:
                raise AssertionError(f"still {self.this.statuses[-1]} after {PATIENCE_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        body = {"query": WATCH, "variables": {"id": self.this.answers[0]}}
        with self.http.stream("POST", "/graphql/stream", json=body, headers={"accept": "text/event-stream"}) as answer:
            self.look_at(answer)
            for result in results(map(self.heard, answer.iter_lines())):
                if not self.saw(result["data"]["orderUpdated"]["status"]):
                    return
        raise Unknown("the stream was cut")

    def saw(self, status: str) -> bool:
        """Note it; whether there is more to wait for."""
        self.this.statuses.append(status)
        return status == "UNPAID"

    def ask(self, query: str, **variables: Any) -> Any:
        answer = self.http.post("/graphql", json={"query": query, "variables": variables})
        self.look_at(answer)
        told = json.loads(self.heard(answer.text))
        assert "errors" not in told, told["errors"]
        return told["data"]

    def heard(self, text: str) -> str:
        self.hunt.look(text, "an answer", leaks.IN_ANSWERS)
        return text

    def look_at(self, answer: httpx.Response) -> None:
        if answer.status_code in GATEWAY_STATUSES:
            raise Unknown(f"HTTP {answer.status_code}")
        assert answer.status_code == httpx.codes.OK, f"HTTP {answer.status_code}"


def results(lines: Iterator[str]) -> Iterator[Any]:
    """What GraphQL over SSE carries in its `next` events."""
    for line in lines:
        if line.startswith("data: ") and len(line) > len("data: "):
            yield json.loads(line.removeprefix("data: "))


class Load:
    """So many clients at once, each buying with one buyer after the other until it is told to stop."""

    def __init__(self, shop: str, gateway: str, waiting: Iterator[Purchase], clients: int) -> None:
        self.shop, self.gateway, self.waiting = shop, gateway, waiting
        self.lock, self.enough = threading.Lock(), threading.Event()
        self.done: list[Purchase] = []
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *raised: object) -> None:
        self.enough.set()
        for thread in self.threads if kind is None else ():
            thread.join()

    def work(self) -> None:
        with Control(self.gateway) as control:
            while not self.enough.is_set() and (this := self.next()):
                self.buy(control, this)
                with self.lock:
                    self.done.append(this)

    def buy(self, control: Control, this: Purchase) -> None:
        client = Client(self.shop, control, this)
        try:
            client.buy()
        except Exception as error:
            this.wrongs.append(f"{type(error).__name__}: {error}")
        finally:
            client.http.close()
            this.wrongs += sorted(client.hunt.seen)

    def next(self) -> Purchase | None:
        with self.lock:
            return next(self.waiting, None)

    def wait_for(self, count: int) -> None:
        """Returns when so many purchases have ended."""
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS
        while len(self.done) < count and any(thread.is_alive() for thread in self.threads):
            assert time.monotonic() < deadline, f"{len(self.done)} purchases of {count}"
            time.sleep(0.01)
