"""A shop's life: all that buyers, operators, Alipay and the network may do, drawn step by step from a source of chance.

``live`` is one such life. Every name and number in it comes from the seed, so that the same seed is the same history.
"""

import hashlib
import json
import random
import secrets
import string
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.db import transaction

from backend.courses.models import Course
from backend.payments.models import Payment
from tests.lifecycle.invariants import Books, Witness, state
from tests.lifecycle.world import METHODS, Visit, World, new_world

STAGES = ("ordered", "visited", "scanned", "paid", "told")
FAULTS = (
    *("timeout_before", "timeout_after", "http_502", "code_20000", "system_error", "system_error_applied"),
    *("bad_signature", "wrong_key", "unsigned", "other_order", "truncated", "empty", "html_200", "not_json"),
)
DURATIONS = (0.5, 3, 5, 11, 61, 90, 600, 1790, 1800, 1925, 7200, 93_600)
PARTS = (None, 1, 100, 3900, 11701)
SKEWS, POLICIES, WINDOWS = (0, -100, 25), ("honour", "refund"), (365 * 86400, 365 * 86400, 6 * 3600)
PICKS = (0, 0, 1, 2, 3, 5)
BOTH = (True, False)


@dataclass
class Life:
    """What may happen in a world, each with its choices; ``pick`` says which of the orders, trades or visits."""

    world: World
    numbers: list[str] = field(default_factory=list)

    def begin(self, basket: set[int], stage: str) -> None:
        for buyer in (0, 1):
            self.purchase(buyer, basket, None, stage)

    # --- The buyers ---------------------------------------------------------------------------------------------------

    def purchase(self, buyer: int, basket: set[int], key: str | None, as_far_as: str) -> None:
        answer = self.world.create(buyer, sorted(basket), key=key)
        if answer["__typename"] != "CreateOrderSuccess":
            return
        if answer["order"]["id"] not in self.numbers:
            self.numbers.append(answer["order"]["id"])
        if as_far_as != "ordered" and answer["payUrl"]:
            self._at_the_cashier(self.world.visit(answer["order"]["outTradeNo"]), as_far_as)

    def _at_the_cashier(self, visit: Visit | None, as_far_as: str) -> None:
        if visit and as_far_as in ("scanned", "paid", "told"):
            self.world.scan(visit)
        if visit and as_far_as in ("paid", "told"):
            self.world.pay(visit)
        if as_far_as == "told":
            self.world.deliver_all()

    def visit(self, pick: int, as_far_as: str) -> None:
        """Any pay URL that was ever given out, also an old one of an order that has ended or is paid."""
        self._at_the_cashier(self.world.visit(one(list(self.world.urls)[::-1], pick)), as_far_as)

    def go_on(self, pick: int, as_far_as: str) -> None:
        """At a cashier page that has been open for a while."""
        self._at_the_cashier(one(self.world.visits[::-1], pick), as_far_as)

    def at_the_order(self, pick: int, what: str) -> None:
        getattr(self.world, what)(one(self.numbers[::-1], pick))

    def come_back(self, pick: int) -> None:
        visit = one(self.world.visits, pick)
        if visit.out_trade_no in self.world.simulator.money():
            self.world.come_back(visit)

    def linger(self, pick: int, minutes: int) -> None:
        visit = one(self.world.visits, pick)
        if visit.out_trade_no not in self.world.deaf:
            self.world.linger(visit, 60 * minutes)

    def late_money(self, pick: int, lingers: bool, again: bool, wait: int) -> None:
        """At the cashier when the time is over, and it still pays; a course may have been bought anew meanwhile."""
        number = one(list(self.world.urls)[::-1], pick)
        visit = self.world.visit(number)
        payment = Payment.objects.select_related("order").get(out_trade_no=number)
        if visit is None or payment.expires_at <= self.world.now():
            return
        if lingers and number not in self.world.deaf:
            self.world.linger(visit, 7200)
        self.world.wait((payment.expires_at - self.world.now()).total_seconds())
        self.world.jobs()
        self.world.wait(wait)
        self.world.jobs()
        if again:
            buyer = self.world.buyers.index(payment.order.user)
            ids = [course.pk for course in self.world.courses]
            lines = payment.order.lines.values_list("course_id", flat=True)
            self.purchase(buyer, {ids.index(pk) for pk in lines[:1]}, None, "told")
        self._at_the_cashier(visit, "paid")

    # --- Time and work, notifies --------------------------------------------------------------------------------------

    def wait(self, seconds: float, work: bool) -> None:
        self.world.wait(seconds)
        if work:
            self.world.jobs()

    def mail(self, pick: int, arrives: bool) -> None:
        if mail := self.world.collect():
            (self.world.deliver if arrives else self.world.lose)(pick % len(mail))

    def repeat(self, pick: int) -> None:
        self.world.repeat(pick % len(self.world.arrived))

    def go_deaf(self, pick: int) -> None:
        """No notify of this trade will ever come: only asking helps. Not where asking cannot help either."""
        number = one(list(self.world.urls), pick)
        if number not in self.world.lingering and number not in self.world.simulator.money():
            self.world.deaf.add(number)
            self.world.simulator.book.run("UPDATE trades SET notify_url = '' WHERE out_trade_no = ?", number)

    # --- The operator and Alipay --------------------------------------------------------------------------------------

    def refund(self, pick: int, part: int | None, close: bool, key: str) -> None:
        number = one(self.numbers[::-1], pick)
        courses = list(Course.objects.filter(order_lines__order__number=number).values_list("pk", flat=True))
        self.world.refund(number, part, key=key, closing=courses[:1] if close else None)

    def refund_in_a_storm(self, pick: int, part: int | None, kind: str, meanwhile: bool) -> None:
        """Its answer is lost or spoilt, and so is the one to the question after it; somebody is at the console, too."""
        payment = Payment.objects.get(out_trade_no=one(list(self.world.simulator.money())[::-1], pick))
        for method in METHODS[2:]:
            self.world.simulator.fault(method, kind, out_trade_no=payment.out_trade_no)
        self.world.refund(payment.order.number, part)
        self.world.jobs()
        if meanwhile and payment.out_trade_no not in self.world.deaf:
            self.world.console_refund(payment.out_trade_no, 1)

    def console_refund(self, pick: int, part: int | str) -> None:
        number = one(list(self.world.simulator.money()), pick)
        if number not in self.world.deaf:  # a query says nothing of refunds
            trade = self.world.simulator.trades.find(out_trade_no=number)
            self.world.console_refund(number, trade.total_fen - trade.refunded_fen if part == "all" else int(part))

    def console_close(self, pick: int) -> None:
        self.world.console_close(one(list(self.world.urls), pick))

    def fault(self, method: str, kind: str, times: int) -> None:
        self.world.simulator.fault(method, kind, times=times)

    def change_price(self, course: int, factor: int) -> None:
        row = self.world.courses[course]
        row.price_fen = row.price_fen * factor + 1
        row.save()


def one(items: list[Any], pick: int) -> Any:
    return items[pick % len(items)]


# --- What may be drawn ------------------------------------------------------------------------------------------------


def always(life: Life) -> bool:
    return True


def urls(life: Life) -> bool:
    return bool(life.world.urls)


def visits(life: Life) -> bool:
    return bool(life.world.visits)


def orders(life: Life) -> bool:
    return bool(life.numbers)


def money(life: Life) -> bool:
    return bool(life.world.simulator.money())


def arrivals(life: Life) -> bool:
    return bool(life.world.arrived)


@dataclass(frozen=True)
class Action:
    weight: int
    needs: Callable[[Life], bool]
    choices: dict[str, Any]
    """For each argument what it may be; "basket" stands for some of the four courses."""


ACTIONS = {
    "purchase": Action(4, always, {"buyer": (0, 1), "basket": "basket", "key": (None, "a", "b"), "as_far_as": STAGES}),
    "visit": Action(2, urls, {"pick": PICKS, "as_far_as": STAGES}),
    "go_on": Action(2, visits, {"pick": PICKS, "as_far_as": STAGES[1:]}),
    "at_the_order": Action(3, orders, {"pick": PICKS, "what": ("cancel", "pay_order", "poll")}),
    "come_back": Action(1, visits, {"pick": PICKS}),
    "linger": Action(1, visits, {"pick": PICKS, "minutes": (1, 40, 1500)}),
    "late_money": Action(2, urls, {"pick": PICKS, "lingers": BOTH, "again": BOTH, "wait": (1, 60, 130)}),
    "wait": Action(4, always, {"seconds": DURATIONS, "work": BOTH}),
    "mail": Action(3, always, {"pick": PICKS, "arrives": (True, True, False)}),
    "repeat": Action(1, arrivals, {"pick": PICKS}),
    "go_deaf": Action(1, urls, {"pick": PICKS}),
    "refund": Action(2, orders, {"pick": PICKS, "part": PARTS, "close": BOTH, "key": tuple("pqr")}),
    "refund_in_a_storm": Action(2, money, {"pick": PICKS, "part": (None, 100), "kind": FAULTS, "meanwhile": BOTH}),
    "console_refund": Action(1, money, {"pick": PICKS, "part": (1, 100, 3900, "all")}),
    "console_close": Action(1, urls, {"pick": PICKS}),
    "fault": Action(2, always, {"method": METHODS, "kind": FAULTS, "times": (1, 2, 3)}),
    "change_price": Action(1, always, {"course": (0, 1, 2, 3), "factor": (1, 2)}),
}


def a_basket(dice: random.Random) -> set[int]:
    return set(dice.sample(range(4), dice.choice((1, 1, 2, 3))))


def drawn(dice: random.Random, life: Life) -> tuple[str, dict[str, Any]]:
    """An action that is possible now, with its choices."""
    names, weights = list(ACTIONS), [action.weight for action in ACTIONS.values()]
    while True:
        action = ACTIONS[name := dice.choices(names, weights)[0]]
        given = {arg: a_basket(dice) if of == "basket" else dice.choice(of) for arg, of in action.choices.items()}
        if action.needs(life):
            return name, given


# --- One life ---------------------------------------------------------------------------------------------------------


@dataclass
class History:
    """What was done, what came of it, and the first thing that was wrong, if any."""

    did: list[str] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    books: Books | None = None
    """Of both sides, at the end."""
    _digest: Any = field(default_factory=hashlib.sha256)

    def add(self, what: object) -> None:
        self._digest.update(json.dumps(what, default=str, sort_keys=True).encode())

    @property
    def digest(self) -> str:
        """Equal for equal histories: every step, every state after it, every message of both sides."""
        return str(self._digest.hexdigest())

    def told(self) -> str:
        return "; ".join([*self.wrongs[:3], *self.did])


def live(keys: Path, dice: random.Random, steps: int) -> History:
    """A life from its first order until all has come to rest, looked at after every step; nothing of it stays."""
    history = History()
    with ExitStack() as stack:
        stack.enter_context(transaction.atomic())
        stack.callback(transaction.set_rollback, True)
        stack.enter_context(seeded_secrets(random.Random(dice.random())))
        given = {
            "skew": dice.choice(SKEWS),
            "late_payment": dice.choice(POLICIES),
            "refund_window": dice.choice(WINDOWS),
        }
        world = stack.enter_context(new_world(keys, **given))
        witness, life = Witness(world), Life(world)
        basket, stage = a_basket(dice), dice.choice(STAGES)
        history.did.append(f"{given}, {basket} {stage}")
        life.begin(basket, stage)
        go_on(history, life, witness, dice, steps)
        history.add([tuple(row) for row in world.simulator.book.all("SELECT * FROM events ORDER BY seq")])
        history.books = witness.books
        count(history, world)
    return history


def go_on(history: History, life: Life, witness: Witness, dice: random.Random, steps: int) -> None:
    """Step by step while nothing is wrong, and then to rest."""
    world = life.world
    try:
        for _ in range(steps):
            name, given = drawn(dice, life)
            history.did.append(f"{name} {given}")
            getattr(life, name)(**given)
            history.wrongs = witness.look()
            history.add([name, state(witness.books), world.now()])
            history.counts["steps"] += 1
            if history.wrongs:
                return
        history.did.append("settle down")
        world.settle_down()
        history.wrongs = witness.look_at_the_end()
        history.add([state(witness.books), [str(call) for call in world.line.calls]])
    except AssertionError as error:
        history.wrongs.append(f"L0 {error}")


def count(history: History, world: World) -> None:
    accounts = world.simulator.money().values()
    history.counts.update(
        {
            "calls of the shop": len(world.line.calls),
            "notifies": len(world.arrived),
            "orders": len(world.orders),
            "paid": len(accounts),
            "refunds": sum(len(account["refunds"]) for account in accounts),
        }
    )


@contextmanager
def seeded_secrets(dice: random.Random) -> Iterator[None]:
    """Numbers and tokens that nobody can guess, for once from a seed: the same seed is the same history."""
    letters = string.ascii_letters + string.digits
    instead = {
        "token_hex": lambda size=32: f"{dice.getrandbits(8 * size):0{2 * size}x}",
        "token_urlsafe": lambda size=32: "".join(dice.choices(letters, k=size * 4 // 3)),
        "token_bytes": lambda size=32: dice.randbytes(size),
        "randbelow": dice.randrange,
    }
    with ExitStack() as stack:
        for name, function in instead.items():
            stack.enter_context(patch.object(secrets, name, function))
        yield
