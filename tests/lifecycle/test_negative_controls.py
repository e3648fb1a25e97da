"""Each invariant is fed books in which it is broken, and must say so: an oracle that never turns red sees nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from backend.courses.models import Enrollment
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderLine
from backend.payments import jobs
from backend.payments.models import Discrepancy, Notification, Payment, Refund
from tests.lifecycle.invariants import i8_acknowledged

pytestmark = pytest.mark.django_db


@pytest.fixture
def life(make_world):
    """Sound books with something of everything: paid and refunded in part, unpaid, cancelled."""
    world, witness = make_world()
    first = world.create(0, [0, 1], key="k")["order"]
    world.buy(first["outTradeNo"])
    world.deliver_all()
    world.refund(first["id"], 3900, closing=[world.courses[1].pk])
    world.jobs()
    world.deliver_all()
    world.create(1, [0])
    world.cancel(world.create(1, [1])["order"]["id"])
    assert witness.look() == []
    unconstrained()
    return world, witness


def unconstrained():
    """The database itself would refuse most of these."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.execute("DROP INDEX one_unpaid_order_per_basket")
            cursor.execute("DROP INDEX one_open_enrollment")
            return
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is still to be checked would hold the tables
        for model in (Order, OrderLine, Payment, Refund, Enrollment):
            table = model._meta.db_table
            cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [table])
            for (name,) in cursor.fetchall():
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        cursor.execute("DROP INDEX one_unpaid_order_per_basket")
        cursor.execute("DROP INDEX one_open_enrollment")


@pytest.fixture(autouse=True)
def constrained_again(db):
    yield
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


def the(model, **where):
    return model.objects.filter(**where)


def of_first(model):
    return model.objects.order_by("id")[:1].get()


def again(row, **changes):
    """A second row like this one."""
    row.pk, row._state.adding = None, True
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()


CORRUPTIONS = {
    "I1": {
        "a refund that Alipay never made": lambda: the(Payment, status="PAID").update(refunded_fen=3901),
        "money that nobody paid": lambda: the(Payment, order__status="UNPAID").update(
            status="PAID", trade_no="T", paid_at=timezone.now()
        ),
    },
    "I2": {
        "an enrolment is deleted": lambda: of_first(Enrollment).delete(),
        "a course is closed by nobody": lambda: the(Enrollment, closed_at=None).update(closed_at=timezone.now()),
        "one more that is open": lambda: again(of_first(Enrollment), line=OrderLine.objects.last()),
        "one of nobody's line": lambda: the(Enrollment, closed_at=None).update(line=None),
        "open, and all money is back": lambda: (
            the(Payment, status="PAID").update(refunded_fen=15600),
            the(Refund, cause="STAFF").update(amount_fen=15600),
        ),
    },
    "I3": {
        "an order that forgot its money": lambda: the(Order, status="PAID").update(status="UNPAID"),
    },
    "I4": {
        "PAID and no attempt is": lambda: the(Order, status="UNPAID").update(status="PAID", paid_at=timezone.now()),
        "paid by another trade": lambda: the(Payment, status="PAID").update(trade_no="another"),
        "a fen more than at Alipay": lambda: the(Payment, status="PAID").update(amount_fen=15601),
    },
    "I5": {
        "an order falls back": lambda: the(Order, status="CANCELLED").update(status="UNPAID"),
        "an order is cancelled after it was paid": lambda: the(Order, status="PAID").update(status="CANCELLED"),
        "a payment opens again": lambda: the(Payment, status="CLOSING").update(status="OPEN"),
        "a refund starts again": lambda: the(Refund).update(status="PENDING", next_try_at=timezone.now()),
        "a time of payment moves": lambda: the(Order, status="PAID").update(paid_at=timezone.now() + timedelta(1)),
        "a refund changes its amount": lambda: the(Refund).update(amount_fen=3899),
    },
    "I6": {
        "a fen more under way": lambda: the(Payment, status="PAID").update(refunding_fen=1),
        "more going back than was paid": lambda: (
            the(Payment, status="PAID").update(refunding_fen=20000),
            again(of_first(Refund), out_request_no="more", amount_fen=20000, status="PENDING", idempotency_key="z"),
        ),
        "a refund under another number": lambda: the(Refund).update(out_request_no="another"),
        "failed, and Alipay has done it": lambda: (
            the(Refund).update(status="FAILED"),
            the(Payment, status="PAID").update(refunded_fen=0),
        ),
        "the same automatic refund twice": lambda: [
            again(of_first(Refund), out_request_no=f"o{n}", cause="LATE", idempotency_key=f"o{n}") for n in range(2)
        ],
    },
    "I7": {
        "two unpaid orders for one course": lambda: (
            the(Order, user_id=of_first(Order).user_id + 1).update(status="UNPAID")
            and OrderLine.objects.filter(order=Order.objects.last()).update(course=OrderLine.objects.first().course_id)
        ),
        "a key forgotten": lambda: IdempotencyKey.objects.all().delete(),
        "a key's order exchanged": lambda: the(IdempotencyKey).update(order=Order.objects.last()),
        "cancelled and open": lambda: the(Payment, order__status="CANCELLED").update(status="OPEN"),
    },
    "I9": {
        "a price changes": lambda: the(OrderLine, order__status="PAID").update(price_fen=1, real_price_fen=1),
        "a name changes": lambda: the(OrderLine).update(name="another"),
        "a total changes": lambda: the(Order, status="UNPAID").update(total_fen=1),
        "a line is deleted": lambda: OrderLine.objects.last().delete(),
        "an event is removed": lambda: OrderEvent.objects.first().delete(),
        "an event is rewritten": lambda: the(OrderEvent, name="order.paid").update(detail="x"),
    },
}


@pytest.mark.parametrize(("name", "what"), [(name, what) for name in CORRUPTIONS for what in CORRUPTIONS[name]])
def test_broken_books_are_red(life, name, what):
    _, witness = life
    CORRUPTIONS[name][what]()
    found = witness.look()
    assert [wrong for wrong in found if wrong.startswith(name)], found


def test_an_answer_to_a_key_that_differs_is_red(life):
    world, witness = life
    next(iter(world.answers.values())).add("20261123000000000000")
    assert [wrong for wrong in witness.look() if wrong.startswith("I7")]


def test_money_moved_twice_at_alipay_is_red(life):
    world, witness = life
    book = world.simulator.book
    book.run(
        "INSERT INTO events (at, kind, out_trade_no, amount_fen, data)"
        " SELECT at, kind, out_trade_no, amount_fen, data FROM events WHERE kind IN ('refund.paid', 'payment.received')"
    )
    found = witness.look()
    assert [wrong for wrong in found if wrong.startswith("I6 Alipay moved money twice")], found
    assert [wrong for wrong in found if wrong.startswith("I1") and "31200" in wrong], found


FORGETTING = {
    "the payment": lambda: the(Payment, status="PAID").update(status="CLOSED"),
    "which trade": lambda: the(Payment, status="PAID").update(trade_no="another"),
    "the message": lambda: the(Notification).update(verdict="RECEIVED"),
    "the order": lambda: (
        the(Payment).update(out_trade_no=Payment.objects.last().out_trade_no[::-1])
        if Payment.objects.count() == 1
        else [the(Payment, pk=pk).update(out_trade_no=f"x{pk}") for pk in Payment.objects.values_list("pk", flat=True)]
    ),
    "the refund": lambda: the(Payment, status="PAID").update(refunded_fen=0, reported_refund_fen=0),
    "our refund's end": lambda: the(Refund).update(status="PENDING"),
}


@pytest.mark.parametrize("what", FORGETTING)
def test_i8_an_effect_that_was_acknowledged_and_is_not_there_is_red(life, what):
    world, _ = life
    forms = [dict(pair.split("=") for pair in one.form.split("&")) for one in world.arrived]
    assert {"TRADE_SUCCESS"} <= {form["trade_status"] for form in forms}
    assert [i8_acknowledged(form) for form in forms] == [[]] * len(forms)
    FORGETTING[what]()
    assert any(i8_acknowledged(form) for form in forms)


RESTLESS = {
    "L1": lambda: the(Payment, status="CLOSED").update(status="CLOSING"),
    "L1 asked": lambda: the(Payment, status="CLOSED").update(next_query_at=timezone.now()),
    "L2": lambda: the(Refund).update(status="PENDING"),
    "L3": lambda: the(Order, status="TIMED_OUT").update(status="UNPAID"),
    "I3 taken": lambda: the(Payment, status="PAID").update(status="CLOSED"),
    "I3 kept": lambda: the(Order, status="PAID").update(status="CANCELLED"),
    "I1": lambda: the(Payment, status="PAID").update(refunded_fen=3899),
}


@pytest.mark.parametrize("name", RESTLESS)
def test_what_has_not_come_to_rest_is_red(life, name):
    world, witness = life
    world.settle_down()
    assert witness.look_at_the_end() == []
    RESTLESS[name]()
    assert [wrong for wrong in witness.look_at_the_end() if wrong.startswith(name[:2])]


def test_a_traceback_in_the_log_is_red(life, monkeypatch):
    world, witness = life
    monkeypatch.setattr("backend.payments.watch.end_order", lambda *args: 1 / 0)
    world.settle_down(1)
    assert [wrong for wrong in witness.look() if wrong.startswith("L0") and "ZeroDivisionError" in wrong]


# --- The shop itself, with a mistake in it ----------------------------------------------------------------------------


MISTAKES = {
    "late money is kept": ("backend.payments.trades.give_back", lambda *args, **more: None),
    "a closed trade is believed to be unpaid": ("backend.payments.trades._was_paid", lambda trade: False),
    "a new number for each try": (
        "backend.payments.refunding.take_turn",
        lambda pk: (
            Refund.objects.filter(pk=pk).update(out_request_no=f"{pk}_{timezone.now():%H%M%S}")
            and Refund.objects.select_related("payment").get(pk=pk)
        ),
    ),
    "closing is not asked about": ("backend.payments.watch.not_there", lambda pk: None),
    "access outlives the money": ("backend.orders.lifecycle.end_access", lambda *args, **more: None),
    "no refund is ever due": ("backend.payments.jobs.try_refund", lambda pk: None),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_the_shop_is_found_by_one_afternoon(make_world, monkeypatch, what):
    target, instead = MISTAKES[what]
    refunds = replace(jobs.REFUNDS, work=instead) if what == "no refund is ever due" else jobs.REFUNDS
    monkeypatch.setattr(jobs, "JOBS", (jobs.PAYMENTS, refunds))
    if what != "no refund is ever due":
        monkeypatch.setattr(target, instead)
    world, witness = make_world()
    found = afternoon(world, witness)
    assert found, "nobody has noticed"


def test_the_same_afternoon_in_the_shop_as_it_is(make_world):
    world, witness = make_world()
    assert afternoon(world, witness) == []
    assert not Discrepancy.objects.exists()


def afternoon(world, witness):
    """Paid and refunded with a lost answer; cancelled and paid all the same; never opened; closed after full refund."""
    found = []
    first, second = world.create(0, [0, 1])["order"], world.create(1, [0])["order"]
    third, _fourth = world.create(0, [2])["order"], world.create(1, [3])["order"]
    world.buy(first["outTradeNo"])
    world.deliver_all()
    found += witness.look()
    visit = world.visit(second["outTradeNo"])
    world.scan(visit)
    world.cancel(second["id"])
    world.pay(visit)
    world.simulator.fault("alipay.trade.refund", "timeout_after")
    world.refund(first["id"])
    world.buy(third["outTradeNo"])
    world.console_refund(third["outTradeNo"], 1)
    while world.collect():
        world.lose()
    for _ in range(4):
        world.jobs()
        found += witness.look()
        world.wait(30)
    world.simulator.rules.triggers.clear()
    try:
        world.settle_down()
    except (AssertionError, Refund.DoesNotExist) as error:
        return [*found, f"it broke off: {error!r}"]
    return [*found, *witness.look_at_the_end()]
