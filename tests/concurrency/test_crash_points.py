"""kill -9 before and after every database statement of createOrder, payOrder and the notify: nothing lost or doubled.

The child dies by its own hand at step k; then the request is repeated until it is answered, as Alipay and a client's
retry do, and the books must be as if nothing had happened. k grows until the operation gets through.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from backend.accounts.models import User
from backend.courses.models import Course
from backend.orders.models import IdempotencyKey, Order, OrderStatus
from backend.orders.placement import check_basket
from backend.payments.checkout import check_out
from backend.payments.models import Notification, Payment, PaymentStatus
from tests.concurrency import child, sabotage
from tests.concurrency.books import wrongs
from tests.concurrency.processes import Part
from tests.shop import AlipaySide, Shopper, post_notify

pytestmark = pytest.mark.django_db(transaction=True)

MOST_STEPS = 60
ALIPAY = AlipaySide()


@dataclass
class Report:
    """What dying at every point did: how many processes died, and what was wrong after the repeat."""

    deaths: int = 0
    steps: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass
class Case:
    """One request to die in: the child's work, the repeat by the survivors, and what must be true then."""

    work: Callable[[], Any]
    repeat: Callable[[], None]
    judge: Callable[[], list[str]]


def enumerate_crashes(make_case: Callable[[int], Case], moments: tuple[str, ...] = ("before", "after")) -> Report:
    report = Report()
    number = 0
    for moment in moments:
        for step in range(1, MOST_STEPS):
            number += 1
            case = make_case(number)
            part = Part(partial(child.doomed, case.work, step=step, moment=moment))
            died = part.exit_code() == -signal.SIGKILL
            if died:
                report.deaths += 1
                part.end()
            else:
                report.steps, _ = part.answer()
                assert report.steps == step - 1, "it got through although it should have died"
            report.violations += [f"{moment} {step}: {wrong}" for wrong in aftermath(case)]
            if not died:
                break
        else:
            raise AssertionError(f"not through after {MOST_STEPS} steps")
    return report


def aftermath(case: Case) -> list[str]:
    """Come again, as whoever got no answer does, and look at the books."""
    try:
        case.repeat()
    except AssertionError as error:
        return [f"the repeat was refused: {error}"]
    return case.judge()


def new_buyer(number: int) -> Shopper:
    return Shopper.signed_in(User.objects.create_user(f"buyer{number}"))


def new_order(courses: list[Course], number: int) -> Order:
    basket = check_basket(
        course_ids=[str(course.pk) for course in courses],
        total_fen=sum(course.price_fen for course in courses),
        subject=None,
        pay_type="ALIPAY",
        idempotency_key=None,
    )
    return check_out(user_id=new_buyer(number).user.pk, basket=basket).order


def notify_case(courses: list[Course], number: int, protections: Callable[..., Any] | None = None) -> Case:
    order = new_order(courses, number)
    body = ALIPAY.paid_notify(order.payments.get())
    work = partial(child.notify, body)

    def repeat() -> None:
        assert post_notify(body).content == b"success"

    def judge() -> list[str]:
        found = wrongs(order)
        if order.status != OrderStatus.PAID:
            found.append(f"acknowledged, and the order is {order.status}")
        if Notification.objects.get(out_trade_no=order.payments.get().out_trade_no).verdict != "APPLIED":
            found.append("the message is not marked applied")
        return found

    return Case(partial(child.sabotaged, protections, work) if protections else work, repeat, judge)


def create_case(courses: list[Course], number: int, protections: Callable[..., Any] | None = None) -> Case:
    buyer = new_buyer(number)
    key = f"key {number}"
    given = {
        "courseIds": [str(course.pk) for course in courses],
        "totalAmount": "156.00",
        "idempotencyKey": key,
    }
    work = partial(child.create_order, buyer.token, given)
    seen = []

    def repeat() -> None:
        seen.extend(buyer.create_order(courses, idempotencyKey=key) for _ in range(2))

    def judge() -> list[str]:
        orders = list(Order.objects.filter(user=buyer.user))
        if len(orders) != 1:
            return [f"{len(orders)} orders"]
        found = wrongs(orders[0])
        if {answer.get("order", {}).get("id") for answer in seen} != {orders[0].number} or not seen[1]["replayed"]:
            found.append(f"answered {seen}")
        if IdempotencyKey.objects.filter(user=buyer.user).count() != 1:
            found.append("the key is not kept once")
        return found

    return Case(partial(child.sabotaged, protections, work) if protections else work, repeat, judge)


def pay_order_case(courses: list[Course], number: int) -> Case:
    """payOrder after the provider closed the first attempt: it opens a second one."""
    order = new_order(courses, number)
    Payment.objects.filter(order=order).update(status=PaymentStatus.CLOSED)
    buyer = Shopper.signed_in(order.user)

    def repeat() -> None:
        assert child.pay_order(buyer.token, order.number)["__typename"] == "PayOrderSuccess"

    def judge() -> list[str]:
        found = wrongs(order)
        if order.payments.count() != 2:
            found.append(f"{order.payments.count()} attempts")
        if (opened := order.events.filter(name="payment.opened").count()) != 1:
            found.append(f"{opened} payment.opened events")
        return found

    return Case(partial(child.pay_order, buyer.token, order.number), repeat, judge)


@pytest.mark.parametrize("make_case", [notify_case, create_case, pay_order_case])
def test_death_at_any_statement_loses_nothing_and_doubles_nothing(courses, make_case):
    report = enumerate_crashes(partial(make_case, courses[:2]))
    assert report.violations == []
    # Every statement has had its turn: twice as many deaths as steps, and more steps than a trivial operation has.
    assert report.deaths == 2 * report.steps
    assert report.steps >= 8


# On PostgreSQL createOrder writes all of it in one statement, which needs no transaction to be whole.
@pytest.mark.parametrize("make_case", [notify_case, pytest.param(create_case, marks=pytest.mark.sqlite)])
def test_control_without_the_transaction_some_deaths_show(courses, make_case):
    make = partial(make_case, courses[:2])
    report = enumerate_crashes(lambda number: make(number, protections=sabotage.no_transaction), moments=("before",))
    # Some deaths, not all: before the first statement nothing has happened yet, whoever handles it.
    assert len(report.violations) > 0
    assert not [wrong for wrong in report.violations if wrong.startswith("before 1:")]
