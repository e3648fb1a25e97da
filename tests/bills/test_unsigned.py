"""A bill is not signed: whatever it claims, only the provider's signed answers change our books."""

from datetime import timedelta

import pytest

from backend.orders.models import Order
from backend.payments import findings, jobs
from backend.payments.models import Bill, BilledRefund, Discrepancy, Payment, Refund
from backend.payments.providers.base import ProviderUnavailable
from backend.payments.providers.bill import BillKind, BillRow
from tests.bills.days import (
    DAY,
    MANY,
    compare_now,
    counts,
    deaf,
    morning_after,
    order,
    refund_done_there,
    sold,
    sold_untold,
    tables,
)
from tests.bills.days import findings as found
from tests.lifecycle.world import QUERY, REFUND_QUERY


def claimed(world, trade, *, refund="", fen=3900, trade_no="2026110122001000000000000001"):
    """A row as a forger writes it."""
    kind = BillKind.REFUND if refund else BillKind.PAYMENT
    return BillRow(kind, trade_no, trade, refund, fen, 0, world.now(), 6)


@pytest.fixture
def forge(monkeypatch):
    """Put rows in place of the bill; everything else is asked of Alipay."""

    def put(*rows):
        monkeypatch.setattr("backend.payments.providers.alipay.Alipay.bill", lambda self, day, **how: iter(rows))

    return put


@pytest.fixture
def unchanged():
    """Nothing but discrepancies may differ from before."""
    seen = {}

    def check():
        now = tables()
        now.pop("Discrepancy")
        seen.setdefault("first", now)
        return now == seen["first"]

    return check


@pytest.mark.parametrize("at_the_cashier", [False, True])
def test_a_claimed_payment_that_the_signed_answer_denies(make_world, forge, unchanged, at_the_cashier):
    world, witness = make_world()
    number, trade = order(world)
    if at_the_cashier:
        assert world.scan(world.visit(trade))
    forge(claimed(world, trade))
    assert unchanged()
    summary = compare_now()
    assert unchanged()
    assert (counts(summary), summary.repaired) == ({"missing here": 1}, 0)
    assert found() == {trade: ["missing here"]}
    says = "the signed answer says pending" if at_the_cashier else "the signed answer is ACQ.TRADE_NOT_EXIST"
    assert Discrepancy.objects.get().detail.endswith(says)
    assert Order.objects.get(number=number).status == "UNPAID"
    assert Payment.objects.get(out_trade_no=trade).billed_on is None
    assert witness.look() == []


def test_a_denied_payment_that_comes_after_all_closes_its_discrepancy(make_world, forge):
    world, _ = make_world()
    _, trade = order(world)
    forge(claimed(world, trade))
    compare_now()
    assert jobs.RESOLVED.run() == 0
    world.buy(trade)
    world.deliver_all()
    assert jobs.RESOLVED.run() == 1
    assert found() == {}


def test_claimed_refunds_that_the_signed_answer_denies(make_world, forge, unchanged):
    """Of a number that nobody gave, of our own that is still on its way, and of an order that is not paid."""
    world, witness = make_world()
    number, trade = sold(world)
    _, unpaid = order(world)
    world.refund(number, 700)
    ours = Refund.objects.get()
    forge(
        claimed(world, trade, refund="made_up", fen=500),
        claimed(world, trade, refund=ours.out_request_no, fen=700),
        claimed(world, unpaid, refund="made_up_too"),
        claimed(world, trade, fen=500, refund=""),
    )
    assert unchanged()
    summary = compare_now()
    assert counts(summary) == {"refund differs": 3, "amount differs": 1}
    assert summary.repaired == 0
    # The payment is in the bill, with another amount: that is remembered, and nothing else is new.
    Payment.objects.filter(out_trade_no=trade).update(billed_on=None)
    assert unchanged()
    assert BilledRefund.objects.count() == 0
    assert world.simulator.money(trade)[trade]["refunded_fen"] == 0
    assert witness.look() == []


def test_money_that_cannot_be_applied_is_named(make_world, forge, unchanged):
    """Alipay took another amount for this number: the signed answer says so, and nothing is marked paid."""
    world, _ = make_world()
    number, trade = sold_untold(world)
    world.simulator.book.run("UPDATE trades SET total_fen = 1 WHERE out_trade_no = ?", trade)
    forge(claimed(world, trade, fen=1))
    assert unchanged()
    summary = compare_now()
    assert unchanged()
    assert (counts(summary), Order.objects.get(number=number).status) == ({"amount differs": 1}, "UNPAID")
    kinds = sorted(Discrepancy.objects.filter(out_trade_no=trade).values_list("kind", flat=True))
    assert kinds == ["amount differs", "money refused"]


def test_numbers_that_no_database_could_hold(make_world, forge, unchanged):
    world, _ = make_world()
    _, trade = sold(world)
    long = "9" * 190
    forge(claimed(world, long), claimed(world, trade, refund=long), claimed(world, "中文", trade_no="中文" * 30))
    assert unchanged()
    summary = compare_now()
    assert unchanged()
    assert (summary.found["unknown order"], summary.unanswered) == (2, 1)


@pytest.mark.parametrize("method", [QUERY, REFUND_QUERY])
def test_a_bill_whose_questions_had_no_answer_comes_again_by_itself(make_world, method):
    world, witness = make_world()
    number, _ = sold_untold(world)
    pending, refunded_trade = sold(world)
    deaf(world, refunded_trade)
    row = refund_done_there(world, pending, 500)
    world.simulator.fault(method, "http_502", times=MANY)
    morning_after(world)
    jobs.BILLS.run()
    bill = Bill.objects.get()
    assert (bill.status, bill.times_tried) == ("WAITING", 1)
    assert bill.outcome == f"{bill.summary['unanswered']} questions had no answer"
    assert bill.summary["unanswered"] == (2 if method == QUERY else 1)
    row.refresh_from_db()
    assert row.status == "PENDING"
    assert Order.objects.get(number=number).status == ("UNPAID" if method == QUERY else "PAID")
    assert found() == {}

    world.simulator.faults.clear()
    world.wait((bill.next_try_at - world.now()).total_seconds() - 1)
    assert jobs.BILLS.run() == 0
    world.wait(1)
    assert jobs.BILLS.run() == 1
    bill.refresh_from_db()
    assert (bill.status, bill.outcome, bill.summary["unanswered"]) == ("DONE", "", 0)
    row.refresh_from_db()
    assert (row.status, row.billed_on) == ("SUCCEEDED", DAY)
    assert Order.objects.get(number=number).status == "PAID"
    assert found() == {}
    assert witness.look() == []


def test_questions_that_are_never_answered_are_for_people_in_the_end(make_world):
    """An answer about another amount under this number proves nothing: it stays unknown."""
    world, witness = make_world()
    _, trade = sold(world)
    deaf(world, trade)
    assert world.console_refund(trade, 500)
    world.simulator.fault("bill", "refund_changed", times=MANY)
    morning_after(world)
    for _ in range(100):
        jobs.BILLS.run()
        bill = Bill.objects.get(day=DAY)
        if bill.next_try_at is None:
            break
        assert found() == {}
        world.wait((bill.next_try_at - world.now()).total_seconds())
    assert world.now() - bill.since > timedelta(days=3)
    assert (bill.status, bill.summary["unanswered"]) == ("DONE", 0)
    assert found() == {trade: ["refund differs"]}
    assert "does not answer" in Discrepancy.objects.get().detail
    assert Payment.objects.get().refunded_fen == 0
    assert witness.look() == []


def test_the_provider_dies_in_the_middle(make_world):
    """What was repaired before stays, and the next run finds the rest."""
    world, witness = make_world()
    numbers = [sold_untold(world)[0] for _ in range(3)]
    morning_after(world)
    carried = []

    def dies_after_one(call, carry_out):
        if call.method == QUERY and carried:
            raise ProviderUnavailable("gone")
        carried.extend([call] if call.method == QUERY else [])
        return carry_out()

    world.line.around = dies_after_one
    assert compare_now().unanswered == 2
    assert sorted(Order.objects.filter(number__in=numbers).values_list("status", flat=True)) == [
        "PAID",
        "UNPAID",
        "UNPAID",
    ]
    world.line.around = lambda call, carry_out: carry_out()
    world.wait(1200)
    jobs.BILLS.run()
    assert Bill.objects.get().status == "DONE"
    assert set(Order.objects.filter(number__in=numbers).values_list("status", flat=True)) == {"PAID"}
    assert witness.look() == []


def test_another_accounts_bill_is_one_finding_and_no_flood(make_world, forge, monkeypatch):
    monkeypatch.setattr(findings, "MOST_LISTED", 3)
    world, _ = make_world()
    forge(*(claimed(world, f"theirs_{n}") for n in range(5)))
    for _ in range(2):
        summary = compare_now()
        assert counts(summary) == {"unknown order": 5}
        assert len(summary.findings) == 3
        kinds = Discrepancy.objects.order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == [*["unknown order"] * 3, "too many differences"]
    assert (
        "5 of the kind 'unknown order', 3 of them listed" in Discrepancy.objects.get(kind="too many differences").detail
    )


def test_as_many_as_may_be_listed_are_not_too_many(make_world, forge, monkeypatch):
    monkeypatch.setattr(findings, "MOST_LISTED", 3)
    world, _ = make_world()
    forge(*(claimed(world, f"theirs_{n}") for n in range(3)))
    compare_now()
    assert not Discrepancy.objects.filter(kind="too many differences").exists()


def test_a_row_that_changes_later_is_not_taken_for_the_refund_that_was_confirmed(make_world):
    world, _ = make_world()
    _, trade = sold(world)
    deaf(world, trade)
    assert world.console_refund(trade, 500)
    morning_after(world)
    assert compare_now().repaired == 1
    assert compare_now().matched == 2
    world.simulator.fault("bill", "refund_changed", times=MANY)
    changed = compare_now()
    assert (changed.matched, changed.unanswered, changed.repaired) == (1, 1, 0)
    assert Payment.objects.get().refunded_fen == 500
