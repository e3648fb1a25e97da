"""Each day's bill is asked for by itself: announced in time, tried until it is there, by one worker at a time."""

from datetime import date, timedelta

import pytest

from backend.payments import bills, jobs
from backend.payments.models import Bill, Discrepancy, Payment
from backend.payments.pruning import prune
from tests.bills.days import (
    DAY,
    compare_now,
    findings,
    morning_after,
    refund,
    rows,
    sold,
    sold_untold,
    tables,
    wait_until,
)

DAYS = [DAY + timedelta(days=n) for n in range(40)]


def go_on(world, *, until):
    """Every try as it comes due, up to a time; the minutes between two tries."""
    pauses = []
    while (due := Bill.objects.exclude(next_try_at=None).order_by("next_try_at").first()) and due.next_try_at <= until:
        wait = max(0.0, (due.next_try_at - world.now()).total_seconds())
        world.wait(wait)
        pauses.append(round(wait / 60))
        assert jobs.BILLS.run() == 1
    return pauses


def try_to_the_end(world, bill):
    """Every try of one bill as it comes due; until the last one people hear nothing."""
    for _ in range(100):
        bill.refresh_from_db()
        if bill.next_try_at is None:
            return
        assert not Discrepancy.objects.exists()
        world.wait(max(0.0, (bill.next_try_at - world.now()).total_seconds()))
        bills.try_bill(bill.pk)
    raise AssertionError("it is tried for ever")


@pytest.mark.parametrize(("hour", "minute", "second", "announced"), [(10, 29, 59, 0), (10, 30, 0, 1)])
def test_yesterdays_bill_is_announced_at_half_past_ten_in_beijing(make_world, hour, minute, second, announced):
    world, _ = make_world()
    sold(world)
    wait_until(world, DAYS[1], hour, minute, second)
    assert jobs.BILLS.run() == announced
    assert rows() == [(DAY, "DONE")] * announced
    assert jobs.BILLS.run() == 0


def test_there_is_no_bill_before_the_shops_first_day_and_none_of_a_shop_that_sold_nothing(make_world):
    world, _ = make_world()
    world.wait(86400)
    jobs.BILLS.run()
    assert rows() == []
    sold(world)
    world.wait(2 * 86400)
    jobs.BILLS.run()
    assert [day for day, _ in rows()] == DAYS[1:3]


def test_days_that_were_missed_are_caught_up_with(make_world):
    world, _ = make_world()
    sold(world)
    wait_until(world, DAYS[5], 10, 31)
    jobs.BILLS.run()
    assert [day for day, _ in rows()] == DAYS[:5]
    assert rows()[0] == (DAY, "DONE")


def test_a_bill_that_was_asked_for_by_hand_hides_no_missed_day(make_world):
    world, _ = make_world()
    sold(world)
    wait_until(world, DAYS[5], 9, 30)
    for day in (DAYS[4], DAYS[2]):
        bills.take(day)
    wait_until(world, DAYS[5], 10, 31)
    jobs.BILLS.run()
    assert [day for day, _ in rows()] == DAYS[:5]


def test_after_a_long_pause_the_last_31_days(make_world):
    world, _ = make_world()
    sold(world)
    wait_until(world, DAYS[39], 10, 31)
    bills.announce()
    assert [day for day, _ in rows()] == DAYS[8:39]


def test_a_day_without_trades_is_done_after_a_day(make_world):
    world, _ = make_world()
    sold(world)
    morning_after(world)
    jobs.BILLS.run()
    morning_after(world, DAYS[1])
    jobs.BILLS.run()
    empty = Bill.objects.get(day=DAYS[1])
    assert (empty.status, empty.outcome) == ("WAITING", "isp.bill_not_exist: not made yet, or no trades that day")
    begun = world.now()
    pauses = go_on(world, until=begun + timedelta(hours=23, minutes=59))
    assert pauses == [10, 20, 40, 80, *[120] * 10]
    empty.refresh_from_db()
    assert empty.status == "WAITING"
    world.wait((empty.next_try_at - world.now()).total_seconds())
    bills.try_bill(empty.pk)
    empty.refresh_from_db()
    assert (empty.status, empty.outcome, empty.next_try_at) == ("DONE", "no trades on that day", None)
    assert findings() == {}


@pytest.mark.parametrize("what", ["payment", "refund"])
def test_no_bill_of_a_day_on_which_money_moved_is_for_people(make_world, what):
    """It is asked for with a back-off, for three days."""
    world, _ = make_world()
    day = DAY
    number, _ = sold(world)
    if what == "refund":
        morning_after(world)
        jobs.BILLS.run()
        refund(world, number, 100)
        jobs.REFUNDS.run()
        day = DAYS[1]
    world.simulator.book.run("DROP TRIGGER events_are_never_removed")
    world.simulator.book.run("DELETE FROM events WHERE at >= ?", world.now().timestamp() - 60)
    morning_after(world, day)
    begun = world.now()
    bills.announce()
    bill = Bill.objects.get(day=day)
    try_to_the_end(world, bill)
    assert (bill.status, bill.outcome[:18]) == ("GIVEN_UP", "isp.bill_not_exist")
    assert timedelta(days=3) < world.now() - begun <= timedelta(days=3, hours=2)
    found = Discrepancy.objects.get()
    assert (found.kind, found.key) == ("no bill", f"no-bill:alipay:{day}")


UNREADABLE = {
    "truncated": "the zip is broken: BadZipFile",
    "utf8": "not GBK",
    "no_footer": "the table stops before its end",
    "cut_csv": "cells under 25 columns",
    "expired": "3 URLs for the bill, and no bill at any of them: HTTP 200 at the last",
    "html_200": "3 URLs for the bill",
    "empty": "3 URLs for the bill",
    "http_500": "the download failed: BadStatus",
    "timeout_before": "the download failed: TimeoutError",
    "stall": "the download failed: TimeoutError",
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_bill_that_cannot_be_read_is_tried_again_and_given_up_after_three_days(make_world, kind):
    world, _ = make_world()
    _, trade = sold_untold(world)
    world.simulator.fault("bill", kind, times=10_000)
    morning_after(world)
    jobs.BILLS.run()
    bill = Bill.objects.get()
    assert (bill.status, bill.times_tried, bill.compared_at) == ("WAITING", 1, None)
    assert UNREADABLE[kind] in bill.outcome
    begun = bill.since
    try_to_the_end(world, bill)
    assert world.now() - begun > timedelta(days=3)
    assert (bill.status, bill.next_try_at) == ("GIVEN_UP", None)
    found = Discrepancy.objects.get()
    assert (found.kind, UNREADABLE[kind] in found.detail) == ("no bill", True)

    # The operator's word: it is looked at once more, and now it is there.
    world.simulator.faults.clear()
    bills.compare_again(bill)
    assert jobs.BILLS.run() >= 1
    bill.refresh_from_db()
    assert (bill.status, bill.outcome) == ("DONE", "")
    assert Payment.objects.get(out_trade_no=trade).status == "PAID"


@pytest.mark.parametrize(("kind", "times"), [("expired", 2), ("html_200", 1), ("empty", 2)])
def test_a_url_that_is_dead_on_arrival_is_asked_for_anew_at_once(make_world, kind, times):
    world, _ = make_world()
    sold(world)
    world.simulator.fault("bill", kind, times=times)
    morning_after(world)
    jobs.BILLS.run()
    assert rows() == [(DAY, "DONE")]


def test_what_was_found_before_the_bill_broke_off_stays(make_world):
    """Its rows come one by one, and the end is seen last: the signed answers of those before it hold."""
    world, witness = make_world()
    _, trade = sold_untold(world)
    world.simulator.fault("bill", "no_footer")
    morning_after(world)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr("backend.payments.reconciliation.CHUNK", 1)
        jobs.BILLS.run()
    assert rows() == [(DAY, "WAITING")]
    assert Payment.objects.get(out_trade_no=trade).status == "PAID"
    assert findings() == {}
    assert witness.look() == []


def test_comparing_again_changes_nothing_but_the_bill(make_world):
    world, _ = make_world()
    sold(world)
    sold_untold(world)
    morning_after(world)
    jobs.BILLS.run()
    before, bill = tables(), Bill.objects.get()
    world.wait(3600)
    bills.compare_again(bill)
    assert (rows(), Bill.objects.get().times_tried) == ([(DAY, "WAITING")], 0)
    jobs.BILLS.run()
    assert rows() == [(DAY, "DONE")]
    assert Bill.objects.get().compared_at > bill.compared_at
    assert tables() == before


def test_bills_are_kept_for_ever(make_world):
    world, _ = make_world()
    sold(world)
    morning_after(world)
    compare_now()
    world.wait(400 * 86400)
    while prune():
        pass
    assert rows() == [(date(2026, 11, 23), "DONE")]
