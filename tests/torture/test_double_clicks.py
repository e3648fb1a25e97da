"""T9 sees a course in two unpaid orders; and a buyer's clicks come to one."""

from functools import partial

import pytest

from tests.concurrency import child, sabotage
from torture import crowd as crowds
from torture.crowd import crowd
from torture.trial import Tally
from torture.trials import double_clicks

pytestmark = pytest.mark.django_db(transaction=True)


def naked(work):
    return partial(child.sabotaged, partial(crowds.at_the_meeting, sabotage.no_buyer_lock), work)


def overlapping(luck, stock, size):
    return [double_clicks.asked_for(basket, None) for basket in (stock[:2], stock[1:])]


def test_a_few_storms_come_to_one_order_each():
    tally = Tally()
    with crowd(3) as people:
        double_clicks.race_all(range(4), 7, tally, people)
    assert tally.violations == []
    assert (tally.done, tally.counts["createOrders"]) == (4, 24)


def test_control_without_the_buyers_lock_the_trial_reports_it(monkeypatch):
    monkeypatch.setattr(double_clicks, "STORMS", 1)
    tally = Tally()
    with crowd(2) as people:
        double_clicks.race_all(range(1), 7, tally, people, naked, overlapping)
    assert [wrong for wrong in tally.violations if "is in two unpaid orders" in wrong]
