"""Refusals as GraphQL types, and how a ShopError becomes one."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar, cast

import strawberry

from backend import errors
from backend.errors import ErrorCode
from backend.schema.enums import describe
from backend.schema.scalars import Money

if TYPE_CHECKING:
    from backend.schema.orders import Order

P = ParamSpec("P")
R = TypeVar("R")
LazyOrder = Annotated["Order", strawberry.lazy("backend.schema.orders")]
"""Orders know these refusals, and these know orders."""


describe(
    ErrorCode,
    "The name of a refusal, for code to branch on.",
    INVALID_CREDENTIALS="The user name or the password is wrong.",
    RATE_LIMITED="Too many tries; retryAfterMs says how long to wait.",
    INVALID_INPUT="An argument is not of the form it must have; field says which.",
    IDEMPOTENCY_KEY_REUSED="The key was used before, for another input.",
    COURSES_UNAVAILABLE="Courses that are not on sale, or do not exist; courseIds says which.",
    ALREADY_OWNED="Courses that the buyer owns already; courseIds says which.",
    OPEN_ORDER_EXISTS="An unpaid order holds one of these courses; order is that order.",
    PRICE_CHANGED="The total is not what the courses cost now; actualTotal is.",
    ORDER_NOT_FOUND="There is no such order, or it is another's.",
    ORDER_NOT_PAYABLE="The order is not waiting for money any more.",
    ORDER_NOT_CANCELLABLE="Only an unpaid order can be cancelled.",
    NOTHING_TO_REFUND="The order holds no money that could be refunded.",
    REFUND_TOO_LARGE="More than is left to refund.",
)


@strawberry.interface(description="A rule refused, and nothing has changed.")
class UserError:
    code: ErrorCode = strawberry.field(description="Its name in capitals.")
    message: str = strawberry.field(description="A sentence for people.")


@strawberry.type(description="The user name or the password is wrong.")
class InvalidCredentials(UserError):
    pass


@strawberry.type(description="Too many tries.")
class RateLimited(UserError):
    retry_after_ms: int = strawberry.field(description="Milliseconds to wait before the next try.")


@strawberry.type(description="An argument is not of the form it must have.")
class InvalidInput(UserError):
    field: str = strawberry.field(description="Which argument.")


@strawberry.type(description="The key was used before, for another input.")
class IdempotencyKeyReused(UserError):
    pass


@strawberry.type(description="Courses that are not on sale, or do not exist.")
class CoursesUnavailable(UserError):
    course_ids: list[strawberry.ID] = strawberry.field(description="Which of those asked for.")


@strawberry.type(description="Courses that the buyer owns already.")
class AlreadyOwned(UserError):
    course_ids: list[strawberry.ID] = strawberry.field(description="Which of those asked for.")


@strawberry.type(description="An unpaid order holds one of these courses.")
class OpenOrderExists(UserError):
    order: LazyOrder = strawberry.field(description="The order that holds it.")

    @strawberry.field(description="Where to pay that order; null when it can no longer be paid.")
    def pay_url(self) -> str | None:
        from backend.schema.orders import order_pay_url

        return order_pay_url(cast("Any", self.order))


@strawberry.type(description="The total is not what the courses cost now.")
class PriceChanged(UserError):
    expected_total: Money = strawberry.field(description="What the client sent.")
    actual_total: Money = strawberry.field(description="What they cost now.")


@strawberry.type(description="There is no such order, or it is another's.")
class OrderNotFound(UserError):
    pass


@strawberry.type(description="The order is not waiting for money any more.")
class OrderNotPayable(UserError):
    order: LazyOrder = strawberry.field(description="As it stands.")


@strawberry.type(description="Only an unpaid order can be cancelled.")
class OrderNotCancellable(UserError):
    order: LazyOrder = strawberry.field(description="As it stands.")


@strawberry.type(description="The order holds no money that could be refunded.")
class NothingToRefund(UserError):
    pass


@strawberry.type(description="More than is left to refund.")
class RefundTooLarge(UserError):
    pass


def as_type(error: errors.ShopError) -> UserError:
    """The GraphQL type of the same name, with the same fields."""
    extra: dict[str, Any] = {name: value for name, value in vars(error).items() if name != "message"}
    if isinstance(error, errors.PriceChanged):
        extra = {"expected_total": error.expected_fen, "actual_total": error.actual_fen}
    return _TYPES[type(error).__name__](code=error.code, message=error.message, **extra)


_TYPES: dict[str, type[UserError]] = {cls.__name__: cls for cls in UserError.__subclasses__()}


def typed_refusals(resolver: Callable[P, R]) -> Callable[P, R]:
    """Answer with a member of the result union where the use case refuses."""

    @functools.wraps(resolver)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return resolver(*args, **kwargs)
        except errors.ShopError as error:
            return cast("R", as_type(error))

    return run
