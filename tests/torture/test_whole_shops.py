"""The trials that torture a whole shop see a shop that is not sound. Each starts real servers."""

import time

import pytest

from backend.payments.models import Payment
from tests.concurrency.conftest import database_url
from torture import load, oracle, shoppers
from torture.processes import wait_until
from torture.trial import Tally
from torture.trials import databases, kills, wires

pytestmark = [pytest.mark.postgres, pytest.mark.live]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What never comes is not waited for."""
    for module in (shoppers, load):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 3)
    monkeypatch.setattr(oracle, "SETTLE_SECONDS", 3)


def taken_out(name):
    return f"tests.torture.taken_out:{name}"


ROUNDS = 10
"""Five deaths meet a notify that is half done in about four rounds of five: ten rounds are sure to."""


@pytest.mark.django_db(transaction=True)
def test_kills_find_a_delivery_that_a_death_lost():
    rounds = (violations_of_five_deaths(seed) for seed in range(ROUNDS))
    assert any(rule in wrong for found in rounds for wrong in found for rule in ("I2", "I3", "I8"))


def violations_of_five_deaths(seed):
    tally = Tally()
    sabotage = taken_out("transactions_on_a_slow_disk")
    kills.run(range(5), seed, tally, blow=kills.kill_all, url=database_url(), sabotage=sabotage)
    assert tally.done == tally.counts["kills"] == 5
    return tally.violations


@pytest.mark.django_db(transaction=True)
def test_histories_find_reads_that_are_not_fresh():
    """The books are right, and to a buyer who polls no status need go back."""
    tally = Tally()
    sabotage = taken_out("reads_that_are_fresh")
    kills.run([0], 7, tally, blow=lambda web, chance: time.sleep(3), url=database_url(), sabotage=sabotage)
    assert [wrong for wrong in tally.violations if "no legal order" in wrong], tally.violations


def test_crashes_find_a_commit_that_was_acknowledged_and_is_gone(django_db_blocker):
    """PostgreSQL that says yes before it has written anything down."""
    tally = Tally()
    options = ("synchronous_commit=off", "wal_writer_delay=10s")
    with django_db_blocker.unblock():  # the database is one that the trial starts
        databases.run(range(1), 7, tally, blow=crash_in_mid_sale, burst=1, options=options)
    assert [wrong for wrong in tally.violations if "I8" in wrong or "I3" in wrong], tally.violations


def crash_in_mid_sale(postgres, chance, tally):
    """As soon as Alipay has been told ``success`` a few times."""
    wait_until(lambda: Payment.objects.filter(status="PAID").count() >= 3, "orders to be paid")
    postgres.crash()
    postgres.restart()


@pytest.mark.django_db(transaction=True)
def test_bad_lines_find_a_shop_that_waits_for_redis(monkeypatch):
    monkeypatch.setattr(wires, "REDIS_SECONDS", 1.5)
    monkeypatch.setattr(wires, "POSTS", 0)
    (mode,) = [mode for mode in wires.MODES if mode.name == "Redis a black hole"]
    first = wires.MODES.index(mode) * wires.ORDERS
    tally = Tally()
    sabotage = taken_out("impatience_with_redis")
    wires.run([first], 7, tally, url=database_url(), sabotage=sabotage)
    assert f"case {first}: {mode.name}: an order had to wait for Redis" in tally.violations
