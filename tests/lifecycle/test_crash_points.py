"""kill -9 at every database statement, commit and gateway call of the jobs and of the requests: the next one ends where
no death had. See deaths.py. CRASH_PAIRS: how often a second death comes in the run that was to mend the first.
"""

import os
import random

import pytest

from tests.lifecycle.deaths import (
    JOBS,
    SCENES,
    aftermath,
    enumerate_deaths,
    no_transaction,
    outlasting_world,
)
from tests.lifecycle.invariants import Witness
from tests.lifecycle.pairs_of_deaths import Pairs

pytestmark = pytest.mark.django_db(transaction=True)

PAIRS = int(os.environ.get("CRASH_PAIRS", "4"))


@pytest.fixture
def outlasting(keys, tmp_path):
    with outlasting_world(keys, tmp_path / "alipay") as world:
        yield world


@pytest.mark.parametrize("name", [job.__name__ for job in JOBS])
def test_death_at_any_step_of_the_jobs_changes_nothing_in_the_end(outlasting, name):
    report = enumerate_deaths(outlasting, SCENES[name])
    assert report.wrongs == []
    assert report.deaths == report.steps + 1 >= 20
    assert Witness(outlasting).look() == []


@pytest.mark.parametrize("name", ["close", "cancelled_and_paid"])
def test_a_second_death_in_the_run_that_mends_the_first(outlasting, name):
    dice, pairs = random.Random(7), Pairs(outlasting)
    steps, expected = pairs.steps_of(name)
    for _ in range(PAIRS):
        first = dice.randint(1, steps)
        died, _, scene = pairs.die(name, first, dice.randint(1, pairs.mending_steps(name, first)))
        assert died == 2
        assert aftermath(scene, expected) == []
    assert Witness(outlasting).look() == []


def test_control_without_transactions_some_deaths_show(outlasting):
    report = enumerate_deaths(outlasting, SCENES["found_paid"], no_transaction)
    assert report.wrongs
    assert not [wrong for wrong in report.wrongs if wrong.startswith("step 1:")]
