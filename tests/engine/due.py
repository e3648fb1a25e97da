"""Orders whose time is over, many at once; and what must be true when each of them has ended."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.utils import timezone

from alipay_simulator.control import Control
from backend.accounts.models import User
from backend.courses.models import Course, Enrollment
from backend.events.models import Delivery, Event
from backend.orders.models import Order, OrderEvent, OrderLine, OrderStatus
from backend.payments.models import Discrepancy, Payment, PaymentStatus
from backend.payments.providers.base import PayRequest
from backend.payments.registry import get_provider
from tests.events.endpoint import Received

PRICE_FEN = 3900
MINUTES_5 = timedelta(minutes=5)


@dataclass(frozen=True)
class Due:
    """What was made due: how many in all, and the numbers of the payments that buyers had visited and paid."""

    total: int
    visited: frozenset[str] = frozenset()
    paid: frozenset[str] = frozenset()


def make_due(count: int, *, visited: int = 0, paid: int = 0, control: Control | None = None) -> Due:
    """So many orders that ran out five minutes ago; a few whose buyers were at the cashier, a few paid unheard."""
    payments = make_orders(count)
    at_cashier, payers = payments[:visited], payments[visited : visited + paid]
    if control is not None:
        for payment in at_cashier:
            control.scan(pay_url(payment))
        for payment in payers:
            control.pay(pay_url(payment), "stay")
    return Due(count, numbers(at_cashier), numbers(payers))


def make_orders(count: int) -> list[Payment]:
    ended = timezone.now() - MINUTES_5
    began = ended - timedelta(minutes=30)
    course = Course.objects.create(name="Python 全栈开发", price_fen=PRICE_FEN)
    first = User.objects.count()
    users = User.objects.bulk_create(User(username=f"due{first + number}") for number in range(count))
    orders = Order.objects.bulk_create(
        Order(
            user=user, subject=course.name, total_fen=PRICE_FEN, basket_hash="-", created_at=began, expires_at=ended
        )
        for user in users
    )  # fmt: skip
    line = {"course": course, "name": course.name, "price_fen": PRICE_FEN, "real_price_fen": PRICE_FEN}
    OrderLine.objects.bulk_create(OrderLine(order=order, **line) for order in orders)
    OrderEvent.objects.bulk_create(OrderEvent(order=order, name="order.created", at=began) for order in orders)
    return Payment.objects.bulk_create(
        Payment(
            order=order, provider="alipay", amount_fen=PRICE_FEN, created_at=began, expires_at=ended,
            next_query_at=ended,
        )
        for order in orders
    )  # fmt: skip


def pay_url(payment: Payment) -> str:
    """At the simulator. Good for five minutes more: Alipay opens no cashier whose time is over."""
    asked = PayRequest(payment.out_trade_no, payment.amount_fen, "课程订单", timezone.now() + MINUTES_5)
    return f"/gateway.do?{urlsplit(get_provider('alipay').pay(asked)).query}"


def numbers(payments: Iterable[Payment]) -> frozenset[str]:
    return frozenset(payment.out_trade_no for payment in payments)


def ended() -> int:
    return Order.objects.exclude(status=OrderStatus.UNPAID).count()


def is_all_done(due: Due) -> bool:
    """Each order has ended, each event has its delivery, and each delivery is done: looked at in this order."""
    if ended() < due.total or Event.objects.exclude(dispatch_at=None).exists():
        return False
    return not Delivery.objects.exclude(status="DELIVERED").exists()


def wrongs(due: Due, received: list[Received]) -> list[str]:
    """Whatever is not as it must be once all is done; empty for sound books."""
    timed_out = due.total - len(due.paid)
    history = OrderEvent.objects.exclude(name="order.created").values_list("order_id", "name")
    twice = [f"{name} of order {order} {times} times" for (order, name), times in Counter(history).items() if times > 1]
    told = Counter(Event.objects.values_list("order_number", "name"))
    twice += [f"{name} of {number} told as {times} events" for (number, name), times in told.items() if times > 1]
    names = Counter(name for _, name in history)
    has = {
        "orders by status": (by_status(Order), {"TIMED_OUT": timed_out, "PAID": len(due.paid)}),
        "payments by status": (by_status(Payment), {"CLOSED": timed_out, "PAID": len(due.paid)}),
        "who paid": (numbers(Payment.objects.filter(status=PaymentStatus.PAID)), due.paid),
        "courses open": (Enrollment.objects.open().count(), len(due.paid)),
        "history": (+names, +Counter(expected_history(timed_out, len(due.paid)))),
        "events": (
            +Counter(Event.objects.values_list("name", flat=True)),
            +Counter({n: c for n, c in expected_history(timed_out, len(due.paid)).items() if n != "payment.closed"}),
        ),
        "heard of": ({request.key for request in received}, set(Event.objects.values_list("key", flat=True))),
        "forged": ([request.key for request in received if not request.genuine], []),
        "discrepancies": (list(Discrepancy.objects.values_list("kind", "detail")), []),
        "still due": (Payment.objects.exclude(next_query_at=None).count(), 0),
    }
    return twice + [f"{what}: {have}, not {want}" for what, (have, want) in has.items() if without_none(have) != want]


def without_none(have: object) -> object:
    return {name: count for name, count in have.items() if count} if isinstance(have, dict) else have


def expected_history(timed_out: int, paid: int) -> dict[str, int]:
    return {"order.timed_out": timed_out, "payment.closed": timed_out, "order.paid": paid, "enrollment.opened": paid}


def by_status(model: type[Order] | type[Payment]) -> dict[str, int]:
    return dict(Counter(model.objects.values_list("status", flat=True)))
