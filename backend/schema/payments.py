"""Buying: what creates an order, and what leads to its cashier and back."""

from typing import Annotated

import strawberry

from backend.errors import InvalidInput as InvalidInputError
from backend.errors import OrderNotFound as OrderNotFoundError
from backend.limits.quotas import CONFIRMATIONS, NEW_ORDERS, PAY_URLS
from backend.limits.throttle import client_address
from backend.orders.models import PayType
from backend.orders.placement import check_basket
from backend.payments.checkout import CheckedOut, cancel_order, check_out, pay_order
from backend.payments.providers.base import MessageRefused
from backend.payments.refunds import request_refund
from backend.payments.returns import confirm_return
from backend.schema.access import Info, buyer, staff
from backend.schema.errors import (
    AlreadyOwned,
    CoursesUnavailable,
    IdempotencyKeyReused,
    InvalidInput,
    NothingToRefund,
    OpenOrderExists,
    OrderNotCancellable,
    OrderNotFound,
    OrderNotPayable,
    PriceChanged,
    RateLimited,
    RefundTooLarge,
    typed_refusals,
)
from backend.schema.orders import Order, Refund
from backend.schema.peers import remember
from backend.schema.scalars import Money


@strawberry.input(description="A basket, and what the buyer was shown that it costs.")
class CreateOrderInput:
    course_ids: list[strawberry.ID] = strawberry.field(description="1 to 50 different courses.")
    total_amount: Money = strawberry.field(description="What the buyer saw; refused when the courses cost otherwise.")
    subject: str | None = strawberry.field(default=None, description="A name for the order, for display only.")
    pay_type: PayType = strawberry.field(default=PayType.ALIPAY, description="How to pay.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="1 to 128 printable ASCII characters: the same key gives the same order, for ever."
    )


@strawberry.input(description="An unpaid order to pay.")
class PayOrderInput:
    order_id: strawberry.ID = strawberry.field(description="The order's id.")
    pay_type: PayType | None = strawberry.field(default=None, description="Another way to pay than before.")


@strawberry.input(description="What the browser brought back from the cashier.")
class ConfirmReturnInput:
    query: str = strawberry.field(description='location.search as it stands, with or without "?".')


@strawberry.input(description="An unpaid order to give up.")
class CancelOrderInput:
    order_id: strawberry.ID = strawberry.field(description="The order's id.")


@strawberry.input(description="Money to give back.")
class RefundOrderInput:
    order_id: strawberry.ID = strawberry.field(description="The order's id.")
    amount: Money | None = strawberry.field(default=None, description="How much; all that is left when not given.")
    reason: str = strawberry.field(description="Why; the buyer sees it.")
    idempotency_key: str = strawberry.field(description="1 to 128 printable ASCII characters, per order.")
    close_course_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Courses that a partial refund closes; a full one closes all."
    )


@strawberry.type(description="The order is cancelled; its courses can be ordered again.")
class CancelOrderSuccess:
    order: Order = strawberry.field(description="As it stands now.")


@strawberry.type(description="The refund is under way.")
class RefundOrderSuccess:
    order: Order = strawberry.field(description="As it stands now.")
    refund: Refund = strawberry.field(description="What was asked for.")
    replayed: bool = strawberry.field(description="It was asked for already: this was a repeat.")


@strawberry.type(description="The order stands.")
class CreateOrderSuccess:
    order: Order = strawberry.field(description="As it stands now.")
    pay_url: str | None = strawberry.field(
        description="Where to pay; null when nothing is left to pay or it can no longer be paid."
    )
    replayed: bool = strawberry.field(description="It stood already: this was a repeat.")


@strawberry.type(description="The order can be paid.")
class PayOrderSuccess:
    order: Order = strawberry.field(description="As it stands now.")
    pay_url: str = strawberry.field(description="Where to pay.")


@strawberry.type(description="The return was Alipay's; whether it is paid, the order says.")
class ConfirmReturnSuccess:
    order: Order = strawberry.field(description="As it stands now.")
    verified: bool = strawberry.field(description="The signature is good. It proves no payment.")


CreateOrderResult = Annotated[
    CreateOrderSuccess
    | InvalidInput
    | IdempotencyKeyReused
    | CoursesUnavailable
    | AlreadyOwned
    | OpenOrderExists
    | PriceChanged
    | RateLimited,
    strawberry.union("CreateOrderResult", description="The order, or why there is none."),
]
PayOrderResult = Annotated[
    PayOrderSuccess | OrderNotFound | OrderNotPayable | AlreadyOwned | InvalidInput | RateLimited,
    strawberry.union("PayOrderResult", description="Where to pay, or why not."),
]
ConfirmReturnResult = Annotated[
    ConfirmReturnSuccess | OrderNotFound | InvalidInput | RateLimited,
    strawberry.union("ConfirmReturnResult", description="What the return was about, or why it was not taken."),
]


CancelOrderResult = Annotated[
    CancelOrderSuccess | OrderNotFound | OrderNotCancellable,
    strawberry.union("CancelOrderResult", description="The cancelled order, or why it is not."),
]
RefundOrderResult = Annotated[
    RefundOrderSuccess | OrderNotFound | NothingToRefund | RefundTooLarge | IdempotencyKeyReused | InvalidInput,
    strawberry.union("RefundOrderResult", description="The refund, or why there is none."),
]


@strawberry.type
class PaymentsMutation:
    @strawberry.mutation(description="Order courses at the price shown, and get the URL to pay them at.")
    @typed_refusals
    def create_order(
        self, info: Info, input: Annotated[CreateOrderInput, strawberry.argument(description="What to order.")]
    ) -> CreateOrderResult:
        user = buyer(info)
        basket = check_basket(
            course_ids=input.course_ids,
            total_fen=input.total_amount,
            subject=input.subject,
            pay_type=input.pay_type,
            idempotency_key=input.idempotency_key,
        )
        with NEW_ORDERS.for_new(user.pk, client_address(info.context.request)) as use:
            done = check_out(user_id=user.pk, basket=basket)
            use.made = not done.replayed
        return CreateOrderSuccess(order=as_order(done), pay_url=done.pay_url, replayed=done.replayed)

    @strawberry.mutation(description="A fresh URL for an unpaid order.")
    @typed_refusals
    def pay_order(
        self, info: Info, input: Annotated[PayOrderInput, strawberry.argument(description="Which order to pay.")]
    ) -> PayOrderResult:
        user = buyer(info)
        PAY_URLS.take(user.pk, client_address(info.context.request))
        done = pay_order(user_id=user.pk, number=input.order_id, pay_type=input.pay_type)
        return PayOrderSuccess(order=as_order(done), pay_url=done.pay_url or "")

    @strawberry.mutation(description="Give up an unpaid order, at once, whatever Alipay answers.")
    @typed_refusals
    def cancel_order(
        self, info: Info, input: Annotated[CancelOrderInput, strawberry.argument(description="Which order to cancel.")]
    ) -> CancelOrderResult:
        order = cancel_order(user_id=buyer(info).pk, number=input.order_id)
        return CancelOrderSuccess(order=order)  # type: ignore[arg-type]

    @strawberry.mutation(description="Staff: give back an order's money, all or a part, whatever its status.")
    @typed_refusals
    def refund_order(
        self, info: Info, input: Annotated[RefundOrderInput, strawberry.argument(description="What to give back.")]
    ) -> RefundOrderResult:
        operator = staff(info)
        refund, replayed = request_refund(
            number=input.order_id,
            amount_fen=input.amount,
            reason=input.reason,
            idempotency_key=input.idempotency_key,
            close_course_ids=[str(course_id) for course_id in input.close_course_ids or ()],
            staff_id=operator.pk,
        )
        return RefundOrderSuccess(order=refund.order, refund=refund, replayed=replayed)  # type: ignore[arg-type]

    @strawberry.mutation(description="Tell what the browser brought back; an unpaid order is asked about at Alipay.")
    @typed_refusals
    def confirm_return(
        self, info: Info, input: Annotated[ConfirmReturnInput, strawberry.argument(description="What came back.")]
    ) -> ConfirmReturnResult:
        user = buyer(info)
        CONFIRMATIONS.take(user.pk, client_address(info.context.request))
        try:
            returned = confirm_return(provider="alipay", query=input.query, user_id=user.pk)
        except MessageRefused as refusal:
            raise InvalidInputError("query", "This is not a return that Alipay signed.") from refusal
        if returned.order is None:
            raise OrderNotFoundError
        return ConfirmReturnSuccess(order=returned.order, verified=True)  # type: ignore[arg-type]


def as_order(done: CheckedOut) -> Order:
    if done.payments is not None:
        remember(done.order, "payments", list(done.payments))
    return done.order  # type: ignore[return-value]
