"""Finding orders: by number, by the number of a payment attempt, and one's own, newest first."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from backend.accounts.models import User
from backend.orders import models
from backend.orders.models import OrderStatus
from backend.payments.models import Payment
from backend.payments.watch import ask_soon
from backend.prepared import Argument, Prepared, PreparedIn
from backend.schema.access import Info, bad_request, buyer
from backend.schema.orders import Order
from backend.schema.pagination import DEFAULT_FIRST, After, Connection, First, Keyset, paginate

# Of the attempt only what tells whether to ask about it: this is what every poll reads.
ATTEMPTS = Payment.objects.select_related("order").only("order", "asked_at", "next_query_at")
BY_OUT_TRADE_NO = Prepared(lambda: ATTEMPTS.filter(out_trade_no=Argument("asked")))
BY_NUMBER = Prepared(lambda: ATTEMPTS.filter(order__number=Argument("asked")).order_by("-id")[:1])
BY_NUMBERS = PreparedIn(lambda numbers: ATTEMPTS.filter(order__number__in=numbers).order_by("id"))


def newest_first(user: User) -> Keyset:
    """A cursor is the number of one of the user's orders: it tells no more than that, and nothing of others'."""

    def key_of(number: str) -> int | None:
        mine = models.Order.objects.filter(user_id=user.pk, number=number)
        return mine.values_list("pk", flat=True).first() if number.isascii() and number.isdecimal() else None

    return Keyset(newest_first=True, cursor_of=lambda order: str(order.number), key_of=key_of)


def visible_to(user: User, order: models.Order) -> bool:
    """Whether they may see it: their own, and staff everyone's."""
    return user.is_staff or order.user_id == user.pk


def found(asked: str, *, by_out_trade_no: bool) -> tuple[models.Order | None, Payment | None]:
    """The order, and the attempt whose number was asked for, or its newest. One query."""
    payment = (BY_OUT_TRADE_NO if by_out_trade_no else BY_NUMBER).first(asked=asked)
    return (payment.order, payment) if payment else (None, None)


def waited_for(user: User, asked: str, *, by_out_trade_no: bool) -> models.Order | None:
    """The order, where this user may see it: they wait for it, so Alipay is asked soon, for a notify that was lost."""
    if not asked or "\x00" in asked or len(asked) > 64:
        return None
    order, payment = found(asked, by_out_trade_no=by_out_trade_no)
    if order is None or payment is None or not visible_to(user, order):
        return None
    if not order.is_terminal:
        ask_soon(payment)
    return order


def newest_attempts(numbers: Sequence[str]) -> list[Payment]:
    """The newest attempt of each of these orders that there are, with its order. One query."""
    return list({payment.order_id: payment for payment in BY_NUMBERS.all(numbers)}.values())


OrderId = Annotated[strawberry.ID | None, strawberry.argument(description="The order's id.")]
OutTradeNo = Annotated[str | None, strawberry.argument(description="The number of any of its payment attempts.")]


@strawberry.type
class OrdersQuery:
    @strawberry.field(
        description="One's own order, by id or by the number of any of its payment attempts (exactly one of the two);"
        " null for all else."
    )
    def order(self, info: Info, id: OrderId = None, out_trade_no: OutTradeNo = None) -> Order | None:
        user = buyer(info)
        if (id is None) == (out_trade_no is None):
            raise bad_request("Give either id or outTradeNo.")
        if out_trade_no is not None:
            return waited_for(user, out_trade_no, by_out_trade_no=True)  # type: ignore[return-value]
        return waited_for(user, str(id), by_out_trade_no=False)  # type: ignore[return-value]

    @strawberry.field(description="One's own orders, newest first.")
    def orders(
        self,
        info: Info,
        first: First = DEFAULT_FIRST,
        after: After = None,
        status: Annotated[
            list[OrderStatus] | None, strawberry.argument(description="Only orders that stand so.")
        ] = None,
    ) -> Connection[Order]:
        user = buyer(info)
        rows = models.Order.objects.filter(user_id=user.pk)
        if status is not None:
            rows = rows.filter(status__in=status)
        return paginate(rows, newest_first(user), first=first, after=after)
