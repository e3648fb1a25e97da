"""One worker at a time compares a bill, however long it takes; who has lost it stops, and writes nothing."""

import pytest

from backend.payments import bills, jobs
from backend.payments.models import Bill, Payment
from tests.bills.days import DAY, morning_after, rows, sold, sold_untold


def during_the_download(world, monkeypatch, act):
    """Do something while the bill is on its way."""
    fetch = world.line.fetch

    def fetch_meanwhile(*args, **how):
        status = fetch(*args, **how)
        act()
        return status

    monkeypatch.setattr("backend.payments.providers.alipay_bill.fetch_file", fetch_meanwhile)


def test_two_workers_never_compare_one_bill_at_the_same_time(make_world, monkeypatch):
    """Not even while it takes ten minutes to come."""
    world, _ = make_world()
    sold(world)
    morning_after(world)
    others = []

    def another_worker():
        world.wait(590)
        others.append(jobs.BILLS.run())

    during_the_download(world, monkeypatch, another_worker)
    assert jobs.BILLS.run() == 1
    assert others == [0]
    assert rows() == [(DAY, "DONE")]
    assert Bill.objects.get().times_tried == 1


def test_a_worker_from_whom_the_command_took_the_bill_stops(make_world, monkeypatch, caplog):
    world, witness = make_world()
    _, trade = sold_untold(world)
    morning_after(world)
    taken = []

    def the_command():
        if not taken:
            world.wait(500)
            taken.append(bills.take(DAY))

    during_the_download(world, monkeypatch, the_command)
    jobs.BILLS.run()
    assert "another worker compares it" in caplog.text
    bill = Bill.objects.get()
    assert (bill.status, bill.times_tried, bill.next_try_at) == ("WAITING", 0, taken[0].next_try_at)
    assert Payment.objects.get(out_trade_no=trade).status == "OPEN"
    bills.compare(taken[0])
    assert (rows(), Payment.objects.get(out_trade_no=trade).status) == ([(DAY, "DONE")], "PAID")
    assert witness.look() == []


def test_who_lost_the_lease_late_writes_nothing_over_the_others_result(make_world, monkeypatch):
    """It is taken over in the first half of the lease: the loser does not notice, and its result is dropped."""
    world, _ = make_world()
    sold(world)
    morning_after(world)
    taken = []

    def the_command():
        if not taken:
            world.wait(1)
            taken.append(bills.take(DAY))

    during_the_download(world, monkeypatch, the_command)
    jobs.BILLS.run()
    bill = Bill.objects.get()
    assert (bill.status, bill.summary, bill.next_try_at) == ("WAITING", {}, taken[0].next_try_at)


def test_a_long_comparison_renews_its_lease(make_world):
    """Each question takes ten seconds; there are so many that it lasts for longer than one lease."""
    world, _ = make_world()
    trades = [sold_untold(world)[1] for _ in range(8)]
    morning_after(world)
    others = []

    def slowly(call, carry_out):
        world.wait(240)
        others.append(jobs.BILLS.run())
        return carry_out()

    world.line.around = slowly
    jobs.BILLS.run()
    assert set(others) == {0}
    assert len(others) == 1 + len(trades)
    assert rows() == [(DAY, "DONE")]
    assert set(Payment.objects.values_list("status", flat=True)) == {"PAID"}


def test_a_dead_workers_bill_comes_due_again(make_world, monkeypatch):
    world, _ = make_world()
    sold(world)
    morning_after(world)

    def die():
        raise KeyboardInterrupt

    during_the_download(world, monkeypatch, die)
    with pytest.raises(KeyboardInterrupt):
        jobs.BILLS.run()
    monkeypatch.setattr("backend.payments.providers.alipay_bill.fetch_file", world.line.fetch)
    assert jobs.BILLS.run() == 0
    world.wait(bills.LEASE.total_seconds())
    assert jobs.BILLS.run() == 1
    assert rows() == [(DAY, "DONE")]
