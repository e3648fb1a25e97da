"""Orders as their buyer sees them."""

from datetime import datetime, timedelta
from enum import Enum

import strawberry
import strawberry_django
from django.utils import timezone

from backend.courses import models as course_models
from backend.orders import models
from backend.orders.models import OrderStatus, PayType
from backend.payments import models as payment_models
from backend.payments.checkout import pay_url
from backend.payments.models import Payment, PaymentStatus, ProviderName, RefundStatus
from backend.schema.courses import Course
from backend.schema.enums import describe
from backend.schema.peers import as_peers, peers_of, related
from backend.schema.scalars import Money, opaque_id

describe(
    OrderStatus,
    "Where an order stands. Refunds are rows of their own, never a status.",
    UNPAID="Waiting for money.",
    PAID="The money came, and the courses are open.",
    CANCELLED="The buyer gave it up. Money that comes for it is given back.",
    TIMED_OUT="Its time to pay is over. Money that was on its way can still make it PAID.",
)
describe(PayType, "How the buyer pays.", ALIPAY="Alipay.", WECHAT_PAY="WeChat Pay; not offered yet.")
describe(
    RefundStatus,
    "Where a refund stands.",
    PENDING="On its way; asked for until the provider says yes or no.",
    SUCCEEDED="The money is back with the buyer.",
    FAILED="The provider refused it for good.",
)


@strawberry.enum(description="How much of an order's money was given back.")
class OrderRefundState(Enum):
    NONE = strawberry.enum_value("NONE", description="Nothing was given back.")
    PARTIAL = strawberry.enum_value("PARTIAL", description="A part was given back; money is still kept.")
    FULL = strawberry.enum_value("FULL", description="No money is kept.")


PAYMENTS = Payment.objects.order_by("id")
LINES = models.OrderLine.objects.select_related("course").order_by("id")
EVENTS = models.OrderEvent.objects.order_by("id")
REFUNDS = payment_models.Refund.objects.order_by("id")
SHORTEST_POLL = timedelta(seconds=2)
LONGEST_POLL = timedelta(seconds=15)


def payments_of(order: models.Order) -> list[Payment]:
    """The order's attempts, oldest first."""
    return related(order, "payments", PAYMENTS)


def received(order: models.Order) -> Payment | None:
    """The attempt that brought money, whatever the order's status; an unpaid order has had none."""
    if order.status == OrderStatus.UNPAID:
        return None
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
    lines: list[OrderLine] = related(root, "lines", LINES)
    if lines and "_peers" not in lines[0].course.__dict__:
        # What is asked of one course is asked of all of the buyer's on this page.
        orders = [order for order in peers_of(root) if order.user_id == root.user_id]
        as_peers([line.course for order in orders for line in related(order, "lines", LINES)])
    return lines


def order_timeline(root: strawberry.Parent[models.Order]) -> list["OrderEvent"]:
    return related(root, "events", EVENTS)


def order_is_terminal(root: strawberry.Parent[models.Order]) -> bool:
    return root.is_terminal


def order_next_poll(root: strawberry.Parent[models.Order]) -> int | None:
    """2 s at first, a fifteenth of the order's age later, 15 s at the most: quick while the buyer is at the cashier."""
    if root.is_terminal:
        return None
    age = timezone.now() - root.created_at
    return int(min(max(age / 15, SHORTEST_POLL), LONGEST_POLL) / timedelta(milliseconds=1))


def order_refunds(root: strawberry.Parent[models.Order]) -> list["Refund"]:
    return related(root, "refunds", REFUNDS)


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
