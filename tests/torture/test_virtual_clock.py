"""The trials on the virtual clock: a few cases of each are clean, and each is red where the shop has a mistake."""

import os
import subprocess
import sys
from random import Random

import pytest

from backend.payments.models import Payment
from tests.lifecycle.lives import live
from torture import plan
from torture.evidence import ROOT
from torture.trial import Tally

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def tried(name, *cases, seed=1):
    tally = Tally()
    plan.load(name).run(cases, seed, tally)
    return tally


@pytest.mark.parametrize(
    ("name", "cases"), [("T1", [0]), ("T8", [1, 14]), ("T12", [0, 1]), ("T17", [0, 1]), ("T20", [0])]
)
def test_a_few_cases_are_clean_and_leave_nothing_behind(name, cases):
    tally = tried(name, *cases)
    assert tally.violations == []
    assert tally.done == len(cases)
    assert sum(tally.counts.values()) >= len(cases)
    assert not Payment.objects.exists()


def test_one_seed_is_one_history_and_another_is_another(keys):
    first = live(keys, Random("7/3"), 6)
    assert live(keys, Random("7/3"), 6).digest == first.digest
    assert live(keys, Random("7/4"), 6).digest != first.digest


def history_in_a_process(keys, hash_seed):
    program = (
        "import django; django.setup()\n"
        "from random import Random\nfrom pathlib import Path\n"
        "from torture.worker import fill_memory\nfrom tests.lifecycle.lives import live\n"
        f"fill_memory()\nprint(live(Path({str(keys)!r}), Random('7/3'), 6).digest)"
    )
    environment = {**os.environ, "DATABASE_URL": "sqlite:///:memory:", "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_one_seed_is_one_history_in_another_process_too(keys):
    """As a replay has it: a new process, a new database. (Here the keys of rows depend on the tests before.)"""
    assert history_in_a_process(keys, "1") == history_in_a_process(keys, "99")


def by_the_clock_on_the_wall(moment):
    """As the machine is set up, where it must be Beijing's time."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


MISTAKES = {
    "T1": ("backend.orders.lifecycle.end_access", lambda *args, **more: None, [1]),
    "T8": ("backend.payments.trades._was_paid", lambda trade: False, [2]),
    "T12": ("backend.payments.watch.end_order", lambda *args: None, range(2)),
    "T17": ("backend.payments.providers.alipay.beijing_text", by_the_clock_on_the_wall, range(2)),
    "T20": ("torture.trials.rebuilt.i12_audit", lambda books: [], [0]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_a_violation_with_its_case(monkeypatch, name):
    target, instead, cases = MISTAKES[name]
    monkeypatch.setattr(target, instead)
    tally = tried(name, *cases)
    assert tally.violations
    assert all(text.startswith("case ") for text in tally.violations)
