"""The life of an order: the only writer of its status. The caller holds the order's lock, in a transaction."""

from datetime import datetime

from backend import live
from backend.courses.enrollment import close_access, open_access
from backend.orders.models import Order, OrderEvent, OrderLine, OrderStatus
from backend.prepared import Argument, Prepared, insert_all

ENDINGS = ("order.cancelled", "order.timed_out")
_LINES = Prepared(lambda: OrderLine.objects.filter(order_id=Argument("order_id")).order_by("course_id"))


def mark_paid(order: Order, *, paid_at: datetime, now: datetime, detail: str = "") -> list[OrderLine]:
    """The money is here: the order is PAID and its courses are open, in one transaction. Raises MoveRefused.

    Returns the lines whose course stays as it was, because the buyer owned it already: their money goes back.
    """
    order.move_to(OrderStatus.PAID, paid_at=paid_at)
    lines = _LINES.all(order_id=order.pk)
    opened = open_access(user_id=order.user_id, line_ids={line.course_id: line.pk for line in lines}, at=now)
    events = [OrderEvent(order=order, name="order.paid", at=now, detail=detail)]
    if opened:
        events.append(OrderEvent(order=order, name="enrollment.opened", at=now, detail=courses(len(opened))))
    insert_all(events)
    live.announce(order.number)
    return [line for line in lines if line.course_id not in opened]


def mark_cancelled(order: Order, *, now: datetime) -> None:
    """The buyer's word: CANCELLED at once, its courses free again. Raises MoveRefused."""
    order.move_to(OrderStatus.CANCELLED)
    record(order, "order.cancelled", at=now)


def mark_timed_out(order: Order, *, now: datetime) -> None:
    """The clock's word, once nothing can be paid for it any more. Raises MoveRefused."""
    order.move_to(OrderStatus.TIMED_OUT)
    record(order, "order.timed_out", at=now)


def end_access(order: Order, *, course_ids: list[int] | None, now: datetime) -> None:
    """Close what this order opened: all of it, or the courses named."""
    if closed := close_access(order_id=order.pk, course_ids=course_ids, at=now):
        record(order, "enrollment.closed", at=now, detail=courses(closed))


def record(order: Order, name: str, *, at: datetime, detail: str = "") -> None:
    """Add a line to the order's history."""
    insert_all([OrderEvent(order=order, name=name, at=at, detail=detail[:200])])
    if order.status == OrderStatus.UNPAID or name in ENDINGS:  # nobody waits for an order that has ended
        live.announce(order.number)


def courses(count: int) -> str:
    return f"{count} course" if count == 1 else f"{count} courses"
