"""kill -9 at every database statement, commit and gateway call of a job or a request: what there is to do, dying in the
midst of it, and what must have become of it in the end.

A child is forked in the middle of the world, acts, and dies by its own hand before a step; Alipay's book is a file that
outlives it. Before a step is after the one before it, so this is every point there is; the death after the last step
is tried too. Then whoever had no answer comes again, or the dead one's lease lapses and the next run goes on.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.db.models import QuerySet

from alipay_simulator.book import Book
from backend.accounts.models import User
from backend.courses.models import Enrollment
from backend.events.models import Event
from backend.live.publishing import publisher
from backend.orders.models import IdempotencyKey, Order
from backend.payments import jobs
from backend.payments.models import Discrepancy, Notification, Payment, PaymentStatus, Refund
from tests.concurrency import sabotage
from tests.concurrency.child import DeathWish
from tests.lifecycle.world import World, new_world
from tests.shop import AlipaySide, post_notify

LEASE = 91
NEVER = 10**9
PATIENCE_SECONDS = 60
ALIPAY = AlipaySide()


@dataclass
class Scene:
    """What is to be done; ``again`` is done by the survivors, and says what has become of it, in the end."""

    act: Callable[[], Any]
    again: Callable[[], dict[str, Any]]
    wait: float = 0
    """Seconds after a death until somebody else may go on."""


# --- What the jobs have to do: each returns the number of its order ---------------------------------------------------


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
    world.jobs()  # a refund that another scene left would take the faults
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


JOBS = (close, expiry, found_paid, refund, refund_again, cancelled_and_paid)


def of_the_jobs(task):
    """The scene of a task: the money jobs run, and run again once a dead one's lease has lapsed."""

    def scene(world):
        number = task(world)
        return Scene(world.jobs, lambda: mended(world, number), wait=LEASE)

    return scene


# --- What is asked for: the request, and its repeat -------------------------------------------------------------------


def create_order(world):
    world.buyers[0] = buyer = User.objects.create(username=f"one more {User.objects.count()}")

    def again():
        answers = [act(), act()]
        assert {answer["__typename"] for answer in answers} == {"CreateOrderSuccess"}, answers
        assert len({answer["order"]["id"] for answer in answers}) == 1, answers
        assert answers[1]["replayed"], answers
        return state(world, Order.objects.get(user=buyer).number)

    def act():
        return world.create(0, [0, 1], key="one intent")

    return Scene(act, again)


def repeated(world, number, act, *good):
    """A request that dies, and is sent again as it was; ``good``: the answers that the repeat may have."""

    def again():
        answer = act()
        name = answer["__typename"] if isinstance(answer, dict) else answer
        assert name in good, f"the repeat was answered {name}"
        return state(world, number)

    return Scene(act, again)


def pay_order(world):
    """The provider has closed the first attempt: it opens a second one."""
    number, _ = ordered(world)
    Payment.objects.filter(order__number=number).update(status=PaymentStatus.CLOSED)
    return repeated(world, number, lambda: world.pay_order(number), "PayOrderSuccess")


def cancel_order(world):
    number, _ = ordered(world)
    return repeated(world, number, lambda: world.cancel(number), "CancelOrderSuccess", "OrderNotCancellable")


def confirm_return(world):
    """Paid, no notify came, and the browser comes back: Alipay is asked in the request."""
    number, trade = ordered(world)
    visit = world.buy(trade)
    return repeated(world, number, lambda: world.come_back(visit), "ConfirmReturnSuccess")


def notify(world):
    number, trade = ordered(world)
    world.buy(trade)
    trade_no = world.simulator.trades.find(out_trade_no=trade).trade_no
    body = ALIPAY.paid_notify(Payment.objects.get(out_trade_no=trade), trade_no=trade_no)
    return repeated(world, number, lambda: post_notify(body).content, b"success")


def refund_order(world):
    """An operator asks for all of it; the job that carries it out has scenes of its own."""
    world.staff = User.objects.create(username=f"operator {User.objects.count()}", is_staff=True)
    number, trade = ordered(world)
    world.come_back(world.buy(trade))
    return repeated(world, number, lambda: world.refund(number, key="one refund"), "RefundOrderSuccess")


REQUESTS = (create_order, pay_order, cancel_order, notify, confirm_return, refund_order)
SCENES: dict[str, Callable[[World], Scene]] = {
    **{task.__name__: task for task in REQUESTS},
    **{task.__name__: of_the_jobs(task) for task in JOBS},
}


def state(world, number):
    """All that an order has come to, without times and keys."""
    order = Order.objects.get(number=number)
    payments = order.payments.order_by("pk")
    trades = list(payments.values_list("out_trade_no", flat=True))
    money = world.simulator.money()
    messages = Notification.objects.filter(out_trade_no__in=trades)
    return {
        "order": order.status,
        "orders of the buyer": order.user.orders.count(),
        "keys of the buyer": IdempotencyKey.objects.filter(user=order.user).count(),
        "lines": order.lines.count(),
        "payments": [(p.status, p.refunding_fen, p.refunded_fen, p.next_query_at is None) for p in payments],
        "refunds": list(order.refunds.values_list("cause", "status", "amount_fen")),
        "events": sorted(event.name for event in order.events.all()),
        "told": sorted(Event.objects.filter(order_number=number).values_list("name", flat=True)),
        "messages": list(messages.values_list("verdict", "verified")),
        "open": Enrollment.objects.open().filter(line__order=order).count(),
        "closed": Enrollment.objects.filter(line__order=order).exclude(closed_at=None).count(),
        "money": [(money.get(no, {}).get("paid_fen"), money.get(no, {}).get("refunded_fen")) for no in trades],
        "moves": sum(len(money.get(no, {"refunds": []})["refunds"]) for no in trades),
        "discrepancies": Discrepancy.objects.filter(out_trade_no__in=trades).count(),
    }


def mended(world, number):
    """The next runs, once the dead one's lease has lapsed."""
    for pause in (LEASE, 4, LEASE, 600):
        world.wait(pause)
        world.jobs()
    return state(world, number)


# --- Dying ------------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    deaths: int = 0
    steps: int = 0
    wrongs: list[str] = field(default_factory=list)


def run_jobs_and_die(world, step, moment="before", protection=nullcontext):
    """The jobs, in a child, up to a step. Whether it died there; in the end the number of steps."""
    return run_and_die(world, world.jobs, step, moment, protection)


def run_and_die(world, act, step, moment="before", protection=nullcontext):
    """In a child: ``act``, up to a step. Whether it died there; in the end the number of steps."""
    shut(world)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        live(world, act, DeathWish(step, moment), writing, protection)
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


def live(world, act, wish, writing, protection):
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
            act()
        code, said = 0, str(wish.steps)
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(writing, said.encode()[-60_000:])
        os._exit(code)


def shut(world):
    """No connection may go through a fork."""
    world.simulator.book.close()
    hang_up()


def hang_up():
    """No thread may be opening the pool meanwhile: the child would find the pool's lock held for ever."""
    connection.close()
    if connection.vendor == "postgresql":
        assert publisher(os.getpid()).settle(PATIENCE_SECONDS)
        connection.close_pool()


def reopen(world):
    world.simulator.book._db = Book(world.simulator.config.book_path)._db


@contextmanager
def outlasting_world(keys: Path, folder: Path) -> Iterator[World]:
    """A world whose Alipay keeps its book in a file, is behind our time, and sends no notifies: only the jobs help.

    They are those that call the provider about one order; deliveries and bills die in tests of their own.
    """
    copytree(keys, folder)
    with (
        patch.object(jobs, "JOBS", (jobs.PAYMENTS, jobs.REFUNDS)),
        new_world(folder, in_memory=False, seed=None, skew=-1200, triggers=frozenset()) as world,
    ):
        yield world


def steps_of(world, make_scene):
    """How many steps the act has, and what it comes to where nobody dies."""
    scene = make_scene(world)
    died, steps = run_and_die(world, scene.act, NEVER)
    assert not died
    return steps, scene.again()


def enumerate_deaths(world, make_scene, protection=nullcontext):
    """A death at each step in a scene of its own."""
    report = Report()
    report.steps, expected = steps_of(world, make_scene)
    for step in range(1, report.steps + 2):
        scene = make_scene(world)
        last = step > report.steps
        at, moment = (report.steps, "after") if last else (step, "before")
        died, _ = run_and_die(world, scene.act, at, moment, protection)
        report.deaths += died
        report.wrongs += [f"step {step}: {wrong}" for wrong in aftermath(scene, expected)]
    return report


def aftermath(scene, expected):
    """What is wrong once the survivors have come again."""
    try:
        came_to = scene.again()
    except AssertionError as error:
        return [str(error)]
    return [f"{difference(expected, came_to)}"] if came_to != expected else []


def difference(expected, came_to):
    return {name: (expected[name], came_to[name]) for name in expected if expected[name] != came_to[name]}


@contextmanager
def no_transaction() -> Iterator[None]:
    """Each statement by itself, and so no row locks either, which PostgreSQL has only in a transaction."""
    with sabotage.no_transaction(), patch.object(QuerySet, "select_for_update", lambda rows, **how: rows):
        yield
