"""Orders as their buyer sees them."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

import strawberry
import strawberry_django
from django.utils import timezone

from backend.courses import models as course_models
from backend.orders import models
from backend.orders.models import OrderStatus, PayType
from backend.payments import models as payment_models
from backend.payments.checkout import pay_url
from backend.payments.models import Payment, PaymentStatus, ProviderName, RefundStatus
from backend.payments.watch import ask_soon
from backend.schema.access import Info, bad_request, buyer
from backend.schema.courses import Course
from backend.schema.pagination import After, Connection, First, Keyset, paginate
from backend.schema.peers import related
from backend.schema.scalars import Money, opaque_id

strawberry.enum(OrderStatus, description="Where an order stands. Refunds are rows of their own, never a status.")
strawberry.enum(PayType, description="How the buyer pays.")
strawberry.enum(RefundStatus, description="Where a refund stands.")


@strawberry.enum(description="How much of an order's money was given back.")
class OrderRefundState(Enum):
    NONE = "NONE"
    PARTIAL = "PARTIAL"
    FULL = "FULL"


SHORTEST_POLL = timedelta(seconds=2)
LONGEST_POLL = timedelta(seconds=15)


def payments_of(order: models.Order) -> list[Payment]:
    """The order's attempts, oldest first."""
    return related(order, "payments", Payment.objects.order_by("id"))


def received(order: models.Order) -> Payment | None:
    """The attempt that brought money, whatever the order's status."""
    return next((payment for payment in payments_of(order) if payment.status == PaymentStatus.PAID), None)


def order_pay_url(root: strawberry.Parent[models.Order]) -> str | None:
    if root.status != OrderStatus.UNPAID:
        return None
    return pay_url(root, payments_of(root)[-1], timezone.now())


def order_id(root: strawberry.Parent[models.Order]) -> strawberry.ID:
    return strawberry.ID(root.number)


def order_out_trade_no(root: strawberry.Parent[models.Order]) -> str:
    return payments_of(root)[-1].out_trade_no


def order_trade_no(root: strawberry.Parent[models.Order]) -> str | None:
    payment = received(root)
    return payment.trade_no if payment and payment.provider != ProviderName.FREE else None


def order_paid_at(root: strawberry.Parent[models.Order]) -> datetime | None:
    payment = received(root)
    return payment.paid_at if payment else None


def order_total(root: strawberry.Parent[models.Order]) -> Money:
    return Money(root.total_fen)


def order_lines(root: strawberry.Parent[models.Order]) -> list["OrderLine"]:
    return related(root, "lines", models.OrderLine.objects.select_related("course").order_by("id"))


def order_timeline(root: strawberry.Parent[models.Order]) -> list["OrderEvent"]:
    return related(root, "events", models.OrderEvent.objects.order_by("id"))


def order_is_terminal(root: strawberry.Parent[models.Order]) -> bool:
    return root.is_terminal


def order_next_poll(root: strawberry.Parent[models.Order]) -> int | None:
    """2 s at first, a fifteenth of the order's age later, 15 s at the most: quick while the buyer is at the cashier."""
    if root.is_terminal:
        return None
    age = timezone.now() - root.created_at
    return int(min(max(age / 15, SHORTEST_POLL), LONGEST_POLL) / timedelta(milliseconds=1))


def order_refunds(root: strawberry.Parent[models.Order]) -> list["Refund"]:
    return related(root, "refunds", payment_models.Refund.objects.order_by("id"))


def order_refunded_amount(root: strawberry.Parent[models.Order]) -> Money:
    return Money(sum(payment.refunded_fen for payment in payments_of(root)))


def order_refund_state(root: strawberry.Parent[models.Order]) -> OrderRefundState:
    if not order_refunded_amount(root):
        return OrderRefundState.NONE
    kept = sum(payment.held_fen for payment in payments_of(root))
    return OrderRefundState.PARTIAL if kept else OrderRefundState.FULL


def refund_id(root: strawberry.Parent[payment_models.Refund]) -> strawberry.ID:
    return opaque_id("refund", root.pk)


def refund_amount(root: strawberry.Parent[payment_models.Refund]) -> Money:
    return Money(root.amount_fen)


def line_id(root: strawberry.Parent[models.OrderLine]) -> strawberry.ID:
    return opaque_id("line", root.pk)


def line_price(root: strawberry.Parent[models.OrderLine]) -> Money:
    return Money(root.price_fen)


def line_real_price(root: strawberry.Parent[models.OrderLine]) -> Money:
    return Money(root.real_price_fen)


def line_course(root: strawberry.Parent[models.OrderLine]) -> Course:
    course: course_models.Course = root.course
    return course  # type: ignore[return-value]


def event_id(root: strawberry.Parent[models.OrderEvent]) -> strawberry.ID:
    return opaque_id("event", root.pk)


@strawberry_django.type(models.OrderLine, description="One course of an order, as it was at purchase.")
class OrderLine:
    id: strawberry.ID = strawberry.field(resolver=line_id, description="Opaque.")
    course: Course = strawberry.field(resolver=line_course, description="The course as it is now.")
    name: strawberry.auto = strawberry_django.field(description="Its name at purchase.")
    price: Money = strawberry.field(resolver=line_price, description="Its list price at purchase.")
    real_price: Money = strawberry.field(resolver=line_real_price, description="What the buyer pays for it.")


@strawberry_django.type(models.OrderEvent, description="Something that happened to an order.")
class OrderEvent:
    id: strawberry.ID = strawberry.field(resolver=event_id, description="Opaque.")
    name: strawberry.auto = strawberry_django.field(description='Noun and past tense: "order.paid".')
    at: strawberry.auto = strawberry_django.field(description="When.")
    detail: strawberry.auto = strawberry_django.field(description="More about it, for people.")


@strawberry_django.type(payment_models.Refund, description="Money on its way back, or back.")
class Refund:
    id: strawberry.ID = strawberry.field(resolver=refund_id, description="Opaque.")
    amount: Money = strawberry.field(resolver=refund_amount, description="How much.")
    status: RefundStatus = strawberry_django.field(description="Where it stands.")
    reason: strawberry.auto = strawberry_django.field(description="Why.")
    created_at: strawberry.auto = strawberry_django.field(description="When it was asked for.")


@strawberry_django.type(models.Order, description="One purchase. Its lines and its total never change.")
class Order:
    id: strawberry.ID = strawberry.field(resolver=order_id, description="Opaque.")
    number: strawberry.auto = strawberry_django.field(description="For people and support.")
    out_trade_no: str = strawberry.field(resolver=order_out_trade_no, description="Of the newest payment attempt.")
    subject: strawberry.auto = strawberry_django.field(description="What the order is called, for display.")
    total_amount: Money = strawberry.field(resolver=order_total, description="What it costs, in all.")
    status: OrderStatus = strawberry_django.field(description="Where it stands.")
    pay_type: PayType = strawberry_django.field(description="How it is paid.")
    lines: list[OrderLine] = strawberry.field(resolver=order_lines, description="Its courses.")
    created_at: strawberry.auto = strawberry_django.field(description="When it was placed.")
    expires_at: strawberry.auto = strawberry_django.field(description="Until when it can be paid.")
    paid_at: datetime | None = strawberry.field(
        resolver=order_paid_at, description="When the money came, whatever the status."
    )
    trade_no: str | None = strawberry.field(resolver=order_trade_no, description="The provider's number, once paid.")
    pay_url: str | None = strawberry.field(
        resolver=order_pay_url, description="Where to pay, while it can be paid; null otherwise."
    )
    refund_state: OrderRefundState = strawberry.field(
        resolver=order_refund_state, description="NONE without a refund, FULL when no money is kept, PARTIAL otherwise."
    )
    refunded_amount: Money = strawberry.field(
        resolver=order_refunded_amount, description="What has been given back, in all."
    )
    refunds: list[Refund] = strawberry.field(resolver=order_refunds, description="Every refund, oldest first.")
    timeline: list[OrderEvent] = strawberry.field(resolver=order_timeline, description="Its history, in order of time.")
    is_terminal: bool = strawberry.field(resolver=order_is_terminal, description="The client may stop polling.")
    next_poll_after_ms: int | None = strawberry.field(
        resolver=order_next_poll, description="When to ask again; null when terminal; grows with the order's age."
    )

    @strawberry.field(description="The server's clock, so that a count-down survives a wrong client clock.")
    def server_time(self) -> datetime:
        return timezone.now()


def key_of(number: str) -> int | None:
    """The primary key behind an order's number: a cursor tells no more than the number does."""
    return models.Order.objects.filter(number=number).values_list("pk", flat=True).first() if number.isalnum() else None


NEWEST_FIRST = Keyset(newest_first=True, cursor_of=lambda order: str(order.number), key_of=key_of)


def visible_to(info: Info) -> models.OrderQuerySet:
    """The orders that whoever asks may see: their own, and staff everyone's."""
    user = buyer(info)
    return models.Order.objects.all() if user.is_staff else models.Order.objects.filter(user_id=user.pk)


@strawberry.type
class OrdersQuery:
    @strawberry.field(
        description="One's own order, by id or by the number of any of its payment attempts (exactly one of the two);"
        " null for all else."
    )
    def order(self, info: Info, id: strawberry.ID | None = None, out_trade_no: str | None = None) -> Order | None:
        orders = visible_to(info)
        if (id is None) == (out_trade_no is None):
            raise bad_request("Give either id or outTradeNo.")
        asked = id if out_trade_no is None else out_trade_no
        if not asked or "\x00" in asked or len(asked) > 64:
            return None
        by_number = orders.filter(number=asked)
        found = (by_number if out_trade_no is None else orders.filter(payments__out_trade_no=asked)).first()
        if found is not None and not found.is_terminal:
            ask_soon(found.pk)
        return found  # type: ignore[return-value]

    @strawberry.field(description="One's own orders, newest first.")
    def orders(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        status: Annotated[
            list[OrderStatus] | None, strawberry.argument(description="Only orders that stand so.")
        ] = None,
    ) -> Connection[Order]:
        rows = models.Order.objects.filter(user_id=buyer(info).pk)
        if status is not None:
            rows = rows.filter(status__in=status)
        return paginate(rows, NEWEST_FIRST, first=first, after=after)
