"""What the trials on a database that is used again and again begin with: an empty shop, courses, buyers and orders."""

from uuid import uuid4

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection

from backend.accounts.models import User
from backend.courses.models import Course
from backend.orders.models import Order
from backend.orders.placement import check_basket
from backend.payments.checkout import check_out
from tests.shop import Shopper

PRICES = (11700, 3900, 1)


def empty() -> None:
    """Nothing is left of what was before, and keys are counted from one again."""
    models = [model for model in apps.get_models(include_auto_created=True) if model.__module__.startswith("backend.")]
    tables = [model._meta.db_table for model in models]
    ops = connection.ops
    ops.execute_sql_flush(ops.sql_flush(no_style(), tables, reset_sequences=True, allow_cascade=True))


def courses() -> list[Course]:
    """Three on sale, at 117.00, 39.00 and 0.01: the same ones in every case."""
    return [Course.objects.get_or_create(name=f"Torture {fen}", price_fen=fen)[0] for fen in PRICES]


def new_buyer() -> Shopper:
    """Somebody who has bought nothing yet. The name is of no account, so it need not follow from the seed."""
    return Shopper.signed_in(User.objects.create(username=uuid4().hex))


def new_order(basket: list[Course], buyer: Shopper | None = None) -> Order:
    """An unpaid order, without the request."""
    user = (buyer or new_buyer()).user
    assert user is not None
    wanted = check_basket(
        course_ids=[str(course.pk) for course in basket],
        total_fen=sum(course.price_fen for course in basket),
        subject=None,
        pay_type="ALIPAY",
        idempotency_key=None,
    )
    return check_out(user_id=user.pk, basket=wanted).order
