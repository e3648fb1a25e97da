"""kill -9 at every statement, commit, gateway call and download of a bill's comparison: the next run finishes it.

As tests/lifecycle/deaths.py has it, whose child dies here too. Each death has a day of its own.
"""

from contextlib import nullcontext
from datetime import timedelta
from itertools import count
from shutil import copytree

import pytest

from backend.courses.models import Enrollment
from backend.orders.models import Order, OrderEvent
from backend.payments import bills, jobs
from backend.payments.models import Bill, Discrepancy, Payment, Refund
from tests.bills.days import DAY, MANY, morning_after, order, wait_until
from tests.lifecycle.deaths import NEVER, Report, difference, no_transaction, run_jobs_and_die
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import new_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outlasting(keys, tmp_path, monkeypatch):
    """A world whose Alipay keeps its book in a file and sends no notifies; bills are its only jobs."""
    monkeypatch.setattr(jobs, "JOBS", (jobs.BILLS,))
    monkeypatch.setattr(bills, "LOOK_BACK", 1)  # so that every day has the same steps
    folder = tmp_path / "alipay"
    copytree(keys, folder)
    with new_world(folder, in_memory=False, seed=None, triggers=frozenset()) as world:
        carry = world.line.fetch

        def fetch(url, file, **limits):
            return world.line.around(None, lambda: carry(url, file, **limits))

        monkeypatch.setattr("backend.payments.providers.alipay_bill.fetch_file", fetch)
        world.line.days = count()
        yield world


def mixed_day(world):
    """A payment that we know with a refund that we do not, one that we do not know, one that no bill has, a foreigner.

    It is the morning after: the day, its orders and their trades.
    """
    number = next(world.line.days)
    day = DAY + timedelta(days=number)
    if number:
        wait_until(world, day, 12)
    world.simulator.faults.clear()
    known, lost, missing = [order(world, 0, 1), order(world, 0, 1), order(world, 2)]
    for _, trade in (known, missing):
        world.come_back(world.buy(trade))
    world.buy(lost[1])
    assert world.console_refund(known[1], 1000)
    world.simulator.fault("bill", "row_missing", out_trade_no=missing[1], times=MANY)
    world.simulator.fault("bill", "foreign_row", value=f"foreign_{number}", times=MANY)
    morning_after(world, day)
    return day, [known, lost, missing], f"foreign_{number}"


def state(a_day):
    """All that the day has come to, without times and keys."""
    day, bought, foreign = a_day
    orders = Order.objects.filter(number__in=[number for number, _ in bought])
    trades = [trade for _, trade in bought]
    payments = Payment.objects.filter(order__in=orders).order_by("pk")
    bill = Bill.objects.get(day=day)
    found = Discrepancy.objects.filter(out_trade_no__in=[*trades, foreign]).order_by("pk")
    return {
        "orders": list(orders.order_by("pk").values_list("status", flat=True)),
        "payments": [
            (row.status, row.refunding_fen, row.refunded_fen, row.billed_on and (row.billed_on - day).days)
            for row in payments
        ],
        "refunds": list(Refund.objects.filter(order__in=orders).values_list("cause", "status", "amount_fen")),
        "confirmed": list(payments.filter(billed_refunds__isnull=False).values_list("billed_refunds__amount_fen")),
        "events": sorted(OrderEvent.objects.filter(order__in=orders).values_list("name", flat=True)),
        "open": Enrollment.objects.open().filter(line__order__in=orders).count(),
        "discrepancies": [(row.kind, row.closed_at) for row in found],
        "bill": (bill.status, bill.next_try_at, bill.summary.get("payments"), bill.summary.get("refunds")),
    }


def mended(world, a_day):
    """The next runs, once the dead one's lease has lapsed."""
    for _ in range(2):
        world.wait(bills.LEASE.total_seconds())
        world.jobs()
    return state(a_day)


def enumerate_deaths(world, steps_to_try=None, protection=nullcontext):
    report = Report()
    a_day = mixed_day(world)
    died, report.steps = run_jobs_and_die(world, NEVER)
    assert not died
    expected = mended(world, a_day)
    for step in steps_to_try or range(1, report.steps + 2):
        a_day = mixed_day(world)
        last = step > report.steps
        died, _ = run_jobs_and_die(world, report.steps if last else step, "after" if last else "before", protection)
        report.deaths += died
        if (came_to := mended(world, a_day)) != expected:
            report.wrongs.append(f"step {step}: {difference(expected, came_to)}")
    return report, expected


def test_death_at_any_step_of_a_comparison_changes_nothing_in_the_end(outlasting):
    report, expected = enumerate_deaths(outlasting)
    assert report.wrongs == []
    assert report.deaths == report.steps + 1 >= 40
    assert expected["orders"] == ["PAID"] * 3
    assert expected["refunds"] == [("PROVIDER", "SUCCEEDED", 1000)]
    assert sorted(kind for kind, _ in expected["discrepancies"]) == ["missing there", "unknown order"]
    assert expected["bill"][0] == "DONE"
    assert Witness(outlasting).look() == []


def test_control_without_transactions_some_deaths_show(outlasting):
    report, _ = enumerate_deaths(outlasting, range(20, 60, 2), no_transaction)
    assert report.wrongs
