"""T17: purchases while clocks are wrong: other time zones, two hours apart, a day's jump, and days that are special.

What must hold besides the invariants: an order's time ends when it was said to, by the shop's clock; its number bears
the day in Beijing; Alipay is told that same end, in Beijing's time; and a payment's time is the one that Alipay names.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from backend.orders.models import Order
from backend.payments.models import Payment
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import NOON, World, new_world
from tests.shop import params_of
from torture.trial import Tally, Trial, failed
from torture.trials.schedules import alipay_keys

BEIJING = ZoneInfo("Asia/Shanghai")
TTL = timedelta(minutes=30)
ZONES = ("UTC", "America/Los_Angeles", "Asia/Shanghai", "Pacific/Kiritimati")
SKEWS = (0, 7200, -7200)
"""Seconds by which Alipay's clock is ahead."""
JUMPS = (timedelta(0), timedelta(days=1), timedelta(days=-1))
"""Of the shop's clock, after the order was made."""
MOMENTS = {
    "noon": NOON,
    "before the leap day": datetime(2028, 2, 28, 15, 50, tzinfo=UTC),
    "the leap day ends": datetime(2028, 2, 29, 15, 50, tzinfo=UTC),
    "the year ends": datetime(2026, 12, 31, 15, 50, 0, 250_000, tzinfo=UTC),
    "the year ends in London": datetime(2026, 12, 31, 23, 50, tzinfo=UTC),
    "an hour is skipped in California": datetime(2027, 3, 14, 9, 50, tzinfo=UTC),
}


@dataclass
class Purchase:
    world: World
    witness: Witness
    payment: Payment
    number: str
    jump: timedelta
    right: bool
    """Whether all clocks are: Alipay refuses calls of a shop whose clock is far off."""

    def go_on(self) -> None:
        """A step is over: the clock may jump, and everyone signs in anew where it did."""
        assert self.witness.look() == [], self.witness.look()
        if self.jump:
            self.world.clock.shift(self.jump)
            self.world.forget()

    def status(self) -> str:
        return str(Order.objects.get(number=self.number).status)


def paid_in_time(it: Purchase) -> None:
    bought = it.world.buy(it.payment.out_trade_no)
    it.go_on()
    it.world.deliver_all()
    assert (it.status() == "PAID") == bool(bought)
    if bought:
        told = it.world.simulator.trades.find(out_trade_no=it.payment.out_trade_no).paid_at
        assert Payment.objects.get().paid_at.timestamp() == int(told), told


def never_paid(it: Purchase) -> None:
    it.world.visit(it.payment.out_trade_no)
    end = it.payment.expires_at
    it.world.wait((end - it.world.now()).total_seconds() - 1)
    it.world.jobs()
    assert it.status() == "UNPAID"
    it.go_on()
    it.world.wait(2 * 60 * 60 + 122)
    it.world.jobs()
    if it.world.now() < end:
        assert it.status() == "UNPAID"
    elif it.right:
        assert it.status() == "TIMED_OUT"


def paid_at_the_last_moment(it: Purchase) -> None:
    visit = it.world.visit(it.payment.out_trade_no)
    it.world.wait((it.payment.expires_at - it.world.now()).total_seconds() - 1)
    it.go_on()
    if visit and it.world.scan(visit):
        it.world.pay(visit)
    it.world.jobs()


def refunded(it: Purchase) -> None:
    if it.world.buy(it.payment.out_trade_no):
        it.world.deliver_all()
        it.go_on()
        assert it.world.refund(it.number, 100)["__typename"] == "RefundOrderSuccess"
        it.world.jobs()


STORIES: tuple[Callable[[Purchase], None], ...] = (paid_in_time, never_paid, paid_at_the_last_moment, refunded)
ALL: list[tuple[Any, ...]] = list(itertools.product(STORIES, MOMENTS, SKEWS, JUMPS, ZONES))
STRIDE = 149
"""It has no divisor in common with their number: however few cases are run, they are of all kinds."""


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys:
        for case in cases:
            story, moment, skew, jump, zone = ALL[(seed + case) * STRIDE % len(ALL)]
            with time_zone(zone), transaction.atomic(), new_world(keys, skew=skew, at=MOMENTS[moment]) as world:
                try:
                    live(world, story, jump)
                    tally.count(story.__name__.replace("_", " "))
                except AssertionError as error:
                    how = f"{story.__name__}, {moment}, Alipay {skew} s ahead, jump {jump}, {zone}"
                    tally.violation(case, f"{how}: {failed(error)}")
                transaction.set_rollback(True)
            tally.case_done()


def live(world: World, story: Callable[[Purchase], None], jump: timedelta) -> None:
    witness = Witness(world)
    made = world.create(0, [0, 1])["order"]
    payment = Payment.objects.select_related("order").get()
    is_right_on_paper(world, payment)
    right = not jump and abs(world.simulator.clock.now() - world.now().timestamp()) < 1
    story(Purchase(world, witness, payment, made["id"], jump, right))
    assert witness.look() == [], witness.look()
    put_right(world)
    world.settle_down(hours=60)
    found = witness.look_at_the_end()
    assert found == [], found
    assert payment.order.number == made["id"]


def put_right(world: World) -> None:
    """Somebody notices, and the shop's clock is set by Alipay's."""
    world.clock.move_to(datetime.fromtimestamp(world.simulator.clock.now(), UTC))
    world.forget()


def is_right_on_paper(world: World, payment: Payment) -> None:
    now, order = world.now(), payment.order
    assert order.number.startswith(f"{now.astimezone(BEIJING):%Y%m%d}"), order.number
    assert timedelta(0) <= order.expires_at - now - TTL < timedelta(seconds=1), order.expires_at
    said = json_of(world.urls[payment.out_trade_no])["time_expire"]
    assert said == f"{order.expires_at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}", said


def json_of(pay_url: str) -> dict[str, Any]:
    return dict(json.loads(params_of(pay_url)["biz_content"]))


@contextmanager
def time_zone(name: str) -> Iterator[None]:
    """That of the process, as a machine may be set up; Django sets its own when it starts."""
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = name
        time.tzset()
        yield
    finally:
        os.environ.pop("TZ", None)
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


CLOCKS = Trial("T17", "wrong clocks, time zones and special days", "purchases", 108, len(ALL), "memory", run, batch=250)
