"""T3 sees what a death has broken; and that a death breaks nothing."""

from functools import partial

import pytest

from tests.lifecycle import deaths
from torture.trial import Tally
from torture.trials import crash_points

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_a_pair_of_deaths_is_no_violation():
    tally = Tally()
    crash_points.run_pairs(range(2), 7, tally)
    assert tally.violations == []
    assert tally.done == 2


@pytest.mark.parametrize("name", ["notify", "refund_order"])
def test_control_without_transactions_the_trial_reports_it(monkeypatch, name):
    naked = partial(deaths.enumerate_deaths, protection=deaths.no_transaction)
    monkeypatch.setattr(deaths, "enumerate_deaths", naked)
    tally = Tally()
    crash_points.run([case_of(name)], 7, tally)
    assert [wrong for wrong in tally.violations if f"{name}: step" in wrong]
    assert not [wrong for wrong in tally.violations if f"{name}: step 1:" in wrong]
