"""Attempts to pay an order."""

import secrets
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from backend.money import MAX_FEN
from backend.orders.models import Order, OrderStatus
from backend.status import HasStatus

SHORTEST_TIME_TO_PAY = 60
"""Seconds: Alipay takes no time_expire nearer than a minute."""


class PaymentStatus(models.TextChoices):
    OPEN = "OPEN", _("open")
    CLOSING = "CLOSING", _("closing")
    CLOSED = "CLOSED", _("closed")
    PAID = "PAID", _("paid")


class ProviderName(models.TextChoices):
    ALIPAY = "alipay", _("Alipay")
    FREE = "free", _("free of charge")


def new_out_trade_no() -> str:
    """128 random bits as 32 hexadecimal digits: unique, unguessable, and of the letters that Alipay takes."""
    return secrets.token_hex(16)


class Payment(HasStatus):
    """One attempt to pay one order: at the provider, a trade. Its number and amount never change."""

    ALLOWED: ClassVar = {
        PaymentStatus.OPEN: frozenset({PaymentStatus.CLOSING, PaymentStatus.CLOSED, PaymentStatus.PAID}),
        PaymentStatus.CLOSING: frozenset({PaymentStatus.CLOSED, PaymentStatus.PAID}),
        PaymentStatus.CLOSED: frozenset({PaymentStatus.PAID}),  # late money: it is recorded, whatever it means
        PaymentStatus.PAID: frozenset(),
    }

    order = models.ForeignKey(Order, models.PROTECT, related_name="payments", verbose_name=_("order"))
    provider = models.CharField(_("provider"), max_length=16, choices=ProviderName)
    out_trade_no = models.CharField(_("merchant number"), max_length=32, unique=True, default=new_out_trade_no)
    trade_no = models.CharField(_("provider number"), max_length=64, unique=True, null=True, blank=True)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    status = models.CharField(_("status"), max_length=8, choices=PaymentStatus, default=PaymentStatus.OPEN)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"), help_text=_("After it the provider takes no money for it."))
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    asked_at = models.DateTimeField(
        _("asked at"), null=True, blank=True, help_text=_("When the provider was last asked about it.")
    )
    times_asked = models.IntegerField(_("times asked"), default=0)
    next_query_at = models.DateTimeField(
        _("next query at"), null=True, blank=True, help_text=_("Empty when the provider can say nothing new.")
    )
    refunding_fen = models.BigIntegerField(_("being refunded (fen)"), default=0)
    refunded_fen = models.BigIntegerField(_("refunded (fen)"), default=0)
    reported_refund_fen = models.BigIntegerField(
        _("refunded by the provider's word (fen)"), default=0, help_text=_("The largest sum that it has reported.")
    )
    refund_called_at = models.DateTimeField(_("refund last called at"), null=True, blank=True)
    billed_on = models.DateField(
        _("billed on"), null=True, blank=True, help_text=_("The day of the provider's bill that has it.")
    )

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        indexes = [
            models.Index(fields=["created_at"], name="payment_by_time"),
            models.Index(
                fields=["next_query_at"], condition=models.Q(next_query_at__isnull=False), name="payment_due_query"
            ),
            models.Index(
                fields=["paid_at"],
                # Not of those without a bill alone: to leave the index would cost each of them a write to all indexes.
                condition=models.Q(status=PaymentStatus.PAID),
                name="payment_paid_by_time",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(refunding_fen__gte=0, refunded_fen__gte=0)
                & models.Q(amount_fen__gte=models.F("refunding_fen") + models.F("refunded_fen")),
                name="payment_refunds_within_amount",
            ),
            models.CheckConstraint(
                condition=models.Q(status=PaymentStatus.PAID) | models.Q(refunding_fen=0, refunded_fen=0),
                name="payment_refunds_only_what_was_paid",
            ),
            models.CheckConstraint(condition=models.Q(status__in=PaymentStatus.values), name="payment_status_known"),
            models.CheckConstraint(condition=models.Q(provider__in=ProviderName.values), name="payment_provider_known"),
            models.CheckConstraint(
                condition=models.Q(amount_fen__gte=0, amount_fen__lte=MAX_FEN), name="payment_amount_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_fen__gt=0) | models.Q(provider=ProviderName.FREE),
                name="payment_of_nothing_is_free",
            ),
            models.CheckConstraint(
                condition=models.Q(status=PaymentStatus.PAID, paid_at__isnull=False, trade_no__isnull=False)
                | (~models.Q(status=PaymentStatus.PAID) & models.Q(paid_at=None)),
                name="payment_paid_has_time_and_number",
            ),
            models.UniqueConstraint(
                fields=["order"], condition=models.Q(status=PaymentStatus.OPEN), name="one_open_payment_per_order"
            ),
        ]

    def __str__(self) -> str:
        return self.out_trade_no

    @property
    def held_fen(self) -> int:
        """The money of this attempt that the shop holds."""
        return self.amount_fen - self.refunded_fen if self.status == PaymentStatus.PAID else 0

    @property
    def refundable_fen(self) -> int:
        """What can still be asked back: held, and not on its way back by us or by somebody else's hand."""
        if self.status != PaymentStatus.PAID:
            return 0
        return self.amount_fen - max(self.refunding_fen + self.refunded_fen, self.reported_refund_fen)

    def can_be_paid(self, order: Order, now: datetime) -> bool:
        """Whether a pay URL may still be given out: with less than a minute left the provider would refuse it."""
        shortest = SHORTEST_TIME_TO_PAY if settings.ORDER_TTL_SECONDS >= SHORTEST_TIME_TO_PAY else 0
        seconds_left = (self.expires_at - now).total_seconds()
        return (
            self.status == PaymentStatus.OPEN
            and order.status == OrderStatus.UNPAID
            and self.provider != ProviderName.FREE
            and seconds_left > 0
            and seconds_left >= shortest
        )
