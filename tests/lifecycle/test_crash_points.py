"""kill -9 at every database statement, commit and gateway call of the jobs: the next run ends where no death had.

A child is forked in the middle of the test, runs the jobs and dies by its own hand before step k; Alipay's book is a
file that outlives it. Before a step is after the one before it, so this is every point there is; the death after the
last step is tried too. CRASH_PAIRS: how often a second death comes in the run that was to mend the first.
"""

import os
import random
import signal
import traceback
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from shutil import copytree
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models import QuerySet

from alipay_simulator.book import Book
from backend.accounts.models import User
from backend.courses.models import Enrollment
from backend.orders.models import Order
from backend.payments import jobs
from backend.payments.models import Discrepancy, Payment, Refund
from tests.concurrency import sabotage
from tests.concurrency.child import DeathWish
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import new_world

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = 91
MOST_STEPS = 150
PAIRS = int(os.environ.get("CRASH_PAIRS", "4"))
NEVER = 10**9


@pytest.fixture(autouse=True)
def money_jobs(monkeypatch):
    """The jobs that call the provider about one order; deliveries and bills die in tests of their own."""
    monkeypatch.setattr(jobs, "JOBS", (jobs.PAYMENTS, jobs.REFUNDS))


# --- What the jobs have to do -----------------------------------------------------------------------------------------


def ordered(world):
    world.buyers[0] = User.objects.create(username=f"one more {User.objects.count()}")
    made = world.create(0, [0, 1])["order"]
    return made["id"], made["outTradeNo"]


def until(world, number, seconds):
    order = Order.objects.get(number=number)
    world.wait((order.expires_at - world.now()).total_seconds() + seconds)


def close(world):
    """The time is over, and the buyer is at the cashier."""
    number, trade = ordered(world)
    assert world.scan(world.visit(trade))
    until(world, number, 0)
    return number


def expiry(world):
    """The time and the grace are over, and the cashier was never opened."""
    number, _ = ordered(world)
    until(world, number, 0)
    world.jobs()
    assert Payment.objects.get(order__number=number).status == "CLOSING"
    world.wait(121)
    return number


def found_paid(world):
    """Paid, and no notify came."""
    number, trade = ordered(world)
    assert world.buy(trade)
    world.wait(61)
    return number


def refund(world):
    """An operator's refund of all."""
    number, trade = ordered(world)
    visit = world.buy(trade)
    world.come_back(visit)
    assert world.refund(number)["__typename"] == "RefundOrderSuccess"
    return number


def refund_again(world):
    """As before, in its second try: the first was done, and its answer lost."""
    number = refund(world)
    for method in ("alipay.trade.refund", "alipay.trade.fastpay.refund.query"):
        world.simulator.fault(method, "timeout_after")
    world.jobs()
    assert Refund.objects.get(order__number=number).status == "PENDING"
    world.simulator.faults.clear()
    world.wait(11)
    return number


def cancelled_and_paid(world):
    """It pays an order that was cancelled: the question finds the money, and it goes back in the same run."""
    number, trade = ordered(world)
    visit = world.visit(trade)
    assert world.scan(visit)
    assert world.cancel(number) == "CancelOrderSuccess"
    assert world.pay(visit)
    return number


TASKS = {task.__name__: task for task in (close, expiry, found_paid, refund, refund_again, cancelled_and_paid)}


def state(world, number):
    """All that an order has come to, without times and keys."""
    order = Order.objects.get(number=number)
    trades = list(order.payments.values_list("out_trade_no", flat=True))
    money = world.simulator.money()
    return {
        "order": order.status,
        "payments": list(order.payments.values_list("status", "refunding_fen", "refunded_fen", "next_query_at")),
        "refunds": list(order.refunds.values_list("cause", "status", "amount_fen")),
        "events": sorted(event.name for event in order.events.all()),
        "open": Enrollment.objects.open().filter(line__order=order).count(),
        "closed": Enrollment.objects.filter(line__order=order).exclude(closed_at=None).count(),
        "money": [(money.get(no, {}).get("paid_fen"), money.get(no, {}).get("refunded_fen")) for no in trades],
        "moves": sum(len(money.get(no, {"refunds": []})["refunds"]) for no in trades),
        "discrepancies": Discrepancy.objects.filter(out_trade_no__in=trades).count(),
    }


# --- Dying ------------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    deaths: int = 0
    steps: int = 0
    wrongs: list[str] = field(default_factory=list)


def run_jobs_and_die(world, step, moment="before", protection=nullcontext):
    """In a child: the jobs, up to a step. Whether it died there; in the end the number of steps."""
    shut(world)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        live(world, DeathWish(step, moment), writing, protection)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    reopen(world)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True, 0
    assert os.waitstatus_to_exitcode(status) == 0, said
    return False, int(said)


def live(world, wish, writing, protection):
    """The whole life of the child; it never returns."""
    code, said = 1, ""
    try:
        reopen(world)
        connection.ensure_connection()
        commit = connection._commit
        with ExitStack() as stack:
            stack.enter_context(protection())
            connection._commit = lambda: wish.around(commit)
            stack.enter_context(connection.execute_wrapper(wish))
            world.line.around = lambda call, carry_out: wish.around(carry_out)
            world.jobs()
        code, said = 0, str(wish.steps)
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(writing, said.encode()[-60_000:])
        os._exit(code)


def shut(world):
    """No connection may go through a fork."""
    world.simulator.book.close()
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()


def reopen(world):
    world.simulator.book._db = Book(world.simulator.config.book_path)._db


def mended(world, number):
    """The next runs, once the dead one's lease has lapsed."""
    for pause in (LEASE, 4, LEASE, 600):
        world.wait(pause)
        world.jobs()
    return state(world, number)


@pytest.fixture
def outlasting(keys, tmp_path):
    """A world whose Alipay keeps its book in a file, is behind our time, and sends no notifies: only the jobs help."""
    folder = tmp_path / "alipay"
    copytree(keys, folder)
    with new_world(folder, in_memory=False, seed=None, skew=-1200, triggers=frozenset()) as world:
        yield world


def enumerate_deaths(world, task, protection=nullcontext):
    report = Report()
    number = task(world)
    died, report.steps = run_jobs_and_die(world, NEVER)
    assert not died
    expected = mended(world, number)
    for step in range(1, report.steps + 2):
        number = task(world)
        last = step > report.steps
        died, _ = run_jobs_and_die(world, report.steps if last else step, "after" if last else "before", protection)
        report.deaths += died
        if (came_to := mended(world, number)) != expected:
            report.wrongs.append(f"step {step}: {difference(expected, came_to)}")
    return report


def difference(expected, came_to):
    return {name: (expected[name], came_to[name]) for name in expected if expected[name] != came_to[name]}


@pytest.mark.parametrize("name", TASKS)
def test_death_at_any_step_of_the_jobs_changes_nothing_in_the_end(outlasting, name):
    report = enumerate_deaths(outlasting, TASKS[name])
    assert report.wrongs == []
    assert report.deaths == report.steps + 1 >= 20
    assert Witness(outlasting).look() == []


@pytest.mark.parametrize("name", ["close", "cancelled_and_paid"])
def test_a_second_death_in_the_run_that_mends_the_first(outlasting, name):
    world, task, dice = outlasting, TASKS[name], random.Random(7)
    number = task(world)
    _, steps = run_jobs_and_die(world, NEVER)
    expected, deaths = mended(world, number), 0
    for _ in range(PAIRS):
        number = task(world)
        died, _ = run_jobs_and_die(world, dice.randint(1, steps))
        assert died
        world.wait(LEASE)
        died, _ = run_jobs_and_die(world, dice.randint(1, steps))
        deaths += died
        assert difference(expected, mended(world, number)) == {}
    assert deaths >= PAIRS // 4
    assert Witness(world).look() == []


@contextmanager
def no_transaction():
    """Each statement by itself, and so no row locks either, which PostgreSQL has only in a transaction."""
    with sabotage.no_transaction(), patch.object(QuerySet, "select_for_update", lambda rows, **how: rows):
        yield


def test_control_without_transactions_some_deaths_show(outlasting):
    report = enumerate_deaths(outlasting, found_paid, no_transaction)
    assert report.wrongs
    assert not [wrong for wrong in report.wrongs if wrong.startswith("step 1:")]
