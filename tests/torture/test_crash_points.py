"""T3 sees what a death has broken; and that a death breaks nothing."""

from functools import partial

import pytest

from tests.lifecycle import deaths
from tests.lifecycle.deaths import NEVER, ordered
from tests.lifecycle.pairs_of_deaths import Pairs
from torture.trial import Tally
from torture.trials import crash_points

pytestmark = pytest.mark.django_db(transaction=True)


PAIRS = 12
"""Of which about two would have had one death, had the second step been drawn from those of a whole operation."""


@pytest.fixture
def world():
    with crash_points.a_world() as made:
        yield made


def case_of(name):
    return crash_points.OPERATIONS.index(name)


def test_every_operation_has_its_case():
    assert len(crash_points.OPERATIONS) == len(set(crash_points.OPERATIONS)) == crash_points.TRIAL.long
    assert set(crash_points.OPERATIONS) > set(deaths.SCENES)


def test_death_at_any_step_of_a_notify_is_no_violation():
    tally = Tally()
    crash_points.run([case_of("notify")], 7, tally)
    assert tally.violations == []
    assert tally.counts["deaths in notify"] >= 9


def test_a_pair_of_deaths_is_no_violation_and_each_pair_has_two():
    tally = Tally()
    crash_points.run_pairs(range(PAIRS), 7, tally)
    assert tally.violations == []
    assert tally.counts["pairs with a second death"] == tally.done == PAIRS


def test_a_pair_with_one_death_is_a_violation(monkeypatch):
    """The second step is beyond the run that mends the first."""
    monkeypatch.setattr(Pairs, "mending_steps", lambda pairs, name, first: NEVER)
    tally = Tally()
    crash_points.run_pairs(range(1), 7, tally)
    assert [wrong for wrong in tally.violations if wrong.endswith(": 1 deaths")]


def test_nothing_that_others_left_is_counted_as_mending(world):
    """An order of an earlier scene whose time ends meanwhile."""
    pairs = Pairs(world)
    alone = pairs.mending_steps("found_paid", 1)
    pairs.mending.clear()
    ordered(world)
    assert pairs.mending_steps("found_paid", 1) == alone


@pytest.mark.parametrize("name", ["notify", "refund_order"])
def test_control_without_transactions_the_trial_reports_it(monkeypatch, name):
    naked = partial(deaths.enumerate_deaths, protection=deaths.no_transaction)
    monkeypatch.setattr(deaths, "enumerate_deaths", naked)
    tally = Tally()
    crash_points.run([case_of(name)], 7, tally)
    assert [wrong for wrong in tally.violations if f"{name}: step" in wrong]
    assert not [wrong for wrong in tally.violations if f"{name}: step 1:" in wrong]
