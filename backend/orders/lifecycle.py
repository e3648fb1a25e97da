"""The life of an order: the only writer of its status. The caller holds the order's lock, in a transaction."""

from datetime import datetime

from backend.courses.enrollment import open_access
from backend.orders.models import Order, OrderEvent, OrderLine, OrderStatus
from backend.prepared import Argument, Prepared, insert_all

_LINES = Prepared(lambda: OrderLine.objects.filter(order_id=Argument("order_id")).order_by("course_id"))


def mark_paid(order: Order, *, paid_at: datetime, now: datetime, detail: str = "") -> None:
    """The money is here: the order is PAID and its courses are open, in one transaction. Raises MoveRefused."""
    order.move_to(OrderStatus.PAID, paid_at=paid_at)
    lines = {line.course_id: line.pk for line in _LINES.all(order_id=order.pk)}
    open_access(user_id=order.user_id, line_ids=lines, at=now)
    insert_all(
        [
            OrderEvent(order=order, name="order.paid", at=now, detail=detail),
            OrderEvent(order=order, name="enrollment.opened", at=now, detail=f"{len(lines)} courses"),
        ]
    )


def record(order: Order, name: str, *, at: datetime, detail: str = "") -> None:
    """Add a line to the order's history."""
    insert_all([OrderEvent(order=order, name=name, at=at, detail=detail)])
