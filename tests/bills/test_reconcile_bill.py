"""manage.py reconcile_bill: what it says, to people and to programs, and how it ends."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from backend.payments import bills
from backend.payments.discrepancies import OF_A_BILL
from backend.payments.management.commands import reconcile_bill
from backend.payments.models import Bill, Discrepancy
from tests.bills.days import DAY, MANY, morning_after, order, refund, sold, sold_untold, wait_until

ROOT = Path(__file__).resolve().parents[2]


def run(*options):
    out = StringIO()
    call_command("reconcile_bill", *options, stdout=out)
    return out.getvalue()


def refused(*options):
    """The one sentence that it ends with; nothing is written to the standard output."""
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("reconcile_bill", *options, stdout=out)
    assert error.value.returncode == 1
    assert out.getvalue() == ""
    return str(error.value)


@pytest.fixture
def day(make_world):
    """The morning after a day with a payment that we missed, one that they miss, and a stranger's."""
    world, _ = make_world()
    number, _ = sold(world, 0)
    refund(world, number, 1000)
    _, missing = sold(world)
    sold_untold(world)
    world.simulator.fault("bill", "row_missing", out_trade_no=missing, times=MANY)
    world.simulator.fault("bill", "foreign_row", value="stranger", fen=5, times=MANY)
    morning_after(world)
    return world, missing


def test_yesterday_by_default_and_a_table_that_people_can_read(day):
    _, missing = day
    said = run()
    assert said.splitlines()[:7] == [
        "Bill of 2026-11-23",
        "  payments                       3   ¥156.05",
        "  refunds                        0   ¥0.00",
        "  fees                               ¥0.00",
        "  other rows                     0",
        "Against our books",
        "  matched                        1",
    ]
    assert "  missing here                   1\n  missing there                  1\n" in said
    assert "  unknown order                  1\n  of these repaired              1\n" in said
    looked_at = said.split("To look at")[1]
    assert f"unknown order: stranger  bill of {DAY}: 0.05" in looked_at
    assert f"missing there: {missing}  bill of {DAY}: has not our 39.00" in looked_at
    assert max(map(len, said.split("To look at")[0].splitlines())) <= 60
    assert (Bill.objects.get().status, Bill.objects.get().times_tried) == ("DONE", 1)
    assert run("--date", "2026-11-23").count("  of these repaired              0\n") == 1


def test_every_kind_has_its_line_in_a_straight_column(day):
    lines = run().split("To look at")[0].splitlines()
    for kind in OF_A_BILL:
        assert sum(line.startswith(f"  {kind.name} ") for line in lines) == 1
    ends = {len(line.split("¥")[0].rstrip()) for line in lines if re.search(r" \d+$| \d+ +¥", line)}
    assert len(ends) == 1


def test_json_has_every_kind(day):
    _, missing = day
    said = json.loads(run("--json"))
    assert said["date"] == "2026-11-23"
    assert set(said["found"]) == {kind.name for kind in OF_A_BILL}
    assert {kind: n for kind, n in said["found"].items() if n} == {
        "missing here": 1,
        "missing there": 1,
        "unknown order": 1,
    }
    assert said["amounts"] == {"paid": "156.05", "refunded": "0.00", "fees": "0.00"}
    counts = ("payments", "refunds", "others", "matched", "repaired", "foreign", "unanswered")
    assert [said[name] for name in counts] == [3, 0, 0, 1, 1, 0, 0]
    listed = {(row["kind"], row["outTradeNo"]) for row in said["findings"]}
    assert listed == {("unknown order", "stranger"), ("missing there", missing)}
    assert Bill.objects.get().summary == {name: value for name, value in said.items() if name != "date"}


def test_a_long_list_is_cut_for_people_and_whole_for_programs(make_world):
    world, _ = make_world()
    sold(world)
    for n in range(52):
        world.simulator.fault("bill", "foreign_row", value=f"theirs_{n}", times=MANY)
    morning_after(world)
    said = run()
    assert said.count("  unknown order: theirs_") == 50
    assert said.endswith("  … and 2 more: --json lists them\n")
    assert len(json.loads(run("--json"))["findings"]) == 52


def test_what_had_no_answer_is_said(day):
    world, _ = day
    world.simulator.fault("alipay.trade.query", "http_502", times=MANY)
    assert "  no answer, asked again         1\n" in run()
    assert Bill.objects.get().status == "WAITING"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("2026-11-24", "The bill of 2026-11-24 is made on the day after it; the newest there can be is of 2026-11-23."),
        ("2026-11-25", "The bill of 2026-11-25 is made on the day after it; the newest there can be is of 2026-11-23."),
        ("yesterday", "'yesterday' is no day: write YYYY-MM-DD."),
        ("2026-02-30", "'2026-02-30' is no day: write YYYY-MM-DD."),
        ("23/11/2026", "'23/11/2026' is no day: write YYYY-MM-DD."),
        ("", "'' is no day: write YYYY-MM-DD."),
    ],
)
def test_days_that_have_no_bill(day, given, says):
    assert refused("--date", given) == says
    assert not Bill.objects.exists()


def test_yesterday_is_beijings(make_world):
    """At one in the morning there it is still the day before in London."""
    world, _ = make_world()
    sold(world)
    wait_until(world, DAY + timedelta(days=1), 1)
    assert refused().startswith("Alipay has no bill of 2026-11-23: it is made by 10:30 of the next day in Beijing")


def test_a_bill_that_is_not_ready_comes_by_itself_later(make_world):
    world, _ = make_world()
    sold(world)
    wait_until(world, DAY + timedelta(days=1), 8)
    said = refused("--date", str(DAY))
    assert said.endswith("Its words: isp.bill_not_exist: not made yet, or no trades that day")
    bill = Bill.objects.get()
    assert (bill.status, bill.times_tried) == ("WAITING", 1)
    assert bill.next_try_at > world.now()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("truncated", "the zip is broken: BadZipFile"), ("http_500", "the download failed: BadStatus")],
)
def test_a_bill_that_cannot_be_read(day, kind, reason):
    world, _ = day
    world.simulator.fault("bill", kind, times=MANY)
    assert refused("--json") == f"The bill of 2026-11-23 could not be read: {reason}. Try again."
    assert Bill.objects.get().status == "WAITING"
    assert not Discrepancy.objects.exists()


def test_a_bill_that_a_worker_takes_over(day, monkeypatch):
    world, _ = day
    fetch = world.line.fetch

    def taken_meanwhile(*args, **how):
        status = fetch(*args, **how)
        world.wait(600)
        bills.take(DAY)
        return status

    monkeypatch.setattr("backend.payments.providers.alipay_bill.fetch_file", taken_meanwhile)
    assert refused() == "Another worker has begun to compare this bill. Look at its row in the admin."


def test_a_free_order_is_in_no_bill_and_missed_by_nobody(make_world):
    from backend.courses.models import Course

    world, _ = make_world()
    world.courses.append(Course.objects.create(name="Free", price_fen=0))
    order(world, len(world.courses) - 1)
    sold(world)
    morning_after(world)
    said = json.loads(run("--json"))
    assert (said["payments"], said["matched"], sum(said["found"].values())) == (1, 1, 0)


def test_no_progress_bar_where_nobody_looks(day, capfd):
    run()
    run("--json")
    assert "bill:" not in capfd.readouterr().err


@pytest.mark.parametrize(("quiet", "shown"), [(False, True), (True, False)])
def test_the_progress_bar_on_a_terminal(monkeypatch, quiet, shown):
    reading, writing = pty.openpty()
    termios.tcsetwinsize(writing, (24, 80))
    with os.fdopen(writing, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with reconcile_bill.progress_bar(quiet=quiet) as progress:
            for read in (1000, 2000):
                progress(read, 2000)
        monkeypatch.undo()
        terminal.write("the end")
        terminal.flush()
        said = b""
        while not said.endswith(b"the end"):  # a terminal hands on what it was given piece by piece
            said += os.read(reading, 65536)
    os.close(reading)
    assert (b"bill:" in said) == shown


def test_the_process_ends_with_code_1_and_one_sentence():
    """As a cron job sees it; no database is touched before the day is looked at."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "manage.py", "reconcile_bill", "--date", "tomorrow", "--skip-checks"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "CommandError: 'tomorrow' is no day: write YYYY-MM-DD.\n"
