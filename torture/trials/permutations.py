"""T8: notifies in any order and more than once. One set of them has one end, whatever the order.

The first cases take a set each, of at most five notifies, in every order. Each of the others is one order of a set of
twelve, repeats among them; a hundred in turn share the set, which is drawn from the seed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import factorial
from pathlib import Path
from random import Random
from typing import Any

from django.db import transaction
from django.db.models import Min

from alipay_simulator.deliveries import Outgoing
from backend.payments.models import Refund, RefundStatus
from tests.lifecycle.invariants import Witness
from tests.lifecycle.test_permutations import STORIES, Every, lives, notifies_of
from tests.lifecycle.world import World, new_world, undone
from torture.trial import Tally, Trial, dice, failed
from torture.trials.schedules import alipay_keys

LENGTH, SHARED, MOST_TURNS = 12, 100, 12
WINDOW = 6 * 3600
Set = tuple[Callable[[World], list[Outgoing]], int | None]
"""What makes the notifies, and after how many of them the jobs come, besides at the end."""

WHOLE: list[Set] = [
    *((partial(notifies_of, story=story, copies=copies), None) for story, copies, _ in STORIES.values()),
    *((partial(lives, ours=ours), after) for ours in (True, False) for after in (None, 1, 2, 3)),
]


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys:
        shared: dict[int, list[int]] = {}
        for case in cases:
            number = case if case < len(WHOLE) else len(WHOLE) + (case - len(WHOLE)) // SHARED
            shared.setdefault(number, []).append(case)
        for number, of_set in shared.items():
            with transaction.atomic():
                try:
                    (in_every_order if number < len(WHOLE) else in_some_orders)(keys, of_set, seed, tally)
                except AssertionError as error:
                    tally.violation(of_set[0], failed(error))
                transaction.set_rollback(True)


def in_every_order(keys: Path, cases: list[int], seed: int, tally: Tally) -> None:
    make, after = WHOLE[cases[0]]
    with new_world(keys, refund_window=WINDOW) as world:
        notifies = make(world)
        every = Every(world, Witness(world), after).order_of(notifies)
        assert every.orders == factorial(len(notifies))
        tally.count("orders", every.orders)
        judge(every, cases[0], tally)
        tally.case_done()


def judge(every: Every, case: int, tally: Tally) -> None:
    for wrong in every.wrongs:
        tally.violation(case, wrong)
    if len(every.ends) > 1:
        tally.violation(case, f"{len(every.ends)} ends: {every.ends}"[:1500])


def in_some_orders(keys: Path, cases: list[int], seed: int, tally: Tally) -> None:
    first = cases[0] - (cases[0] - len(WHOLE)) % SHARED
    fate = dice(seed, first)
    with new_world(keys, refund_window=WINDOW) as world:
        notifies = drawn(world, fate)
        every = Every(world, Witness(world), fate.choice((None, 3, 6, 9)))
        arrive(every, notifies)  # as they were sent
        for case in cases:
            chance = dice(seed, case)
            arrive(every, chance.sample(notifies, len(notifies)))
            tally.count("orders")
            judge(every, case, tally)
            every.wrongs, every.ends = [], dict(list(every.ends.items())[:1])
            tally.case_done()


def arrive(every: Every, notifies: list[Outgoing]) -> None:
    with undone(every.world):
        for place, one in enumerate(notifies, 1):
            assert every.world.post(one)[1] == b"success"
            if place == every.after:
                every.work()
        rest(every.world)
        every.judge(tuple(notifies))


def rest(world: World) -> None:
    """Refunds that are under way come to their end; the shop's clock is put back, as all else is."""
    before = world.now()
    for _ in range(MOST_TURNS):
        due = Refund.objects.filter(status=RefundStatus.PENDING).aggregate(at=Min("next_try_at"))["at"]
        if due is None:
            break
        world.clock.move_to(max(world.now(), due) + timedelta(seconds=1))
        world.jobs()
    world.clock.move_to(before)


@dataclass
class Fate:
    """A trade's life, drawn: everything that Alipay says of it is kept back until it is over."""

    world: World
    chance: Random
    number: str
    trade: str

    def console(self) -> None:
        self.world.console_refund(self.trade, self.chance.choice((1, 100, 3900, 5600)))

    def ours(self) -> None:
        """A refund of ours whose answer is lost, after Alipay has done it or before."""
        self.world.simulator.fault("alipay.trade.refund", self.chance.choice(("timeout_after", "timeout_before")))
        self.world.refund(self.number, self.chance.choice((1, 100, 3900)))
        self.world.jobs()

    def close(self) -> None:
        self.world.console_close(self.trade)


def drawn(world: World, chance: Random) -> list[Outgoing]:
    """Twelve notifies, the first of them when it was sent."""
    made: Any = world.create(0, chance.choice(([0, 1], [0], [0, 3])))["order"]
    fate = Fate(world, chance, made["id"], made["outTradeNo"])
    if chance.random() < 0.15:
        world.scan(world.visit(fate.trade))
        fate.close()
    else:
        assert world.buy(fate.trade)
        if chance.random() < 0.5:  # the first has arrived, so that refunds of ours can be
            mail = world.collect()[:]
            world.deliver_all()
            world.mail = mail
        for _ in range(chance.randint(1, 6)):
            world.wait(chance.choice((1, 4, 11)))
            chance.choice((fate.console, fate.console, fate.ours))()
    if chance.random() < 0.3:
        world.wait(7 * 3600)
    sent = world.collect()[:]
    world.mail = []
    return (sent + chance.choices(sent, k=LENGTH))[:LENGTH]


ORDERS = Trial("T8", "notifies in every order", "sets and orders", len(WHOLE) + 60, len(WHOLE) + 10_000, "memory", run)
