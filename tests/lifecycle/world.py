"""A small world on one virtual clock: buyers, an operator, the shop and, over real signatures, the Alipay simulator.

Every call of the shop goes through ``Line``, which stands where ``alipay_http.post_form`` does; every notify is posted
to the shop's own address. Nothing here knows what is right: that is ``invariants``.
"""

import itertools
import logging
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import time_machine
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import transaction
from django.db.models import Min
from django.test import Client, override_settings

from alipay_simulator import Config
from alipay_simulator.config import TRIGGERS
from alipay_simulator.deliveries import Outgoing
from alipay_simulator.errors import BusinessError, GatewayError
from alipay_simulator.incoming import parse_biz
from alipay_simulator.keys import load_or_make_keys
from alipay_simulator.simulator import Simulator
from backend import http_client
from backend import sweeps as sweeping
from backend.accounts.models import User
from backend.courses.models import Course
from backend.money import format_yuan
from backend.payments import jobs
from backend.payments.models import Payment, Refund, RefundStatus
from backend.payments.providers.alipay_http import LARGEST_ANSWER
from backend.payments.providers.base import ProviderUnavailable
from tests.settings import ALIPAY_KEY, APP_KEY
from tests.shop import STATUS, Shopper, load_key

NOON = datetime(2026, 11, 23, 4, 0, 0, 250_000, tzinfo=UTC)
"""Noon in Beijing and a quarter of a second: an order's time ends on a whole second, not when its creation did."""
PRICES = (11700, 3900, 1, 250)
MOST_SWEEPS = 300
BILL = "alipay.data.dataservice.bill.downloadurl.query"
QUERY, CLOSE = "alipay.trade.query", "alipay.trade.close"
REFUND, REFUND_QUERY = "alipay.trade.refund", "alipay.trade.fastpay.refund.query"
METHODS = (QUERY, CLOSE, REFUND, REFUND_QUERY)

MEMBER = "__typename ... on UserError { code }"
CREATE = f"""mutation ($i: CreateOrderInput!) {{ createOrder(input: $i) {{ {MEMBER}
  ... on CreateOrderSuccess {{ payUrl replayed order {{ id outTradeNo status totalAmount }} }} }} }}"""
PAY = f"""mutation ($i: PayOrderInput!) {{ payOrder(input: $i) {{ {MEMBER}
  ... on PayOrderSuccess {{ payUrl order {{ id outTradeNo }} }} }} }}"""
CANCEL = f"mutation ($i: CancelOrderInput!) {{ cancelOrder(input: $i) {{ {MEMBER} }} }}"
RETURN = f"mutation ($i: ConfirmReturnInput!) {{ confirmReturn(input: $i) {{ {MEMBER} }} }}"
GIVE_BACK = f"""mutation ($i: RefundOrderInput!) {{ refundOrder(input: $i) {{ {MEMBER}
  ... on RefundOrderSuccess {{ replayed refund {{ amount status }} }} }} }}"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the shop, as it went over the line."""

    method: str
    out_trade_no: str
    out_request_no: str = ""
    amount: str = ""


class Line:
    """Between the shop and the gateway: in place of ``post_form``, with its exceptions.

    ``around`` may do anything before, after or instead of carrying a call out.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.calls: list[Call] = []
        self.around: Callable[[Call, Callable[[], bytes]], bytes] = lambda call, carry_out: carry_out()

    def __call__(self, url: str, form: str, *, deadline: float) -> bytes:
        params = dict(parse_qsl(form, keep_blank_values=True))
        biz = parse_biz(params["biz_content"])
        names = (biz.get("out_trade_no", ""), biz.get("out_request_no", ""), biz.get("refund_amount", ""))
        call = Call(params["method"], *names)
        self.calls.append(call)
        return self.around(call, lambda: self.carry_out(params))

    def carry_out(self, params: dict[str, str]) -> bytes:
        try:
            raw = self.simulator.gateway_call(params)
        except TimeoutError as error:
            raise ProviderUnavailable("no whole answer in time") from error
        except OSError as error:
            raise ProviderUnavailable(f"the call failed: {type(error).__name__}") from error
        if len(raw) > LARGEST_ANSWER:
            raise ProviderUnavailable("the call failed: too long")
        return raw

    def fetch(self, url: str, file: BinaryIO, **limits: Any) -> int:
        """In place of ``fetch_file``: what lies at a bill's URL."""
        try:
            file.write(self.simulator.download(url))
        except OSError as error:
            raise ProviderUnavailable(f"the download failed: {type(error).__name__}") from error
        return 200

    def download(self, url: str, file: BinaryIO, **limits: Any) -> http_client.Answer:
        return http_client.Answer(self.fetch(url, file), b"")

    def methods(self) -> list[str]:
        """What the shop called, but for the bills, which it asks for by the clock."""
        return [call.method for call in self.calls if call.method != BILL]


class Tracebacks(logging.Handler):
    """Keeps every log line of the shop that came with a traceback: nothing that the world can do deserves one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.seen.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@dataclass(slots=True)
class Visit:
    """One cashier page that a buyer has open."""

    pay_order_id: str
    out_trade_no: str
    lingers: bool = False


@dataclass
class World:
    simulator: Simulator
    clock: Any
    line: Line
    buyers: list[User]
    staff: User
    courses: list[Course]
    tracebacks: Tracebacks
    orders: dict[str, User] = field(default_factory=dict)
    """Every order's number and its buyer."""
    urls: dict[str, str] = field(default_factory=dict)
    """The pay URL of every attempt, by out_trade_no."""
    visits: list[Visit] = field(default_factory=list)
    mail: list[Outgoing] = field(default_factory=list)
    """Notifies that are on their way."""
    arrived: list[Outgoing] = field(default_factory=list)
    answers: dict[tuple[int, str], set[str]] = field(default_factory=dict)
    """Which orders each idempotency key of each buyer was answered with."""
    wrongs: list[str] = field(default_factory=list)
    """What an action itself has found wrong."""
    deaf: set[str] = field(default_factory=set)
    """Trades no notify of which will ever arrive."""
    lingering: set[str] = field(default_factory=set)
    late_payment: str = "honour"
    watch_acknowledged: Callable[[dict[str, str]], list[str]] = lambda form: []
    _keys: Iterator[int] = field(default_factory=itertools.count)
    _next_turn: dict[str, datetime] = field(default_factory=dict)
    _shoppers: dict[int, tuple[datetime, Shopper]] = field(default_factory=dict)

    # --- Time ---------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        self.clock.shift(timedelta(seconds=seconds))
        self.simulator.advance(seconds)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def jobs(self) -> int:
        """All that is due, from the jobs whose turn it is, as ``run_jobs`` does; it must come to an end."""
        sweeps, sweep = itertools.count(), sweeping.run_due

        def counted(*args: Any, **more: Any) -> int:
            if next(sweeps) >= MOST_SWEEPS:
                raise AssertionError("the jobs find something due for ever")
            return sweep(*args, **more)

        turn = [job for job in jobs.JOBS if self._is_its_turn(job)]
        swept = tuple(job for job in turn if isinstance(job, sweeping.Sweep))
        with patch.object(sweeping, "run_due", counted), patch.object(jobs, "JOBS", swept):
            total = jobs.run_everything_due()
        return total + sum(job.run() for job in turn if isinstance(job, sweeping.Chore))

    def _is_its_turn(self, job: sweeping.Sweep | sweeping.Chore) -> bool:
        """Those with a long pause between two looks are not asked at every step."""
        now = self.now()
        if job.every > 1 and now < self._next_turn.get(job.name, now):
            return False
        self._next_turn[job.name] = now + timedelta(seconds=job.every)
        return True

    def forget(self) -> None:
        """Who is signed in, and which job had its turn: time or rows are put back."""
        self._shoppers.clear()
        self._next_turn.clear()

    # --- The buyer ----------------------------------------------------------------------------------------------------

    def as_user(self, user: User) -> Shopper:
        """Signed in anew each hour: a token does not live as long as this world."""
        until, shopper = self._shoppers.get(user.pk, (self.now(), Shopper()))
        if until <= self.now():
            shopper = Shopper.signed_in(user)
            self._shoppers[user.pk] = (self.now() + timedelta(hours=1), shopper)
        return shopper

    def create(self, buyer: int, basket: list[int], *, key: str | None = None) -> dict[str, Any]:
        user, courses = self.buyers[buyer], [self.courses[index] for index in basket]
        total = format_yuan(sum(course.price_fen for course in courses))
        given = {"courseIds": [str(course.pk) for course in courses], "totalAmount": total, "idempotencyKey": key}
        answer = self.as_user(user).ask(CREATE, i=given)["createOrder"]
        if answer["__typename"] == "CreateOrderSuccess":
            number = answer["order"]["id"]
            self.orders[number] = user
            if key is not None:
                self.answers.setdefault((user.pk, key), set()).add(number)
            if answer["payUrl"]:
                self.urls[answer["order"]["outTradeNo"]] = answer["payUrl"]
            if not answer["replayed"] and answer["order"]["totalAmount"] != total:
                self.wrongs.append(f"I9 shown {total}, ordered {answer['order']['totalAmount']}")
        return answer

    def pay_order(self, number: str) -> str:
        answer = self.as_user(self.orders[number]).ask(PAY, i={"orderId": number})["payOrder"]
        if answer["__typename"] == "PayOrderSuccess":
            self.urls[answer["order"]["outTradeNo"]] = answer["payUrl"]
        return answer["__typename"]

    def cancel(self, number: str) -> str:
        return self.as_user(self.orders[number]).ask(CANCEL, i={"orderId": number})["cancelOrder"]["__typename"]

    def poll(self, number: str) -> str | None:
        payment = Payment.objects.filter(order__number=number).latest("id")
        return self.as_user(self.orders[number]).ask(STATUS, no=payment.out_trade_no)["order"]["status"]

    # --- The cashier --------------------------------------------------------------------------------------------------

    def visit(self, out_trade_no: str) -> Visit | None:
        """Open the cashier; None where Alipay refuses the URL."""
        try:
            visit = Visit(self.simulator.open_cashier(self.urls[out_trade_no]), out_trade_no)
        except (GatewayError, BusinessError):
            return None
        self.visits.append(visit)
        return visit

    def scan(self, visit: Visit) -> bool:
        try:
            self.simulator.scan(visit.pay_order_id)
        except (GatewayError, BusinessError):
            return False
        return True

    def pay(self, visit: Visit) -> bool:
        try:
            self.simulator.pay(visit.pay_order_id)
        except (GatewayError, BusinessError):
            return False
        return True

    def buy(self, out_trade_no: str) -> Visit | None:
        """Open, scan and pay in one go."""
        visit = self.visit(out_trade_no)
        return visit if visit and self.scan(visit) and self.pay(visit) else None

    def come_back(self, visit: Visit) -> str:
        """The browser returns from the cashier."""
        address = self.simulator.return_address(visit.pay_order_id)
        buyer = Payment.objects.select_related("order__user").get(out_trade_no=visit.out_trade_no).order.user
        return self.as_user(buyer).ask(RETURN, i={"query": urlsplit(address).query})["confirmReturn"]["__typename"]

    def linger(self, visit: Visit, seconds: float) -> None:
        """Alipay lets this buyer, who is at the cashier, pay after the order's time: late money."""
        book = self.simulator.book
        sql = "UPDATE sessions SET expires_at = expires_at + ? WHERE pay_order_id = ? AND expires_at IS NOT NULL"
        book.run(sql, seconds, visit.pay_order_id)
        visit.lingers = True
        self.lingering.add(visit.out_trade_no)

    # --- Notifies -----------------------------------------------------------------------------------------------------

    def collect(self) -> list[Outgoing]:
        """What Alipay sends now is on its way."""
        self.mail += self.simulator.due_notifies()
        return self.mail

    def deliver(self, index: int = 0) -> bytes:
        """One of the notifies on their way arrives, in any order."""
        outgoing = self.mail.pop(index)
        answer = self.post(outgoing)
        self.simulator.record_attempt(outgoing.notify_id, answer[0], answer[1])
        self.arrived.append(outgoing)
        return answer[1]

    def repeat(self, index: int) -> bytes:
        """A copy of one that has arrived arrives again."""
        return self.post(self.arrived[index])[1]

    def lose(self, index: int = 0) -> None:
        self.simulator.record_attempt(self.mail.pop(index).notify_id, None)

    def post(self, outgoing: Outgoing) -> tuple[int, bytes]:
        form = dict(parse_qsl(outgoing.form))
        kind = self.simulator.config.notify_content_type
        response = Client().post(urlsplit(outgoing.url).path, outgoing.form, content_type=kind)
        if response.content != b"success":
            self.wrongs.append(f"I8 a genuine notify was answered {response.content!r}: {form['trade_status']}")
        else:
            self.wrongs += self.watch_acknowledged(form)
        return response.status_code, response.content

    def deliver_all(self) -> int:
        delivered = 0
        while self.collect():
            self.deliver()
            delivered += 1
        return delivered

    # --- The operator and Alipay's console ----------------------------------------------------------------------------

    def refund(
        self, number: str, amount_fen: int | None = None, *, key: str | None = None, closing: list[int] | None = None
    ) -> dict[str, Any]:
        given = {
            "orderId": number,
            "reason": "买错了",
            "idempotencyKey": key or f"refund {next(self._keys)}",
            "closeCourseIds": [str(pk) for pk in closing or []],
        }
        if amount_fen is not None:
            given["amount"] = format_yuan(amount_fen)
        return self.as_user(self.staff).ask(GIVE_BACK, i=given)["refundOrder"]

    def console_refund(self, out_trade_no: str, amount_fen: int) -> bool:
        try:
            self.simulator.console_refund(out_trade_no, amount_fen)
        except (GatewayError, BusinessError):
            return False
        return True

    def console_close(self, out_trade_no: str) -> bool:
        try:
            self.simulator.close_trade(out_trade_no)
        except (GatewayError, BusinessError):
            return False
        return True

    # --- The end ------------------------------------------------------------------------------------------------------

    def settle_down(self, hours: float = 26) -> None:
        """No more faults: the time goes from one thing that is due to the next, with jobs and notifies."""
        self.simulator.faults.clear()
        self.line.around = lambda call, carry_out: carry_out()
        end = self.now() + timedelta(hours=hours)
        for _ in range(500):
            self.deliver_all()
            self.jobs()
            self.deliver_all()
            if self.now() >= end:
                return
            self.wait(max(0.5, (min(end, self.next_due() or end) - self.now()).total_seconds()))
        raise AssertionError("it does not settle down")

    def next_due(self) -> datetime | None:
        row = self.simulator.book.one("SELECT min(next_tick) AS tick FROM notifies WHERE state = 'PENDING'")
        clock = self.simulator.clock
        tick = row["tick"] if row else None
        due = [
            None if tick is None else self.now() + timedelta(seconds=tick - clock.ticks()),
            Payment.objects.aggregate(at=Min("next_query_at"))["at"],
            Refund.objects.filter(status=RefundStatus.PENDING).aggregate(at=Min("next_try_at"))["at"],
        ]
        return min((at for at in due if at is not None), default=None)


@contextmanager
def undone(world: World) -> Iterator[None]:
    """What happens inside is taken back on both sides; only the clock goes on."""
    run = world.simulator.book.run
    world.forget()
    run("SAVEPOINT undone")
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        run("ROLLBACK TO undone")
        run("RELEASE undone")
        world.forget()


keys_of = cache(load_or_make_keys)
"""Read once: that takes longer than most lives."""


def alipay_folder(folder: Path) -> Path:
    """A folder as the simulator keeps it, with the keys that the shop of the tests is set up with."""
    shutil.copy(ALIPAY_KEY, folder / "alipay_private_key.pem")
    public = load_key(APP_KEY.read_text()).public_key()
    (folder / "app_public_key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    keys_of(folder)
    return folder


@contextmanager
def new_world(
    keys: Path,
    *,
    skew: float = 0,
    late_payment: str = "honour",
    refund_window: float = 365 * 86400,
    triggers: frozenset[str] = frozenset(TRIGGERS),
    at: datetime = NOON,
    **settings: Any,
) -> Iterator[World]:
    """A world at noon. ``skew``: how many seconds Alipay's clock is ahead of the shop's. ``keys``: Alipay's folder."""
    config: dict[str, Any] = {
        "data": keys,
        "in_memory": True,
        "seed": 7,
        "frozen_at": at.timestamp() + skew,
        "refund_window": refund_window,
        "triggers": triggers,
        **settings,
    }
    with patch("alipay_simulator.simulator.load_or_make_keys", keys_of):
        simulator = Simulator(Config(**config))
    line, tracebacks = Line(simulator), Tracebacks()
    random.seed(7)  # the jitter of the jobs
    with ExitStack() as stack:
        stack.callback(simulator.close)
        stack.enter_context(override_settings(RATE_LIMITS=False, LATE_PAYMENT=late_payment))
        stack.enter_context(patch("backend.payments.providers.alipay.post_form", line))
        # Below the name that tests put their own in place of: theirs may be taken back after ours.
        stack.enter_context(patch("backend.payments.providers.alipay_http.download", line.download))
        clock = stack.enter_context(time_machine.travel(at, tick=False))
        logger = logging.getLogger("coursepay")
        logger.addHandler(tracebacks)
        stack.callback(logger.removeHandler, tracebacks)
        names = itertools.count(User.objects.count())
        yield World(
            simulator=simulator,
            clock=clock,
            line=line,
            buyers=[User.objects.create(username=f"buyer{next(names)}") for _ in range(2)],
            staff=User.objects.create(username=f"staff{next(names)}", is_staff=True),
            courses=[Course.objects.create(name=f"Course {fen}", price_fen=fen) for fen in PRICES],
            tracebacks=tracebacks,
            late_payment=late_payment,
        )
