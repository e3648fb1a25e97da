"""A day of the shop and its bill: purchases of every kind, the morning after, and all that the shop wrote down."""

from datetime import date, datetime, time, timedelta

from backend.accounts.models import User
from backend.courses.models import Enrollment
from backend.events.models import Delivery, Event
from backend.orders.models import Order, OrderEvent
from backend.payments import jobs
from backend.payments.bills import compare, take
from backend.payments.models import Bill, BilledRefund, Discrepancy, Notification, Payment, Refund
from tests.lifecycle.world import REFUND
from tests.shop import BEIJING

DAY = date(2026, 11, 23)
"""The worlds begin at its noon, in Beijing."""

TABLES = (Order, OrderEvent, Payment, Refund, BilledRefund, Discrepancy, Notification, Enrollment, Event, Delivery)
MANY = 99


def tables():
    """Every row of all that a bill may touch, but for the bills themselves."""
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in TABLES}


def order(world, *basket):
    """An unpaid order of a new buyer: its number and its trade's."""
    world.buyers[0] = User.objects.create(username=f"one more {User.objects.count()}")
    made = world.create(0, list(basket or (1,)))["order"]
    return made["id"], made["outTradeNo"]


def deaf(world, trade):
    """No notify of this trade will ever arrive."""
    world.simulator.fault("notify", "drop_all", out_trade_no=trade, times=MANY)


def sold(world, *basket):
    """Paid and told: the order's number and its trade's."""
    number, trade = order(world, *basket)
    assert world.buy(trade)
    world.deliver_all()
    assert Payment.objects.get(out_trade_no=trade).status == "PAID"
    return number, trade


def sold_untold(world, *basket):
    """Paid, and nobody told the shop."""
    number, trade = order(world, *basket)
    deaf(world, trade)
    assert world.buy(trade)
    world.deliver_all()
    assert Payment.objects.get(out_trade_no=trade).status == "OPEN"
    return number, trade


def refund(world, number, fen=None):
    """An operator's refund, not carried out yet."""
    assert world.refund(number, fen)["__typename"] == "RefundOrderSuccess"
    return Refund.objects.get(order__number=number)


def refund_done_there(world, number, fen=None):
    """An operator's refund that Alipay has carried out and whose answer was lost: pending here."""
    row = refund(world, number, fen)
    world.simulator.fault(REFUND, "timeout_after", out_trade_no=row.payment.out_trade_no)
    jobs.REFUNDS.run()
    row.refresh_from_db()
    assert row.status == "PENDING"
    assert world.simulator.money()[row.payment.out_trade_no]["refunded_fen"] == row.amount_fen
    return row


def wait_until(world, day, hour, minute=0, second=0):
    """Beijing's clock."""
    then = datetime.combine(day, time(hour, minute, second), BEIJING)
    world.wait((then - world.now()).total_seconds())


def morning_after(world, day=DAY):
    """When the day's bill is ready."""
    wait_until(world, day + timedelta(days=1), 10, 31)


def compare_now(day=DAY):
    """What the command does: the summary."""
    return compare(take(day))


def findings():
    """The kinds of the open discrepancies of bills, by the trade's number."""
    found = {}
    for row in Discrepancy.objects.filter(closed_at=None, key__startswith="bill:").order_by("pk"):
        found.setdefault(row.out_trade_no, []).append(row.kind)
    return found


def counts(summary):
    """The kinds that were found, with how often."""
    return {kind: count for kind, count in summary.found.items() if count}


def rows():
    """Every bill's day and status."""
    return list(Bill.objects.order_by("day").values_list("day", "status"))


def spoil(world, kind, trade="", **more):
    """Something is wrong with every bill that comes."""
    world.simulator.fault("bill", kind, out_trade_no=trade, times=MANY, **more)
