"""The provider's bill against our books, row by row and both ways (对账).

A bill is not signed: it is a hint. What it has and we have not makes us ask, and the signed answer goes through
``apply_trade`` as any other; what then still differs is a discrepancy for people. What we have and it has not is one at
once. Memory is bounded whatever the bill's length; a second run finds what the first has mended in order, and changes
nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import TypeVar

from django.conf import settings

from backend.money import format_yuan
from backend.payments.billed import (
    OurPayment,
    OurRefund,
    confirmed_refunds,
    mark,
    missing_there,
    payments_of,
    refunds_of,
)
from backend.payments.discrepancies import (
    AMOUNT_DIFFERS,
    MISSING_HERE,
    REFUND_DIFFERS,
    TRADE_DIFFERS,
    UNKNOWN_ORDER,
    Kind,
)
from backend.payments.findings import Summary, looks_like_ours
from backend.payments.models import Payment, PaymentStatus, Refund, RefundStatus
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


def reconcile(
    provider_name: str,
    day: date,
    *,
    progress: Callable[[int, int], None] | None = None,
    keep: Callable[[], None] = lambda: None,
    last_try: bool = False,
) -> Summary:
    """Hold the bill of a day in Beijing against our rows. ``keep`` is called again and again while it is read.

    On the ``last_try`` a question without an answer is a finding; before, it is counted as unanswered, for another run.
    Raises ProviderError where there is no bill to be had, or not a whole one; what was found until then stays.
    """
    comparison = Comparison(get_provider(provider_name), provider_name, day, keep, last_try=last_try)
    for rows in chunks(comparison.provider.bill(day, progress=progress), CHUNK):
        comparison.compare(rows)
        keep()
    for kind, subject, out_trade_no, words in missing_there(provider_name, day):
        comparison.note(kind, subject, out_trade_no, words)
    comparison.summary.note_overflow(day)
    return comparison.summary


class Comparison:
    """One bill on its way through our books."""

    def __init__(
        self, provider: Provider, provider_name: str, day: date, keep: Callable[[], None], *, last_try: bool
    ) -> None:
        self.provider, self.provider_name, self.day, self.keep = provider, provider_name, day, keep
        self.last_try = last_try
        self.summary = Summary()

    def compare(self, rows: list[BillRow]) -> None:
        """Some rows of the bill, with at most three queries and two updates; where they differ the provider is asked.

        A row marks our payment or refund as billed, even where the two differ: it is not missing there.
        """
        self.summary.count(rows)
        payments = payments_of(self.provider_name, [row.out_trade_no for row in rows])
        refund_rows = [row for row in rows if row.kind == BillKind.REFUND]
        refund_numbers = [number(row) for row in refund_rows]
        refunds, confirmed = refunds_of(refund_numbers), confirmed_refunds(refund_numbers)
        paid = [row for row in rows if row.kind == BillKind.PAYMENT]
        mark(Payment, [self.compare_payment(row, payments.get(row.out_trade_no)) for row in paid], self.day)
        pairs = [(row, payments.get(row.out_trade_no)) for row in refund_rows]
        pks = [self.compare_refund(row, payment, refunds.get(number(row)), confirmed) for row, payment in pairs]
        mark(Refund, pks, self.day)

    def compare_payment(self, row: BillRow, payment: OurPayment | None) -> int | None:
        """The key of our payment, where it is paid and was in no bill yet."""
        if payment is None:
            self.unknown(row)
            return None
        if repaired := payment.status != PaymentStatus.PAID:
            payment = self.repaired(row, payment)
            if payment.status != PaymentStatus.PAID:
                return None
        if row.amount_fen != payment.amount_fen:
            self.find(AMOUNT_DIFFERS, row, f"ours is {format_yuan(payment.amount_fen)}")
        elif row.trade_no != payment.trade_no:
            self.find(TRADE_DIFFERS, row, f"ours was paid by trade {payment.trade_no}")
        elif not repaired:
            self.summary.matched += 1
        return payment.pk if payment.billed_on is None else None

    def repaired(self, row: BillRow, payment: OurPayment) -> OurPayment:
        """The bill has money that we have not: ask, and let the signed answer in. The payment as it is then."""
        kind = MISSING_HERE if row.amount_fen == payment.amount_fen else AMOUNT_DIFFERS
        answer = self.ask(row, kind)
        payment = payments_of(self.provider_name, [row.out_trade_no])[row.out_trade_no]
        if payment.status == PaymentStatus.PAID:
            self.summary.note_repair(MISSING_HERE)
        elif answer is not None:
            self.find(kind, row, f"the signed answer says {answer.state.value}")
        return payment

    def compare_refund(
        self, row: BillRow, payment: OurPayment | None, refund: OurRefund | None, confirmed: set[tuple[int, str, int]]
    ) -> int | None:
        """The key of our refund, where it is done and was in no bill yet."""
        if payment is None:
            self.unknown(row)
            return None
        if refund is None or refund.payment_id != payment.pk or refund.status == RefundStatus.FAILED:
            if (payment.pk, number(row), row.amount_fen) in confirmed:
                self.summary.matched += 1
            else:
                self.refund_repaired(row, payment)
            return None
        done = refund.status == RefundStatus.SUCCEEDED
        if refund.amount_fen != row.amount_fen:
            self.find(REFUND_DIFFERS, row, f"ours is {format_yuan(refund.amount_fen)}")
        elif done:
            self.summary.matched += 1
        else:
            done = self.refund_repaired(row, payment)
        return refund.pk if done and refund.billed_on is None else None

    def refund_repaired(self, row: BillRow, payment: OurPayment) -> bool:
        """The bill has a refund that our books have not: ask after the trade, then after this very refund.

        A refund made there may be in our books by its sum alone, which is all that a notify tells.
        """
        if (trade := self.ask(row, REFUND_DIFFERS)) is None or not self.confirmed(row, trade):
            return False
        now = payments_of(self.provider_name, [row.out_trade_no])[row.out_trade_no]
        if now.refunded_fen == payment.refunded_fen and not now.refunding_fen:
            self.summary.matched += 1
        else:
            self.summary.note_repair(REFUND_DIFFERS)
        return True

    def confirmed(self, row: BillRow, trade: Trade) -> bool:
        """Whether the provider's signed word has this very refund, which then is in our books."""
        try:
            result = self.provider.query_refund(RefundRequest(row.out_trade_no, number(row), row.amount_fen))
            if result.state == RefundState.SUCCEEDED:
                apply_trade(replace(trade, refund_request_no=number(row), refund_amount_fen=row.amount_fen))
                return True
            self.find(REFUND_DIFFERS, row, "the signed answer knows no such refund")
        except TradeRefused as refusal:
            self.find(REFUND_DIFFERS, row, f"it cannot be booked: {refusal.reason}")
        except ProviderUnavailable as outcome:
            self.unanswered(REFUND_DIFFERS, row, outcome)
        return False

    def ask(self, row: BillRow, kind: Kind) -> Trade | None:
        """The provider's signed word, taken into our books; where there is none to be had, a finding of ``kind``."""
        self.keep()
        try:
            trade = self.provider.query(row.out_trade_no)
            apply_trade(trade)
        except TradeRefused as refusal:
            self.find(kind, row, f"the signed answer cannot be applied: {refusal.reason}")
        except ProviderRejected as refusal:
            self.find(kind, row, f"the signed answer is {refusal.code}")
        except ProviderUnavailable as outcome:
            self.unanswered(kind, row, outcome)
        else:
            return trade
        return None

    def unanswered(self, kind: Kind, row: BillRow, outcome: ProviderUnavailable) -> None:
        """Asked again with the whole bill, until that is over; then it is for people."""
        if self.last_try:
            self.find(kind, row, f"the provider does not answer: {outcome}")
        else:
            self.summary.unanswered += 1

    def unknown(self, row: BillRow) -> None:
        if settings.BILL_FOREIGN_ORDERS == "ignore" and not looks_like_ours(row.out_trade_no):
            self.summary.foreign += 1
        else:
            self.find(UNKNOWN_ORDER, row, "none of our payments has this number")

    def find(self, kind: Kind, row: BillRow, detail: str) -> None:
        subject = number(row) if row.kind == BillKind.REFUND else row.out_trade_no
        self.note(kind, subject, row.out_trade_no, f"{format_yuan(row.amount_fen)}, trade {row.trade_no}; {detail}")

    def note(self, kind: Kind, subject: str, out_trade_no: str, detail: str) -> None:
        self.summary.note(kind, subject=subject, out_trade_no=out_trade_no, detail=f"bill of {self.day}: {detail}")


def number(row: BillRow) -> str:
    """A refund's number; a refund asked for without one goes by its trade's (alipay.trade.refund)."""
    return row.out_request_no or row.out_trade_no


def chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk
