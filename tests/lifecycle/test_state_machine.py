"""Anything may happen in any order: after every step the invariants hold, and when the faults stop, all comes to rest.

Hypothesis searches, and makes small what it finds: CYCLES widens that (40 in the gate) and makes it random. Seeded
lives go deeper, because they are drawn evenly: WALKS lives from SEED on. STEPS is the length of a life.
"""

import os
import random
from contextlib import ExitStack

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend.courses.models import Course
from backend.payments.models import Payment
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import METHODS, new_world

CYCLES = int(os.environ.get("CYCLES", "40"))
WALKS = int(os.environ.get("WALKS", "40"))
FIRST_SEED = int(os.environ.get("SEED", "1"))
STEPS = int(os.environ.get("STEPS", "25"))
IN_THE_GATE = "CYCLES" not in os.environ
PICK, BUYER = st.integers(0, 11), st.integers(0, 1)
BASKET = st.sets(st.integers(0, 3), min_size=1)
STAGES = ("ordered", "visited", "scanned", "paid", "told")
FAULTS = (
    *("timeout_before", "timeout_after", "http_502", "code_20000", "system_error", "system_error_applied"),
    *("bad_signature", "wrong_key", "unsigned", "other_order", "truncated", "empty", "html_200", "not_json"),
)
DURATIONS = (0.5, 3, 5, 11, 61, 90, 600, 1790, 1800, 1925, 7200, 93_600)
SPENT = dict.fromkeys(("examples", "steps", "paid", "refunds", "calls", "notifies"), 0)


class Shop(RuleBasedStateMachine):
    keys = None

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(transaction.atomic())
        self.stack.callback(transaction.set_rollback, True)

    @initialize(
        skew=st.sampled_from((0, -100, 25)),
        late=st.sampled_from(("honour", "refund")),
        window=st.sampled_from((365 * 86400, 6 * 3600)),
        basket=BASKET,
        stage=st.sampled_from(STAGES),
    )
    def begin(self, skew, late, window, basket, stage):
        self.world = self.stack.enter_context(new_world(self.keys, skew=skew, late_payment=late, refund_window=window))
        self.witness = Witness(self.world)
        self.numbers = []
        for buyer in (0, 1):
            self.purchase(buyer, basket, None, stage)

    def teardown(self):
        try:
            if hasattr(self, "world"):
                self.world.settle_down()
                assert self.witness.look_at_the_end() == []
                self.count()
        finally:
            self.stack.close()

    def count(self):
        SPENT["examples"] += 1
        SPENT["calls"] += len(self.world.line.calls)
        SPENT["notifies"] += len(self.world.arrived)
        money = self.world.simulator.money()
        SPENT["paid"] += len(money)
        SPENT["refunds"] += sum(len(account["refunds"]) for account in money.values())

    @invariant()
    def nothing_is_wrong(self):
        if hasattr(self, "world"):
            SPENT["steps"] += 1
            assert self.witness.look() == []

    # --- The buyers ---------------------------------------------------------------------------------------------------

    @rule(buyer=BUYER, basket=BASKET, key=st.sampled_from((None, "a", "b")), as_far_as=st.sampled_from(STAGES))
    def purchase(self, buyer, basket, key, as_far_as):
        answer = self.world.create(buyer, sorted(basket), key=key)
        if answer["__typename"] != "CreateOrderSuccess":
            return
        if answer["order"]["id"] not in self.numbers:
            self.numbers.append(answer["order"]["id"])
        if as_far_as != "ordered" and answer["payUrl"]:
            self.at_the_cashier(self.world.visit(answer["order"]["outTradeNo"]), as_far_as)

    def at_the_cashier(self, visit, as_far_as):
        if visit and as_far_as in ("scanned", "paid", "told"):
            self.world.scan(visit)
        if visit and as_far_as in ("paid", "told"):
            self.world.pay(visit)
        if as_far_as == "told":
            self.world.deliver_all()

    @precondition(lambda self: self.world.urls)
    @rule(pick=PICK, as_far_as=st.sampled_from(STAGES))
    def visit(self, pick, as_far_as):
        """Any pay URL that was ever given out, also an old one of an order that has ended or is paid."""
        self.at_the_cashier(self.world.visit(self.one(list(self.world.urls)[::-1], pick)), as_far_as)

    @precondition(lambda self: self.world.visits)
    @rule(pick=PICK, as_far_as=st.sampled_from(STAGES[1:]))
    def go_on(self, pick, as_far_as):
        """At a cashier page that has been open for a while."""
        self.at_the_cashier(self.one(self.world.visits[::-1], pick), as_far_as)

    @precondition(lambda self: self.numbers)
    @rule(pick=PICK, what=st.sampled_from(("cancel", "cancel", "pay_order", "pay_order", "poll")))
    def at_the_order(self, pick, what):
        getattr(self.world, what)(self.one(self.numbers[::-1], pick))

    @precondition(lambda self: self.world.visits)
    @rule(pick=PICK)
    def come_back(self, pick):
        visit = self.one(self.world.visits, pick)
        if visit.out_trade_no in self.world.simulator.money():
            self.world.come_back(visit)

    @precondition(lambda self: self.world.visits)
    @rule(pick=PICK, minutes=st.sampled_from((1, 40, 1500)))
    def linger(self, pick, minutes):
        visit = self.one(self.world.visits, pick)
        if visit.out_trade_no not in self.world.deaf:
            self.world.linger(visit, 60 * minutes)

    @precondition(lambda self: self.world.urls)
    @rule(pick=PICK, lingers=st.booleans(), again=st.booleans(), wait=st.sampled_from((1, 60, 130)))
    def late_money(self, pick, lingers, again, wait):
        """At the cashier when the time is over, and it still pays; a course may have been bought anew meanwhile."""
        number = self.one(list(self.world.urls)[::-1], pick)
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
            self.purchase(buyer, [ids.index(pk) for pk in lines][:1], None, "told")
        self.at_the_cashier(visit, "paid")

    # --- Time and work ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(DURATIONS), work=st.booleans())
    def wait(self, seconds, work):
        self.world.wait(seconds)
        if work:
            self.world.jobs()

    # --- Notifies -----------------------------------------------------------------------------------------------------

    @rule(pick=PICK, arrives=st.sampled_from((True, True, False)))
    def mail(self, pick, arrives):
        if mail := self.world.collect():
            (self.world.deliver if arrives else self.world.lose)(pick % len(mail))

    @precondition(lambda self: self.world.arrived)
    @rule(pick=PICK)
    def repeat(self, pick):
        self.world.repeat(pick % len(self.world.arrived))

    @precondition(lambda self: self.world.urls)
    @rule(pick=PICK)
    def go_deaf(self, pick):
        """No notify of this trade will ever come: only asking helps. Not where asking cannot help either."""
        number = self.one(list(self.world.urls), pick)
        if number not in self.world.lingering and number not in self.world.simulator.money():
            self.world.deaf.add(number)
            self.world.simulator.book.run("UPDATE trades SET notify_url = '' WHERE out_trade_no = ?", number)

    # --- The operator and Alipay --------------------------------------------------------------------------------------

    @precondition(lambda self: self.numbers)
    @rule(pick=PICK, part=st.sampled_from((None, 1, 100, 3900, 11701)), close=st.booleans(), key=st.sampled_from("pqr"))
    def refund(self, pick, part, close, key):
        number = self.one(self.numbers[::-1], pick)
        courses = list(Course.objects.filter(order_lines__order__number=number).values_list("pk", flat=True))
        self.world.refund(number, part, key=key, closing=courses[:1] if close else None)

    @precondition(lambda self: self.world.simulator.money())
    @rule(pick=PICK, part=st.sampled_from((None, 100)), kind=st.sampled_from(FAULTS), meanwhile=st.booleans())
    def refund_in_a_storm(self, pick, part, kind, meanwhile):
        """Its answer is lost or spoilt, and so is the one to the question after it; somebody is at the console, too."""
        payment = Payment.objects.get(out_trade_no=self.one(list(self.world.simulator.money())[::-1], pick))
        for method in METHODS[2:]:
            self.world.simulator.fault(method, kind, out_trade_no=payment.out_trade_no)
        self.world.refund(payment.order.number, part)
        self.world.jobs()
        if meanwhile and payment.out_trade_no not in self.world.deaf:
            self.world.console_refund(payment.out_trade_no, 1)

    @precondition(lambda self: self.world.simulator.money())
    @rule(pick=PICK, part=st.sampled_from((1, 100, 3900, "all")))
    def console_refund(self, pick, part):
        number = self.one(list(self.world.simulator.money()), pick)
        if number not in self.world.deaf:  # a query says nothing of refunds
            left = self.world.simulator.trades.find(out_trade_no=number)
            amount = left.total_fen - left.refunded_fen if part == "all" else part
            self.world.console_refund(number, amount)

    @precondition(lambda self: self.world.urls)
    @rule(pick=PICK)
    def console_close(self, pick):
        self.world.console_close(self.one(list(self.world.urls), pick))

    @rule(method=st.sampled_from(METHODS), kind=st.sampled_from(FAULTS), times=st.integers(1, 3))
    def fault(self, method, kind, times):
        self.world.simulator.fault(method, kind, times=times)

    @rule(course=st.integers(0, 3), factor=st.sampled_from((1, 2)))
    def change_price(self, course, factor):
        row = self.world.courses[course]
        row.price_fen = row.price_fen * factor + 1
        row.save()

    @staticmethod
    def one(items, pick):
        return items[pick % len(items)]


# --- The same, drawn evenly from a seed -------------------------------------------------------------------------------

URLS, VISITS, NUMBERS, MONEY = (
    lambda shop: shop.world.urls,
    lambda shop: shop.world.visits,
    lambda shop: shop.numbers,
    lambda shop: shop.world.simulator.money(),
)
ALWAYS = lambda shop: True  # noqa: E731
PARTS = (None, 1, 100, 3900, 11701)
# weight, what it needs, and what may be given
ACTIONS = {
    "purchase": (4, ALWAYS, {"buyer": (0, 1), "basket": "basket", "key": (None, "a", "b"), "as_far_as": STAGES}),
    "visit": (2, URLS, {"as_far_as": STAGES}),
    "go_on": (2, VISITS, {"as_far_as": STAGES[1:]}),
    "at_the_order": (3, NUMBERS, {"what": ("cancel", "pay_order", "poll")}),
    "come_back": (1, VISITS, {}),
    "linger": (1, VISITS, {"minutes": (1, 40, 1500)}),
    "late_money": (2, URLS, {"lingers": (True, False), "again": (True, False), "wait": (1, 60, 130)}),
    "wait": (4, ALWAYS, {"seconds": DURATIONS, "work": (True, False)}),
    "mail": (3, ALWAYS, {"arrives": (True, True, False)}),
    "repeat": (1, lambda shop: shop.world.arrived, {}),
    "go_deaf": (1, URLS, {}),
    "refund": (2, NUMBERS, {"part": PARTS, "close": (True, False), "key": "pqr"}),
    "refund_in_a_storm": (2, MONEY, {"part": (None, 100), "kind": FAULTS, "meanwhile": (True, False)}),
    "console_refund": (1, MONEY, {"part": (1, 100, 3900, "all")}),
    "console_close": (1, URLS, {}),
    "fault": (2, ALWAYS, {"method": METHODS, "kind": FAULTS, "times": (1, 2, 3)}),
    "change_price": (1, ALWAYS, {"course": (0, 1, 2, 3), "factor": (1, 2)}),
}
WITHOUT_A_PICK = {"purchase", "wait", "fault", "change_price"}


def a_basket(dice):
    return set(dice.sample(range(4), dice.choice((1, 1, 2, 3))))


def walk(keys, seed):
    """One life; what it did, for whoever has to find out why it failed."""
    dice, did = random.Random(seed), []
    shop = type("ShopHere", (Shop,), {"keys": keys})()
    ended = False
    try:
        first = {"skew": dice.choice((0, -100, 25)), "late": dice.choice(("honour", "refund"))}
        window = dice.choice((365 * 86400, 365 * 86400, 6 * 3600))
        shop.begin(window=window, basket=a_basket(dice), stage=dice.choice(STAGES), **first)
        names, weights = list(ACTIONS), [weight for weight, _, _ in ACTIONS.values()]
        while len(did) < STEPS:
            name = dice.choices(names, weights)[0]
            _, needs, choices = ACTIONS[name]
            given = {key: a_basket(dice) if of == "basket" else dice.choice(of) for key, of in choices.items()}
            given |= {} if name in WITHOUT_A_PICK else {"pick": dice.choice((0, 0, 1, 2, 3, 5))}
            if not needs(shop):
                continue
            did.append(f"{name} {given}")
            getattr(shop, name)(**given)
            shop.nothing_is_wrong()
        ended = True
        shop.teardown()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {first}, step {len(did)}: {error}\n" + "\n".join(did)) from error
    finally:
        if not ended:
            shop.stack.close()


@pytest.mark.django_db
def test_seeded_lives_end_well(keys):
    before, spent = Payment.objects.count(), dict(SPENT)
    for seed in range(FIRST_SEED, FIRST_SEED + WALKS):
        walk(keys, seed)
    assert Payment.objects.count() == before, "a life has left rows behind"
    # They have been somewhere: money moved both ways, and the shop asked and was told.
    assert min(SPENT[name] - spent[name] for name in SPENT) >= WALKS, SPENT


@pytest.mark.django_db
def test_whatever_happens_the_invariants_hold_and_all_comes_to_rest(keys):
    assert Payment.objects.count() == 0
    machine = type("ShopHere", (Shop,), {"keys": keys})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=CYCLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=IN_THE_GATE,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if "CYCLES" in os.environ else (Phase.generate,),
            print_blob=not IN_THE_GATE,
        ),
    )
    assert Payment.objects.count() == 0, "an example has left rows behind"
    assert SPENT["steps"] >= 5 * CYCLES
    assert SPENT["calls"] >= CYCLES
