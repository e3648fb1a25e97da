"""Notifies arrive in any order and more than once: whatever the order, the books end alike.

The notifies are the simulator's own, taken from the trade as it went; only then does the first of them arrive. Some of
the sets; the torture trial T8 takes all of them, and longer ones.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from math import factorial

import pytest
from django.db import transaction

from backend.courses.models import Enrollment
from backend.orders.models import Order, OrderEvent
from backend.payments.models import Payment, Refund
from tests.lifecycle.invariants import Memory, dump
from tests.lifecycle.world import undone

HALF, REST = 5600, 10_000


def paid(world, number, trade):
    assert world.buy(trade)


def in_parts(*amounts):
    def story(world, number, trade):
        paid(world, number, trade)
        for amount in amounts:
            world.wait(4)
            assert world.console_refund(trade, amount)

    return story


def finished(world, number, trade):
    in_parts(HALF)(world, number, trade)
    world.wait(7 * 3600)  # the refund window is over


def never_paid(world, number, trade):
    assert world.scan(world.visit(trade))
    assert world.console_close(trade)


STORIES = {
    "paid, and both copies of it": (paid, 2, ["TRADE_SUCCESS"]),
    "a part refunded": (in_parts(HALF), 1, ["TRADE_SUCCESS", "TRADE_SUCCESS"]),
    "refunded in full": (in_parts(HALF + REST), 1, ["TRADE_SUCCESS", "TRADE_CLOSED"]),
    "refunded in three parts": (in_parts(100, HALF - 100, REST), 1, ["TRADE_SUCCESS"] * 3 + ["TRADE_CLOSED"]),
    "two parts and the end of the refund window": (finished, 1, ["TRADE_SUCCESS"] * 2 + ["TRADE_FINISHED"]),
    "closed, never paid": (never_paid, 2, ["TRADE_CLOSED"]),
}


def notifies_of(world, story, copies):
    """A trade's whole life, and all it tells of itself: nothing has arrived yet."""
    made = world.create(0, [0, 1])["order"]
    story(world, made["id"], made["outTradeNo"])
    mail = world.collect()
    world.mail = []
    sent = [replace(outgoing, copy=copy) for outgoing in mail for copy in range(copies)]
    return [*sent, replace(sent[0], copy=9)][:5]


def statuses(world, notifies):
    return [dict(pair.split("=") for pair in one.form.split("&"))["trade_status"] for one in notifies]


class Every:
    """Every order of some notifies: those with the same beginning share it. Each is undone when it has been judged."""

    def __init__(self, world, witness, after=None):
        self.world, self.witness, self.after = world, witness, after
        self.ends, self.wrongs, self.orders = {}, [], 0

    def order_of(self, notifies, arrived=()):
        if not notifies:
            self.judge(arrived)
        for place, one in enumerate(notifies):
            with undone(self.world):
                assert self.world.post(one)[1] == b"success"
                if len(arrived) + 1 == self.after:
                    self.work()
                self.order_of([*notifies[:place], *notifies[place + 1 :]], (*arrived, one))
        return self

    def work(self):
        """The jobs, a minute later; the clock is put back with the rest."""
        before = self.world.now()
        self.world.clock.move_to(before + timedelta(minutes=1))
        self.world.jobs()
        self.world.clock.move_to(before)

    def judge(self, arrived):
        self.orders += 1
        self.work()
        self.wrongs += self.witness.look()
        self.witness.memory = Memory()
        self.ends.setdefault(repr(dump(self.world.simulator)), statuses(self.world, arrived))


@pytest.mark.parametrize("name", ["a part refunded", "refunded in full", "two parts and the end of the refund window"])
def test_every_order_of_the_notifies_ends_alike(make_world, name):
    story, copies, expected = STORIES[name]
    world, witness = make_world(refund_window=6 * 3600)
    notifies = notifies_of(world, story, copies)
    told = [status for status in statuses(world, notifies) if status != "WAIT_BUYER_PAY"]
    assert sorted(set(told)) == sorted(set(expected))
    every = Every(world, witness).order_of(notifies)
    assert every.wrongs == []
    assert len(every.ends) == 1, every.ends
    assert every.orders == factorial(len(notifies)) >= 24


def lives(world, *, ours: bool):
    """A trade paid, refunded in part by us and in full at the console; ours is known to us as pending, or done."""
    made = world.create(0, [0, 1])["order"]
    number, trade = made["id"], made["outTradeNo"]
    assert world.buy(trade)
    first = world.collect()[:]
    while world.collect():
        world.deliver()
    assert world.refund(number, HALF)["__typename"] == "RefundOrderSuccess"
    if ours:  # Alipay has done it, and its answer was lost
        world.simulator.fault("alipay.trade.refund", "timeout_after")
    else:
        world.simulator.fault("alipay.trade.refund", "timeout_before")
    world.jobs()
    assert Refund.objects.get().status == "PENDING"
    world.wait(1)
    assert world.console_refund(trade, 100)
    world.wait(1)
    assert world.console_refund(trade, 200)
    mail = world.collect()[:]
    world.mail = []
    return [*first[-1:], *mail, mail[-1]][:4]


@pytest.mark.parametrize(("ours", "after"), [(True, 1), (False, 2)], ids=["ours was done", "ours was not heard"])
def test_with_a_refund_of_ours_under_way_every_order_ends_alike(make_world, ours, after):
    """Wherever among the notifies the jobs come, who ask, and call again where Alipay has not heard."""
    world, witness = make_world()
    notifies = lives(world, ours=ours)
    every = Every(world, witness, after).order_of(notifies)
    assert every.wrongs == []
    assert len(every.ends) == 1, every.ends
    assert every.orders == factorial(len(notifies)) >= 24
    assert "'SUCCEEDED'" in next(iter(every.ends))
    assert "'PENDING'" not in next(iter(every.ends))


def test_control_a_shop_that_takes_the_last_word_for_the_truth_is_found_out(make_world, monkeypatch):
    """Sabotage: a report sets the sum, where it may only let it grow."""
    from backend.payments import refunds, trades

    def last_word(payment, *, reported_fen, out_request_no, now):
        payment.reported_refund_fen = reported_fen
        Payment.objects.filter(pk=payment.pk).update(reported_refund_fen=reported_fen)
        return True

    monkeypatch.setattr(trades, "take_in_report", last_word)
    world, _ = make_world()
    notifies = [one for one in notifies_of(world, in_parts(100, HALF), 1) if "refund_fee" in one.form]
    ends = set()
    for order in permutations(notifies):
        with transaction.atomic():
            for one in order:
                world.post(one)
            ends.add(repr(dump(world.simulator)))
            transaction.set_rollback(True)
    assert refunds.take_in_report is not last_word
    assert len(ends) > 1
    assert not Enrollment.objects.exists()
    assert Order.objects.get().status == "UNPAID"
    assert OrderEvent.objects.count() == 1
