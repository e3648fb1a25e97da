"""Placing an order: price it from the course table, freeze it, once per key.

The caller holds the buyer's lock, in a transaction: two clicks of one buyer are taken one after the other.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, Model, OuterRef, QuerySet

from backend.courses.models import Course, Enrollment
from backend.errors import (
    AlreadyOwned,
    CoursesUnavailable,
    IdempotencyKeyReused,
    InvalidInput,
    OpenOrderExists,
    PriceChanged,
)
from backend.money import MAX_FEN
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderLine, OrderStatus, PayType
from backend.prepared import Argument, Prepared, PreparedIn
from backend.stored import insert_all

MAX_COURSES = 50
MAX_SUBJECT = 128
_COURSE_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_KEY = re.compile(r"[\x20-\x7e]{1,128}", re.ASCII)


_USED_KEY = Prepared(
    lambda: IdempotencyKey.objects.select_related("order").filter(user_id=Argument("user_id"), key=Argument("key"))
)


def _on_sale(ids: Argument) -> QuerySet[Course]:
    mine = Enrollment.objects.open().filter(user_id=Argument("user_id"), course_id=OuterRef("pk"))
    return Course.objects.on_sale().filter(pk__in=ids).order_by("pk").annotate(owned=Exists(mine))


def _unpaid_with(ids: Argument) -> QuerySet[Order]:
    unpaid = Order.objects.filter(user_id=Argument("user_id"), status=OrderStatus.UNPAID)
    return unpaid.filter(lines__course_id__in=ids).distinct().order_by("-id")


_ON_SALE = PreparedIn(_on_sale)
"""The courses that can be bought, each with whether the buyer has it: ``owned``."""
_UNPAID_WITH = PreparedIn(_unpaid_with)


@dataclass(frozen=True, slots=True)
class Basket:
    """A createOrder input that is well formed. ``course_ids`` are as the client spelled them."""

    course_ids: tuple[str, ...]
    total_fen: int
    subject: str
    pay_type: PayType
    idempotency_key: str | None

    @property
    def ids(self) -> list[int]:
        return sorted(int(course_id) for course_id in self.course_ids if _COURSE_ID.fullmatch(course_id))

    @property
    def courses_hash(self) -> str:
        return _sha256(",".join(sorted(self.course_ids)))

    @property
    def input_hash(self) -> str:
        """Of what makes two inputs the same: the set of courses, the total and the pay type."""
        return _sha256(f"{','.join(sorted(self.course_ids))}|{self.total_fen}|{self.pay_type}")


@dataclass(frozen=True, slots=True)
class Placed:
    """The order that answers a basket. A new one is still to be stored, with its lines, its event and its key."""

    order: Order
    replayed: bool
    rows: tuple[Sequence[Model], ...] = ()
    """What is to be stored, as ``insert_together`` takes it."""


def check_basket(
    *, course_ids: Sequence[str], total_fen: int, subject: str | None, pay_type: PayType, idempotency_key: str | None
) -> Basket:
    """The input as a Basket. Raises InvalidInput."""
    if not 1 <= len(course_ids) <= MAX_COURSES:
        raise InvalidInput("courseIds", f"An order has 1 to {MAX_COURSES} courses.")
    if len(set(course_ids)) != len(course_ids):
        raise InvalidInput("courseIds", "A course can be in an order only once.")
    if subject is not None and (len(subject) > MAX_SUBJECT or not is_plain_text(subject)):
        raise InvalidInput("subject", f"A subject is at most {MAX_SUBJECT} characters, without control characters.")
    if pay_type != PayType.ALIPAY:
        raise InvalidInput("payType", "This shop takes ALIPAY.")
    if idempotency_key is not None and not is_key(idempotency_key):
        raise InvalidInput("idempotencyKey", "A key is 1 to 128 printable ASCII characters.")
    return Basket(tuple(course_ids), total_fen, (subject or "").strip(), pay_type, idempotency_key)


def place_order(*, user_id: int, basket: Basket, now: datetime) -> Placed:
    """The buyer's order for this basket: the one that stands already, or a new one that the caller stores.

    Raises IdempotencyKeyReused, CoursesUnavailable, AlreadyOwned, OpenOrderExists, PriceChanged, InvalidInput, checked
    in this order; a refusal stores nothing.
    """
    if (answered := _answered_before(user_id, basket)) is not None:
        return Placed(answered, replayed=True)
    courses = _courses_on_sale(user_id, basket)
    if owned := [str(course.pk) for course in courses if vars(course)["owned"]]:
        raise AlreadyOwned(owned)
    if (standing := _standing_order(user_id, basket)) is not None:
        insert_all(_key(user_id, basket, standing))
        return Placed(standing, replayed=True)
    _check_total(basket, courses)
    order = _freeze(user_id, basket, courses, now)
    event = OrderEvent(order=order, name="order.created", at=now)
    rows = ([order], _lines(order, basket, courses), [event], _key(user_id, basket, order))
    return Placed(order, replayed=False, rows=rows)


def _answered_before(user_id: int, basket: Basket) -> Order | None:
    if basket.idempotency_key is None:
        return None
    used = _USED_KEY.first(user_id=user_id, key=basket.idempotency_key)
    if used is None:
        return None
    if used.input_hash != basket.input_hash:
        raise IdempotencyKeyReused
    return used.order


def _courses_on_sale(user_id: int, basket: Basket) -> list[Course]:
    ids = basket.ids
    courses = _ON_SALE.all(ids, user_id=user_id)
    found = {str(course.pk) for course in courses}
    if missing := [course_id for course_id in basket.course_ids if course_id not in found]:
        raise CoursesUnavailable(missing)
    return courses


def _standing_order(user_id: int, basket: Basket) -> Order | None:
    """The buyer's unpaid order for the same courses and total; any other overlap raises OpenOrderExists."""
    ids = basket.ids
    overlapping = _UNPAID_WITH.all(ids, user_id=user_id)
    for order in overlapping:
        if order.basket_hash == basket.courses_hash and order.total_fen == basket.total_fen:
            return order
    if overlapping:
        raise OpenOrderExists(overlapping[0])
    return None


def _check_total(basket: Basket, courses: list[Course]) -> None:
    actual_fen = sum(course.price_fen for course in courses)
    if actual_fen > MAX_FEN:
        raise InvalidInput("courseIds", "These courses cost more together than one payment can carry.")
    if actual_fen != basket.total_fen:
        raise PriceChanged(expected_fen=basket.total_fen, actual_fen=actual_fen)


def _freeze(user_id: int, basket: Basket, courses: Sequence[Course], now: datetime) -> Order:
    return Order(
        user_id=user_id,
        subject=basket.subject or display_subject(courses),
        total_fen=basket.total_fen,
        status=OrderStatus.UNPAID,
        pay_type=basket.pay_type,
        basket_hash=basket.courses_hash,
        created_at=now,
        expires_at=_whole_second(now + timedelta(seconds=settings.ORDER_TTL_SECONDS)),
    )


def _lines(order: Order, basket: Basket, courses: Sequence[Course]) -> list[OrderLine]:
    """In the order of the basket."""
    by_id = {str(course.pk): course for course in courses}
    return [
        OrderLine(
            order=order, course=course, name=course.name, price_fen=course.price_fen, real_price_fen=course.price_fen
        )
        for course in (by_id[course_id] for course_id in basket.course_ids)
    ]


def _key(user_id: int, basket: Basket, order: Order) -> list[IdempotencyKey]:
    """The row that remembers the answer to the basket's key; none without a key."""
    if basket.idempotency_key is None:
        return []
    return [IdempotencyKey(user_id=user_id, key=basket.idempotency_key, input_hash=basket.input_hash, order=order)]


def display_subject(courses: Sequence[Course]) -> str:
    """What an order is called where the buyer gave no subject: its course, or the first and how many."""
    name = courses[0].name
    suffix = f" 等{len(courses)}门课程" if len(courses) > 1 else ""
    return name[: MAX_SUBJECT - len(suffix)] + suffix


def is_key(text: str) -> bool:
    """1 to 128 printable ASCII characters."""
    return _KEY.fullmatch(text) is not None


def is_plain_text(text: str) -> bool:
    """Without NUL (which PostgreSQL refuses), lone surrogates, line breaks and characters that reverse the reading."""
    return all(unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp", "Cf") for character in text)


def _whole_second(moment: datetime) -> datetime:
    """Rounded up: what the provider is told to the second is exactly when the order expires."""
    return (moment + timedelta(microseconds=999_999)).replace(microsecond=0)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
