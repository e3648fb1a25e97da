"""Refusals that a buyer may see. A use case raises one of these; nothing has changed then."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from backend.money import format_yuan

if TYPE_CHECKING:
    from backend.orders.models import Order


class ErrorCode(Enum):
    """The name of each refusal; clients branch on it."""

    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    RATE_LIMITED = "RATE_LIMITED"
    INVALID_INPUT = "INVALID_INPUT"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    COURSES_UNAVAILABLE = "COURSES_UNAVAILABLE"
    ALREADY_OWNED = "ALREADY_OWNED"
    OPEN_ORDER_EXISTS = "OPEN_ORDER_EXISTS"
    PRICE_CHANGED = "PRICE_CHANGED"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    ORDER_NOT_PAYABLE = "ORDER_NOT_PAYABLE"
    ORDER_NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"
    NOTHING_TO_REFUND = "NOTHING_TO_REFUND"
    REFUND_TOO_LARGE = "REFUND_TOO_LARGE"


class ShopError(Exception):
    """A rule refused. ``message`` is a sentence for people; subclasses carry what a client needs to go on."""

    code: ErrorCode

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidCredentials(ShopError):
    code = ErrorCode.INVALID_CREDENTIALS

    def __init__(self) -> None:
        super().__init__("The user name or the password is wrong.")


class RateLimited(ShopError):
    code = ErrorCode.RATE_LIMITED

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(f"Too many tries. Try again in {-(-retry_after_ms // 1000)} seconds.")
        self.retry_after_ms = retry_after_ms


class InvalidInput(ShopError):
    code = ErrorCode.INVALID_INPUT

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class IdempotencyKeyReused(ShopError):
    code = ErrorCode.IDEMPOTENCY_KEY_REUSED

    def __init__(self) -> None:
        super().__init__("This idempotency key was used for another order. Make a new key for each purchase.")


class CoursesUnavailable(ShopError):
    code = ErrorCode.COURSES_UNAVAILABLE

    def __init__(self, course_ids: Sequence[str]) -> None:
        super().__init__("Some of these courses are not on sale.")
        self.course_ids = list(course_ids)


class AlreadyOwned(ShopError):
    code = ErrorCode.ALREADY_OWNED

    def __init__(self, course_ids: Sequence[str]) -> None:
        super().__init__("You already own some of these courses.")
        self.course_ids = list(course_ids)


class OpenOrderExists(ShopError):
    code = ErrorCode.OPEN_ORDER_EXISTS

    def __init__(self, order: "Order") -> None:
        super().__init__("You have an unpaid order for some of these courses. Pay it or cancel it first.")
        self.order = order


class PriceChanged(ShopError):
    code = ErrorCode.PRICE_CHANGED

    def __init__(self, *, expected_fen: int, actual_fen: int) -> None:
        super().__init__(f"These courses cost {format_yuan(actual_fen)} yuan now, not {format_yuan(expected_fen)}.")
        self.expected_fen = expected_fen
        self.actual_fen = actual_fen


class OrderNotFound(ShopError):
    code = ErrorCode.ORDER_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("There is no such order.")


class OrderNotPayable(ShopError):
    code = ErrorCode.ORDER_NOT_PAYABLE

    def __init__(self, order: "Order") -> None:
        super().__init__("This order can no longer be paid.")
        self.order = order


class OrderNotCancellable(ShopError):
    code = ErrorCode.ORDER_NOT_CANCELLABLE

    def __init__(self, order: "Order") -> None:
        super().__init__("Only an unpaid order can be cancelled.")
        self.order = order


class NothingToRefund(ShopError):
    code = ErrorCode.NOTHING_TO_REFUND

    def __init__(self) -> None:
        super().__init__("This order holds no money that could be refunded.")


class RefundTooLarge(ShopError):
    code = ErrorCode.REFUND_TOO_LARGE

    def __init__(self, left_fen: int) -> None:
        super().__init__(f"Only {format_yuan(left_fen)} yuan are left to refund in one payment.")
