"""The oracle: what must be true of an order and all that belongs to it, however it came about."""

from backend.courses.models import Enrollment
from backend.orders.models import Order, OrderStatus
from backend.payments.models import PaymentStatus


def wrongs(order: Order) -> list[str]:
    """What does not fit together; empty for sound books."""
    order.refresh_from_db()
    paid = order.status == OrderStatus.PAID
    lines = order.lines.count()
    found = {
        "PAID payments": (order.payments.filter(status=PaymentStatus.PAID).count(), int(paid)),
        "order.created events": (order.events.filter(name="order.created").count(), 1),
        "order.paid events": (order.events.filter(name="order.paid").count(), int(paid)),
        "enrollment.opened events": (order.events.filter(name="enrollment.opened").count(), int(paid)),
        "open enrolments": (Enrollment.objects.open().filter(line__order=order).count(), lines if paid else 0),
        "lines' sum": (sum(order.lines.values_list("real_price_fen", flat=True)), order.total_fen),
        "open payments": (order.payments.filter(status=PaymentStatus.OPEN).count(), int(not paid)),
    }
    return [f"{order.status}: {what}: {have}, not {due}" for what, (have, due) in found.items() if have != due]


def assert_paid_once(order: Order) -> None:
    assert wrongs(order) == []
    assert order.status == OrderStatus.PAID
