"""T6 sees a payment that was had twice; and whole books are no violation."""

from functools import partial

import pytest

from tests.concurrency import child, sabotage
from torture import crowd as crowds
from torture.crowd import crowd
from torture.trial import Tally
from torture.trials import duplicates

pytestmark = pytest.mark.django_db(transaction=True)


def naked(work):
    return partial(child.sabotaged, partial(crowds.at_the_meeting, sabotage.no_lock_and_no_guard), work)


def test_a_few_duplicates_are_had_once():
    tally = Tally()
    with crowd(3) as people:
        duplicates.race_all(range(3), 7, tally, people)
    assert tally.violations == []
    assert (tally.done, tally.counts["notifies"]) == (3, 9)


def test_control_without_lock_and_guard_the_trial_reports_it():
    tally = Tally()
    with crowd(2) as people:
        duplicates.race_all(range(1), 7, tally, people, naked)
    assert "case 0: PAID: order.paid events: 2, not 1" in tally.violations
