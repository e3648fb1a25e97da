"""Single rows of a bill that are easily taken for something else: near midnight, of other shops, under way."""

from datetime import timedelta

import pytest
from django.test import override_settings

from backend.orders.models import Order
from backend.payments import jobs
from backend.payments.models import Bill, Discrepancy, Payment, Refund
from tests.bills.days import (
    DAY,
    compare_now,
    counts,
    deaf,
    findings,
    morning_after,
    refund,
    sold,
    sold_untold,
    spoil,
    tables,
    wait_until,
)


@pytest.mark.parametrize(("ahead", "billed"), [(0, (1, 1)), (300, (0, 2)), (-300, (2, 0))])
def test_what_happens_around_midnight_is_missed_by_neither_bill(make_world, ahead, billed):
    """Two orders and their refunds, three minutes before midnight and after it; Alipay's clock is five minutes off."""
    world, witness = make_world(skew=ahead)
    next_day = DAY + timedelta(days=1)
    numbers = []
    for day, hour, minute in ((DAY, 23, 57), (next_day, 0, 3)):
        wait_until(world, day, hour, minute)
        number, _ = sold(world)
        refund(world, number, 100)
        jobs.REFUNDS.run()
        numbers.append(number)
    summaries = []
    for day in (DAY, next_day):
        wait_until(world, day + timedelta(days=1), 10, 45)
        jobs.BILLS.run()
        summaries.append(Bill.objects.get(day=day).summary)
    assert tuple(summary.get("payments", 0) for summary in summaries) == billed
    assert tuple(summary.get("refunds", 0) for summary in summaries) == billed
    assert Discrepancy.objects.count() == 0
    assert not Payment.objects.filter(billed_on=None).exists()
    assert not Refund.objects.filter(billed_on=None).exists()
    assert witness.look() == []


def test_a_payment_shortly_before_midnight_that_no_bill_has_is_missed_in_the_next(make_world):
    world, _ = make_world()
    sold(world)
    wait_until(world, DAY, 23, 57)
    _, trade = sold(world)
    spoil(world, "row_missing", trade)
    morning_after(world)
    assert counts(compare_now()) == {}
    sold(world)
    morning_after(world, DAY + timedelta(days=1))
    assert counts(compare_now(DAY + timedelta(days=1))) == {"missing there": 1}
    assert findings() == {trade: ["missing there"]}


@pytest.mark.parametrize(("value", "kinds"), [("other_shop_1", []), ("0" * 32, ["unknown order"])])
def test_other_shops_orders_of_the_same_account(make_world, value, kinds):
    world, _ = make_world()
    sold(world)
    spoil(world, "foreign_row", value=value)
    morning_after(world)
    with override_settings(BILL_FOREIGN_ORDERS="ignore"):
        summary = compare_now()
    assert (summary.foreign, findings().get(value, [])) == (1 - len(kinds), kinds)


def test_a_row_with_another_amount_still_brings_in_what_is_missing_here(make_world):
    world, witness = make_world()
    number, trade = sold_untold(world)
    spoil(world, "amount_changed", trade)
    morning_after(world)
    summary = compare_now()
    assert (Order.objects.get(number=number).status, summary.repaired) == ("PAID", 1)
    assert counts(summary) == {"missing here": 1, "amount differs": 1}
    assert findings() == {trade: ["amount differs"]}
    before = tables()
    assert counts(compare_now()) == {"amount differs": 1}
    assert tables() == before
    assert witness.look() == []


def test_a_console_refund_while_one_of_ours_is_under_way_is_booked_when_that_has_ended(make_world):
    world, witness = make_world()
    number, trade = sold(world)
    deaf(world, trade)
    assert world.console_refund(trade, 1000)
    morning_after(world)
    ours = refund(world, number, 500)
    summary = compare_now()
    assert (counts(summary), summary.repaired) == ({"refund differs": 1}, 1)
    assert Payment.objects.get(out_trade_no=trade).refunded_fen == 0
    jobs.REFUNDS.run()
    ours.refresh_from_db()
    assert (ours.status, Payment.objects.get(out_trade_no=trade).refunded_fen) == ("SUCCEEDED", 1500)
    assert witness.look() == []
