"""Our side of a bill: the payments and refunds that its rows name, and those of the day that no bill has."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Field, QuerySet
from django.db.models.lookups import In
from django.utils import timezone

from backend.money import format_yuan
from backend.payments.discrepancies import MISSING_THERE, REFUND_MISSING_THERE, Kind
from backend.payments.models import BilledRefund, Payment, PaymentStatus, Refund, RefundCause, RefundStatus

MIDNIGHT_MARGIN = timedelta(minutes=10)
"""Our clock is not the provider's: what happened so near to midnight may be in the next day's bill."""
AT_ONCE = 900


@Field.register_lookup
class Among(In):
    """``__in``, which on PostgreSQL is one array: Django takes longer to write 900 places than the query takes."""

    lookup_name = "among"

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*parameters, list(self.rhs)]


class OurPayment(NamedTuple):
    """Of a payment, what is held against a bill."""

    pk: int
    out_trade_no: str
    trade_no: str | None
    amount_fen: int
    refunded_fen: int
    refunding_fen: int
    status: str
    billed_on: date | None


class OurRefund(NamedTuple):
    """Of a refund, what is held against a bill."""

    pk: int
    out_request_no: str
    payment_id: int
    amount_fen: int
    status: str
    billed_on: date | None


def payments_of(provider_name: str, numbers: Sequence[str]) -> dict[str, OurPayment]:
    """By their merchant numbers."""
    found = Payment.objects.filter(provider=provider_name, out_trade_no__among=numbers)
    return {row[1]: OurPayment(*row) for row in found.values_list(*OurPayment._fields)}  # noqa: SLF001 - public


def refunds_of(numbers: Sequence[str]) -> dict[str, OurRefund]:
    """By their numbers, without those made at the provider, of which we have a sum under a number of our own."""
    if not numbers:
        return {}
    found = Refund.objects.filter(out_request_no__among=numbers).exclude(cause=RefundCause.PROVIDER)
    return {row[1]: OurRefund(*row) for row in found.values_list(*OurRefund._fields)}  # noqa: SLF001 - public


def confirmed_refunds(numbers: Sequence[str]) -> set[tuple[int, str, int]]:
    """Those made at the provider that it has confirmed: the payment's key, the number, the fen."""
    if not numbers:
        return set()
    found = BilledRefund.objects.filter(out_request_no__among=numbers)
    return set(found.values_list("payment_id", "out_request_no", "amount_fen"))


def mark(model: type[Payment] | type[Refund], pks: Sequence[int | None], day: date) -> None:
    """Remember which bill has them."""
    if found := [pk for pk in pks if pk is not None]:
        model._default_manager.filter(pk__among=found).update(billed_on=day)  # noqa: SLF001


def window(day: date) -> tuple[datetime, datetime]:
    """The day in Beijing, a little early: its last minutes are looked for in the next day's bill too."""
    midnight = timezone.make_aware(datetime.combine(day, time.min))
    return midnight - MIDNIGHT_MARGIN, midnight + timedelta(days=1) - MIDNIGHT_MARGIN


def unbilled_payments(provider_name: str, day: date) -> QuerySet[Payment]:
    begins, ends = window(day)
    paid = Payment.objects.filter(status=PaymentStatus.PAID, billed_on=None, paid_at__gte=begins, paid_at__lt=ends)
    return paid.filter(provider=provider_name).order_by("paid_at")


def unbilled_refunds(provider_name: str, day: date) -> QuerySet[Refund]:
    """Without those made at the provider: their row is our sum of them."""
    begins, ends = window(day)
    done = Refund.objects.filter(status=RefundStatus.SUCCEEDED, billed_on=None)
    of_the_day = done.filter(ended_at__gte=begins, ended_at__lt=ends).exclude(cause=RefundCause.PROVIDER)
    return of_the_day.filter(payment__provider=provider_name).select_related("payment").order_by("ended_at")


def missing_there(provider_name: str, day: date) -> Iterator[tuple[Kind, str, str, str]]:
    """Of each payment and refund of the day that no bill has: the kind, its number, its trade's and the words."""
    for payment in unbilled_payments(provider_name, day).iterator(AT_ONCE):
        words = f"has not our {format_yuan(payment.amount_fen)}, trade {payment.trade_no}"
        yield MISSING_THERE, payment.out_trade_no, payment.out_trade_no, words
    for refund in unbilled_refunds(provider_name, day).iterator(AT_ONCE):
        words = f"has not our refund of {format_yuan(refund.amount_fen)}"
        yield REFUND_MISSING_THERE, refund.out_request_no, refund.payment.out_trade_no, words


def has_anything(provider_name: str, day: date) -> bool:
    """Whether our books have money of that day that no bill has."""
    return unbilled_payments(provider_name, day).exists() or unbilled_refunds(provider_name, day).exists()
