"""The life of an order: the only writer of its status. The caller holds the order's lock, in a transaction."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from backend import live
from backend.courses.enrollment import close_access, open_access
from backend.events.outbox import tell
from backend.money import format_yuan
from backend.orders.models import Order, OrderEvent, OrderLine, OrderStatus
from backend.prepared import Argument, Prepared
from backend.status import Move, move_together
from backend.stored import insert_all

ENDINGS = ("order.cancelled", "order.timed_out")
_LINES = Prepared(lambda: OrderLine.objects.filter(order_id=Argument("order_id")).order_by("course_id"))


def mark_paid(order: Order, *, received: Move, paid_at: datetime, now: datetime, detail: str = "") -> list[OrderLine]:
    """The money is here: the order is PAID and its courses are open, in one transaction. Raises MoveRefused.

    ``received`` is what the same money does to its payment: both move, or neither.
    Returns the lines whose course stays as it was, because the buyer owned it already: their money goes back.
    """
    move_together(received, Move(order, OrderStatus.PAID, {"paid_at": paid_at}))
    lines = _LINES.all(order_id=order.pk)
    opened = open_access(user_id=order.user_id, line_ids={line.course_id: line.pk for line in lines}, at=now)
    events = [OrderEvent(order=order, name="order.paid", at=now, detail=detail)]
    facts = {"order.paid": {"order": told(order), "tradeNo": detail, "lines": [told_line(line) for line in lines]}}
    if opened:
        events.append(OrderEvent(order=order, name="enrollment.opened", at=now, detail=courses(len(opened))))
        facts["enrollment.opened"] = told_courses(order, opened)
    tell(facts, order_number=order.number, at=now, along_with=events)
    live.announce(order.number)
    return [line for line in lines if line.course_id not in opened]


def mark_cancelled(order: Order, *, now: datetime) -> None:
    """The buyer's word: CANCELLED at once, its courses free again. Raises MoveRefused."""
    order.move_to(OrderStatus.CANCELLED)
    record(order, "order.cancelled", at=now)
    tell({"order.cancelled": {"order": told(order)}}, order_number=order.number, at=now)


def mark_timed_out(order: Order, *, now: datetime) -> None:
    """The clock's word, once nothing can be paid for it any more. Raises MoveRefused."""
    order.move_to(OrderStatus.TIMED_OUT)
    record(order, "order.timed_out", at=now)
    tell({"order.timed_out": {"order": told(order)}}, order_number=order.number, at=now)


def mark_refunded(
    order: Order, *, received_fen: int, kept_fen: int, close_course_ids: list[int], now: datetime
) -> None:
    """Money went back. Access ends when nothing of it is kept; a partial refund ends what it names."""
    if kept_fen == 0:
        end_access(order, course_ids=None, now=now)
    elif close_course_ids:
        end_access(order, course_ids=close_course_ids, now=now)
    record(order, "order.refunded", at=now, detail=f"{format_yuan(kept_fen)} kept")
    sums = {"received": format_yuan(received_fen), "kept": format_yuan(kept_fen)}
    tell({"order.refunded": {"order": told(order), **sums}}, order_number=order.number, at=now)


def end_access(order: Order, *, course_ids: list[int] | None, now: datetime) -> None:
    """Close what this order opened: all of it, or the courses named."""
    if closed := close_access(order_id=order.pk, course_ids=course_ids, at=now):
        record(order, "enrollment.closed", at=now, detail=courses(len(closed)))
        tell({"enrollment.closed": told_courses(order, closed)}, order_number=order.number, at=now)


def record(order: Order, name: str, *, at: datetime, detail: str = "") -> None:
    """Add a line to the order's history."""
    insert_all([OrderEvent(order=order, name=name, at=at, detail=detail[:200])])
    if order.status == OrderStatus.UNPAID or name in ENDINGS:  # nobody waits for an order that has ended
        live.announce(order.number)


def courses(count: int) -> str:
    return f"{count} course" if count == 1 else f"{count} courses"


def told(order: Order) -> dict[str, Any]:
    """An order as other systems are told of it."""
    return {
        "number": order.number,
        "userId": str(order.user_id),
        "status": order.status,
        "totalAmount": format_yuan(order.total_fen),
        "createdAt": order.created_at,
        "paidAt": order.paid_at,
    }


def told_line(line: OrderLine) -> dict[str, Any]:
    price, real_price = format_yuan(line.price_fen), format_yuan(line.real_price_fen)
    return {"courseId": str(line.course_id), "name": line.name, "price": price, "realPrice": real_price}


def told_courses(order: Order, course_ids: Iterable[int]) -> dict[str, Any]:
    ids = [str(course_id) for course_id in sorted(course_ids)]
    return {"userId": str(order.user_id), "orderNumber": order.number, "courseIds": ids}
