"""T6: the same payment, told by many at once. Everyone hears ``success``, and it is had once."""

from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any

from backend.courses.models import Enrollment
from backend.events.models import Event
from backend.orders.models import Order
from backend.payments.models import Notification, Payment
from tests.concurrency import child
from tests.concurrency.books import wrongs
from tests.shop import AlipaySide
from torture.crowd import Crowd, Work, crowd
from torture.customers import courses, new_order
from torture.trial import Tally, Trial, dice

GATE_SIZE, LONG_SIZE = 8, 16
GATE = 60
COPIES = 4
"""How many different messages of one payment there are at the most: Alipay signs its repeats anew."""
SUCCESS = (200, "success")


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    cases = list(cases)
    size = GATE_SIZE if max(cases, default=0) < GATE else LONG_SIZE
    with crowd(size) as people:
        race_all(cases, seed, tally, people)


def race_all(
    cases: Iterable[int], seed: int, tally: Tally, people: Crowd, spoilt: Callable[[Work], Work] = lambda work: work
) -> None:
    """``spoilt`` takes a protection out, for the negative control."""
    alipay, stock = AlipaySide(), courses()
    for case in cases:
        luck = dice(seed, case)
        order = new_order(luck.sample(stock, luck.choice((1, 2, 3))))
        bodies = messages(alipay, order.payments.get(), luck, len(people.pipes))
        answers = people.race([spoilt(partial(child.notify, body)) for body in bodies])
        tally.count("notifies", len(answers))
        tally.count("orders")
        for wrong in [*refusals(answers), *effects(order, bodies)]:
            tally.violation(case, wrong)
        tally.case_done()


def messages(alipay: AlipaySide, payment: Payment, luck: Random, size: int) -> list[str]:
    """One message for all, or a few: Alipay's repeats have a time and so a signature of their own."""
    times = [f"2026-11-22 14:48:{second:02d}" for second in range(luck.choice((1, 1, 2, COPIES)))]
    copies = [alipay.paid_notify(payment, notify_time=at) for at in times]
    return [copies[number % len(copies)] for number in range(size)]


def refusals(answers: list[Any]) -> list[str]:
    return [f"answered {answer}" for answer in answers if answer != SUCCESS]


def effects(order: Order, bodies: list[str]) -> list[str]:
    """What does not fit together once all of them are answered."""
    found = wrongs(order)
    trade = order.payments.get().out_trade_no
    kept = list(Notification.objects.filter(out_trade_no=trade).values_list("verdict", "times_received"))
    due = {
        "status": (order.status, "PAID"),
        "enrolments": (Enrollment.objects.filter(line__order=order).count(), order.lines.count()),
        "order.paid in the outbox": (Event.objects.filter(order_number=order.number, name="order.paid").count(), 1),
        "messages": (sorted(kept), sorted([("APPLIED", bodies.count(body)) for body in set(bodies)])),
    }
    return found + [f"{what}: {have}, not {wanted}" for what, (have, wanted) in due.items() if have != wanted]


TRIAL = Trial(
    name="T6",
    title="Concurrent duplicates of one notify",
    unit="orders, each told of by 8 processes at once in the gate, by 16 in the long run",
    gate=GATE,
    long=1000,
    database="postgres",
    run=run,
    batch=200,
)
