"""The bill of a day on which everything went wrong that can: found, named right, repaired through signed answers."""

from datetime import timedelta

from backend.courses.models import Course, Enrollment
from backend.orders.models import Order
from backend.payments import jobs
from backend.payments.models import Bill, BilledRefund, Payment, Refund
from backend.payments.refunds import fail
from tests.bills.days import (
    DAY,
    compare_now,
    counts,
    deaf,
    findings,
    morning_after,
    order,
    refund,
    refund_done_there,
    sold,
    sold_untold,
    spoil,
    tables,
)
from tests.lifecycle.world import QUERY, REFUND_QUERY


def late(world):
    """Money for an order that had timed out."""
    number, trade = order(world, 1)
    visit = world.visit(trade)
    world.linger(visit, 7200)
    for seconds in (1801, 130, 600):
        world.wait(seconds)
        jobs.PAYMENTS.run()
    assert Order.objects.get(number=number).status == "TIMED_OUT"
    deaf(world, trade)
    assert world.scan(visit)
    assert world.pay(visit)
    return number, trade


def cancelled(world):
    """Money for an order that its buyer had cancelled."""
    number, trade = order(world, 1)
    visit = world.visit(trade)
    assert world.scan(visit)
    assert world.cancel(number) == "CancelOrderSuccess"
    deaf(world, trade)
    assert world.pay(visit)
    return number, trade


def billed_tomorrow(world, trade):
    """Alipay counts it to the next day. Its book is append-only, so the test takes the lock off."""
    run = world.simulator.book.run
    run("DROP TRIGGER IF EXISTS events_are_never_changed")
    run("UPDATE events SET at = at + 86400 WHERE out_trade_no = ? AND amount_fen != 0", trade)


def status_of(number):
    return Order.objects.get(number=number).status


def open_courses(number):
    return Enrollment.objects.open().filter(line__order__number=number).count()


def but_for(refund, wrongs):
    """Without what the planted wrong itself breaks: a refund that is FAILED here and done there."""
    return [wrong for wrong in wrongs if refund.out_request_no not in wrong]


def test_every_kind_of_difference_in_one_bill(make_world):
    world, witness = make_world(late_payment="refund")
    world.courses.append(Course.objects.create(name="Free", price_fen=0))
    late_number, late_trade = late(world)
    cancelled_number, cancelled_trade = cancelled(world)
    fine, _ = sold(world, 0, 1)
    order(world, 4)  # free of charge: in no bill
    lost, lost_trade = sold_untold(world, 0, 1)
    missing, missing_trade = sold(world)
    dearer, dearer_trade = sold(world)
    _, twice_trade = sold(world)
    _, twins_trade = sold(world)
    _, tomorrow_trade = sold(world)
    billed_tomorrow(world, tomorrow_trade)

    back, _ = sold(world, 0)
    refund(world, back, 1000)
    jobs.REFUNDS.run()
    _, told_trade = sold(world)
    assert world.console_refund(told_trade, 700)
    world.deliver_all()
    parts, parts_trade = sold(world)
    whole, whole_trade = sold(world)
    deaf(world, parts_trade)
    deaf(world, whole_trade)
    assert world.console_refund(parts_trade, 1000)
    assert world.console_refund(parts_trade, 500)
    assert world.console_refund(whole_trade, 3900)
    pending_number, pending_trade = sold(world)
    deaf(world, pending_trade)
    pending = refund_done_there(world, pending_number, 900)
    failed_number, failed_trade = sold(world)
    deaf(world, failed_trade)
    failed = refund_done_there(world, failed_number, 800)
    fail(failed.pk, code="ACQ.TRADE_STATUS_ERROR", message="no")
    gone_number, gone_trade = sold(world)
    gone = refund(world, gone_number, 600)
    other_number, other_trade = sold(world)
    other = refund(world, other_number, 500)
    jobs.REFUNDS.run()
    world.deliver_all()
    assert but_for(failed, witness.look()) == []
    assert len(witness.look()) == 1

    spoil(world, "row_missing", missing_trade)
    spoil(world, "amount_changed", dearer_trade)
    spoil(world, "duplicate_row", twice_trade)
    spoil(world, "foreign_row", value=twins_trade, fen=3900)
    spoil(world, "foreign_row", value="not_ours", fen=5)
    spoil(world, "refund_missing", gone_trade)
    spoil(world, "refund_changed", other_trade)
    morning_after(world)
    world.line.calls.clear()
    jobs.BILLS.run()

    bill = Bill.objects.get(day=DAY)
    assert (bill.status, bill.outcome, bill.next_try_at) == ("DONE", "", None)
    summary = bill.summary
    assert summary["found"] == {
        "missing here": 3,
        "missing there": 2,
        "amount differs": 1,
        "trade differs": 1,
        "refund differs": 6,
        "refund missing there": 1,
        "unknown order": 1,
    }
    assert summary["repaired"] == 3 + 5
    assert findings() == {
        missing_trade: ["missing there"],
        tomorrow_trade: ["missing there"],
        dearer_trade: ["amount differs"],
        twins_trade: ["trade differs"],
        gone_trade: ["refund missing there"],
        other_trade: ["refund differs"],
        "not_ours": ["unknown order"],
    }
    # Every row of the bill is accounted for once.
    there = sum(count for kind, count in summary["found"].items() if "missing there" not in kind)
    assert summary["payments"] + summary["refunds"] == summary["matched"] + there
    assert summary["unanswered"] == summary["foreign"] == 0
    # Asked about what differs, and about nothing else.
    asked = {call.out_trade_no for call in world.line.calls if call.method == QUERY}
    unclear = {told_trade, parts_trade, whole_trade, pending_trade, failed_trade}
    assert asked == {late_trade, cancelled_trade, lost_trade} | unclear
    assert {call.out_trade_no for call in world.line.calls if call.method == REFUND_QUERY} == unclear

    assert (status_of(fine), status_of(lost), open_courses(lost)) == ("PAID", "PAID", 2)
    assert (status_of(late_number), open_courses(late_number)) == ("TIMED_OUT", 0)
    assert (status_of(cancelled_number), open_courses(cancelled_number)) == ("CANCELLED", 0)
    assert (open_courses(parts), open_courses(whole), open_courses(missing), open_courses(dearer)) == (1, 0, 1, 1)
    refunded = {row.out_trade_no: row.refunded_fen for row in Payment.objects.exclude(refunded_fen=0)}
    assert refunded == {
        Payment.objects.get(order__number=back).out_trade_no: 1000,
        told_trade: 700,
        parts_trade: 1500,
        whole_trade: 3900,
        pending_trade: 900,
        failed_trade: 800,
        gone_trade: 600,
        other_trade: 500,
    }
    for row in (pending, failed, gone, other):
        row.refresh_from_db()
    assert (pending.status, failed.status) == ("SUCCEEDED", "FAILED")
    assert (pending.billed_on, failed.billed_on, gone.billed_on, other.billed_on) == (DAY, None, None, DAY)
    assert BilledRefund.objects.count() == 1 + 2 + 1 + 1
    assert but_for(failed, witness.look()) == []

    before, asked_before = tables(), len(world.line.calls)
    again = compare_now()
    assert tables() == before
    assert counts(again) == {
        "missing there": 2,
        "amount differs": 1,
        "trade differs": 1,
        "refund differs": 1,
        "refund missing there": 1,
        "unknown order": 1,
    }
    assert (again.repaired, again.matched) == (0, summary["matched"] + 8)
    assert len(world.line.calls) == asked_before + 1, "the second run asks for the bill alone"

    # The next day's bill has the payment that was missing, and the money that went back because of this one.
    jobs.REFUNDS.run()
    assert {row.cause for row in Refund.objects.filter(status="SUCCEEDED", billed_on=None)} >= {"LATE", "CANCELLED"}
    world.simulator.faults.clear()
    morning_after(world, DAY + timedelta(days=1))
    jobs.BILLS.run()
    tomorrow = Bill.objects.get(day=DAY + timedelta(days=1))
    assert (tomorrow.summary["matched"], sum(tomorrow.summary["found"].values())) == (3, 0)
    assert jobs.RESOLVED.run() == 1
    assert tomorrow_trade not in findings()
    assert Payment.objects.get(out_trade_no=tomorrow_trade).billed_on == DAY + timedelta(days=1)
    world.settle_down()
    assert but_for(failed, witness.look_at_the_end()) == []
