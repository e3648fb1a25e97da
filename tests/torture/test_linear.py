"""Whether a history of one order is linearisable: what is legal is found to be so, and what is not is told."""

from itertools import combinations, permutations
from random import Random

import pytest

from tests.torture.told import CREATE, HEAR, LEGAL, PAY, READS, REFUSED, WRONG, history, some_history
from torture import linear
from torture.linear import MODEL, NOTHING, Operation, legal_order, wrong_with


@pytest.mark.parametrize("what", LEGAL)
def test_a_legal_history_has_a_legal_order(what):
    assert wrong_with(history(*LEGAL[what])) == ""
    assert legal_order(history(*LEGAL[what])) is not None


@pytest.mark.parametrize("what", WRONG)
def test_a_history_that_no_order_explains_is_told(what):
    assert "no legal order of [" in wrong_with(history(*WRONG[what]))
    assert legal_order(history(*WRONG[what])) is None


def test_the_only_order_of_what_overlaps_is_found():
    paid, unpaid = Operation("read", 5, 50, "PAID"), Operation("read", 6, 49, "UNPAID")
    cancel = Operation("cancel", 4, 51, REFUSED)
    made, pay, heard, never = history(CREATE, PAY, HEAR, ("cancel", 60))
    order = legal_order([cancel, paid, unpaid, heard, pay, never, made])
    assert order in [
        (made, *first, heard, *second)
        for first in permutations([unpaid, pay])
        for second in permutations([cancel, paid])
    ]


def test_what_is_said_of_a_wrong_history_can_be_read():
    assert wrong_with(history(CREATE, ("read", 0.005, 0.0075, "PAID"), ("cancel", 0.006))) == (
        "no legal order of [create 0.0 to 1000.0 Created(number='1', status='UNPAID', replayed=False);"
        " read 5.0 to 7.5 PAID; cancel 6.0 to unknown]: none goes on after [create, cancel] with"
        " State(number='1', status='CANCELLED', paid=False, refunded='', shut=False)"
    )


# --- The search against a simpler one --------------------------------------------------------------------------------


def is_legal_by_trying_all(operations):
    """Every order of every choice of those without an answer."""
    known = [one for one in operations if one.is_known]
    unknown = [one for one in operations if not one.is_known]
    chosen = [few for count in range(len(unknown) + 1) for few in combinations(unknown, count)]
    return any(explains(order) for few in chosen for order in permutations([*known, *few]))


def explains(order):
    if any(late.answered < early.called for place, early in enumerate(order) for late in order[place + 1 :]):
        return False
    states = {NOTHING}
    for one in order:
        states = {after for state in states for after in MODEL[one.kind](state, one.answer)}
    return bool(states)


def test_the_search_finds_what_trying_all_orders_finds():
    chance, verdicts = Random(7), []
    for _ in range(600):
        operations = [one for one in some_history(chance, 16) if one.is_known or one.kind not in READS][:6]
        verdicts.append(legal_order(operations) is not None)
        assert verdicts[-1] == is_legal_by_trying_all(operations), operations
    assert min(verdicts.count(True), verdicts.count(False)) > 60


def test_nothing_is_tried_twice_from_the_same_place(monkeypatch):
    """Nine that overlap have 362,880 orders and 512 choices of what is done."""
    asked, read = [], linear.read
    monkeypatch.setitem(linear.MODEL, "read", lambda state, answer: asked.append(answer) or read(state, answer))
    assert wrong_with(history(CREATE, *[("read", 2, 3, "UNPAID")] * 9, ("read", 2, 3, "PAID")))
    assert len(asked) < 10 * 2**9
