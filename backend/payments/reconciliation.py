"""The provider's bill against our books, row by row and both ways (对账).

A bill is not signed: it is a hint. What it has and we have not makes us ask, and the signed answer goes through
``apply_trade`` as any other; what then still differs is a discrepancy for people. What we have and it has not is one at
once. Memory is bounded whatever the bill's length; a second run finds what the first has mended in order, and changes
nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TypeVar

from django.conf import settings
from django.utils import timezone

from backend.money import format_yuan
from backend.payments.discrepancies import (
    AMOUNT_DIFFERS,
    MISSING_HERE,
    MISSING_THERE,
    REFUND_DIFFERS,
    REFUND_MISSING_THERE,
    TRADE_DIFFERS,
    UNKNOWN_ORDER,
    Kind,
)
from backend.payments.findings import Summary, looks_like_ours
from backend.payments.models import (
    BilledRefund,
    Payment,
    PaymentStatus,
    ProviderName,
    Refund,
    RefundCause,
    RefundStatus,
)
from backend.payments.providers.base import (
    Provider,
    ProviderRejected,
    ProviderUnavailable,
    RefundRequest,
    RefundState,
    Trade,
)
from backend.payments.providers.bill import BillKind, BillRow
from backend.payments.registry import get_provider
from backend.payments.trades import TradeRefused, apply_trade

T = TypeVar("T")

CHUNK = 900
MIDNIGHT_MARGIN = timedelta(minutes=10)
"""Our clock is not the provider's: what happened so near to midnight may be in the next day's bill."""


def reconcile(
    provider_name: str,
    day: date,
    *,
    progress: Callable[[int, int], None] | None = None,
    keep: Callable[[], None] = lambda: None,
) -> Summary:
    """Hold the bill of a day in Beijing against our rows. ``keep`` is called again and again while it lasts.

    Raises ProviderError where there is no bill to be had, or not a whole one; what was found until then stays.
    """
    comparison = Comparison(get_provider(provider_name), provider_name, day, keep)
    for rows in chunks(comparison.provider.bill(day, progress=progress), CHUNK):
        comparison.compare(rows)
        keep()
    comparison.look_for_what_is_missing_there()
    comparison.summary.note_overflow(day)
    return comparison.summary


class Comparison:
    """One bill on its way through our books."""

    def __init__(self, provider: Provider, provider_name: str, day: date, keep: Callable[[], None]) -> None:
        self.provider, self.provider_name, self.day, self.keep = provider, provider_name, day, keep
        self.summary = Summary()

    def compare(self, rows: list[BillRow]) -> None:
        """Some rows of the bill, with three queries and one or two updates; each that needs it asks the provider."""
        self.summary.count(rows)
        payments = self.payments_of(rows)
        refund_rows = [row for row in rows if row.kind == BillKind.REFUND]
        refunds = self.refunds_of(refund_rows)
        billed = self.billed_refunds_of(refund_rows)
        paid = [row for row in rows if row.kind == BillKind.PAYMENT]
        self.mark(Payment, [pk for row in paid if (pk := self.compare_payment(row, payments.get(row.out_trade_no)))])
        self.mark(
            Refund,
            [
                pk
                for row in refund_rows
                if (pk := self.compare_refund(row, payments.get(row.out_trade_no), refunds.get(number(row)), billed))
            ],
        )

    def payments_of(self, rows: list[BillRow]) -> dict[str, Payment]:
        numbers = {row.out_trade_no for row in rows if "\0" not in row.out_trade_no}
        found = Payment.objects.filter(provider=self.provider_name, out_trade_no__in=numbers)
        columns = ("id", "out_trade_no", "trade_no", "amount_fen", "status", "billed_on")
        return {payment.out_trade_no: payment for payment in found.only(*columns)}

    def refunds_of(self, rows: list[BillRow]) -> dict[str, Refund]:
        if not rows:
            return {}
        numbers = {number(row) for row in rows if "\0" not in number(row)}
        found = Refund.objects.filter(out_request_no__in=numbers).exclude(cause=RefundCause.PROVIDER)
        columns = ("id", "payment", "out_request_no", "amount_fen", "status", "billed_on")
        return {refund.out_request_no: refund for refund in found.only(*columns)}

    def billed_refunds_of(self, rows: list[BillRow]) -> set[tuple[int, str]]:
        if not rows:
            return set()
        found = BilledRefund.objects.filter(out_request_no__in={number(row) for row in rows if "\0" not in number(row)})
        return set(found.values_list("payment_id", "out_request_no"))

    def compare_payment(self, row: BillRow, payment: Payment | None) -> int | None:
        """The key of the payment where it agrees with the row and was in no bill yet."""
        if payment is None:
            self.unknown(row)
        elif row.amount_fen != payment.amount_fen:
            self.find(AMOUNT_DIFFERS, row, f"ours is {format_yuan(payment.amount_fen)}")
        elif payment.status == PaymentStatus.PAID and row.trade_no != payment.trade_no:
            self.find(TRADE_DIFFERS, row, f"ours was paid by trade {payment.trade_no}")
        elif payment.status != PaymentStatus.PAID:
            return payment.pk if self.repaired(row, payment) else None
        else:
            self.summary.matched += 1
            return payment.pk if payment.billed_on is None else None
        return None

    def repaired(self, row: BillRow, payment: Payment) -> bool:
        """The bill has money that we have not: ask, and let the signed answer in."""
        answer = self.ask(row)
        if isinstance(answer, str):
            self.find(MISSING_HERE, row, answer)
        elif answer is not None:
            payment.refresh_from_db(fields=["status"])
            if payment.status == PaymentStatus.PAID:
                self.summary.note_repair(MISSING_HERE)
                return True
            self.find(MISSING_HERE, row, f"the signed answer says {answer.state.value}")
        return False

    def compare_refund(
        self, row: BillRow, payment: Payment | None, refund: Refund | None, billed: set[tuple[int, str]]
    ) -> int | None:
        """The key of our refund where it agrees with the row and was in no bill yet."""
        if payment is None:
            self.unknown(row)
        elif refund is None or refund.payment_id != payment.pk or refund.status == RefundStatus.FAILED:
            if (payment.pk, number(row)) in billed:
                self.summary.matched += 1
            else:
                self.refund_repaired(row, payment)
        elif refund.amount_fen != row.amount_fen:
            self.find(REFUND_DIFFERS, row, f"ours is {format_yuan(refund.amount_fen)}")
        elif refund.status == RefundStatus.SUCCEEDED:
            self.summary.matched += 1
            return refund.pk if refund.billed_on is None else None
        elif self.refund_repaired(row, payment):
            return refund.pk
        return None

    def refund_repaired(self, row: BillRow, payment: Payment) -> bool:
        """The bill has a refund that our books have not: ask after the trade, then after this very refund."""
        answer = self.ask(row)
        if isinstance(answer, str):
            self.find(REFUND_DIFFERS, row, f"ours does not know it, {answer}")
        elif answer is not None:
            return self.confirmed(row, answer)
        return False

    def confirmed(self, row: BillRow, trade: Trade) -> bool:
        request = RefundRequest(row.out_trade_no, number(row), row.amount_fen)
        try:
            result = self.provider.query_refund(request)
            if result.state == RefundState.SUCCEEDED:
                known = replace(trade, refund_request_no=number(row), refund_amount_fen=row.amount_fen)
                apply_trade(known)
                self.summary.note_repair(REFUND_DIFFERS)
                return True
            self.find(REFUND_DIFFERS, row, "the signed answer knows no such refund")
        except TradeRefused as refusal:
            self.find(REFUND_DIFFERS, row, f"it cannot be booked: {refusal.reason}")
        except ProviderUnavailable:
            self.summary.unanswered += 1
        return False

    def ask(self, row: BillRow) -> Trade | str | None:
        """The provider's signed word, taken into our books; why not, in words; or None where it gave no answer."""
        self.keep()
        try:
            trade = self.provider.query(row.out_trade_no)
            apply_trade(trade)
        except TradeRefused as refusal:
            return f"the signed answer cannot be applied: {refusal.reason}"
        except ProviderRejected as refusal:
            return f"the signed answer is {refusal.code}"
        except ProviderUnavailable:
            self.summary.unanswered += 1
            return None
        return trade

    def unknown(self, row: BillRow) -> None:
        if settings.BILL_FOREIGN_ORDERS == "ignore" and not looks_like_ours(row.out_trade_no):
            self.summary.foreign += 1
        else:
            self.find(UNKNOWN_ORDER, row, "none of our payments has this number")

    def find(self, kind: Kind, row: BillRow, detail: str) -> None:
        subject = number(row) if row.kind == BillKind.REFUND else row.out_trade_no
        words = f"bill of {self.day}: {format_yuan(row.amount_fen)}, trade {row.trade_no}; {detail}"
        self.summary.note(kind, subject=subject, out_trade_no=row.out_trade_no, detail=words)

    def mark(self, model: type[Payment] | type[Refund], pks: list[int]) -> None:
        """Remember which bill has it: what no bill has is looked for below."""
        if pks:
            model._default_manager.filter(pk__in=pks, billed_on=None).update(billed_on=self.day)  # noqa: SLF001

    def look_for_what_is_missing_there(self) -> None:
        """Our paid payments and our refunds of the day that no bill has."""
        begins, ends = window(self.day)
        paid = Payment.objects.filter(status=PaymentStatus.PAID, billed_on=None, paid_at__gte=begins, paid_at__lt=ends)
        for payment in paid.filter(provider=self.provider_name).order_by("paid_at").iterator(CHUNK):
            words = f"bill of {self.day}: has not our {format_yuan(payment.amount_fen)}, trade {payment.trade_no}"
            numbers = {"subject": payment.out_trade_no, "out_trade_no": payment.out_trade_no}
            self.summary.note(MISSING_THERE, **numbers, detail=words)
        back = Refund.objects.filter(
            status=RefundStatus.SUCCEEDED, billed_on=None, ended_at__gte=begins, ended_at__lt=ends
        )
        ours = back.filter(payment__provider=self.provider_name).exclude(cause=RefundCause.PROVIDER)
        for refund in ours.select_related("payment").order_by("ended_at").iterator(CHUNK):
            words = f"bill of {self.day}: has not our refund of {format_yuan(refund.amount_fen)}"
            numbers = {"subject": refund.out_request_no, "out_trade_no": refund.payment.out_trade_no}
            self.summary.note(REFUND_MISSING_THERE, **numbers, detail=words)


def number(row: BillRow) -> str:
    """A refund's number; a refund asked for without one goes by its trade's (alipay.trade.refund)."""
    return row.out_request_no or row.out_trade_no


def window(day: date) -> tuple[datetime, datetime]:
    """The day in Beijing, a little early: its last minutes are looked for in the next day's bill too."""
    midnight = timezone.make_aware(datetime.combine(day, time.min))
    return midnight - MIDNIGHT_MARGIN, midnight + timedelta(days=1) - MIDNIGHT_MARGIN


def has_anything(provider_name: str, day: date) -> bool:
    """Whether our own books have money of that day."""
    begins, ends = window(day)
    paid = Payment.objects.filter(provider=provider_name, status=PaymentStatus.PAID, billed_on=None)
    return paid.filter(paid_at__gte=begins, paid_at__lt=ends).exists()


def chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


ALIPAY = ProviderName.ALIPAY.value
