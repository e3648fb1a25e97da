"""Attempts to pay an order, and the notifies that came about them."""

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
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), help_text=_("After it the provider takes no money for it."))
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
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


class Verdict(models.TextChoices):
    RECEIVED = "RECEIVED", _("received")  # verified and kept; its effect is not committed yet
    APPLIED = "APPLIED", _("applied")
    REFUSED = "REFUSED", _("refused")


class Notification(models.Model):
    """The inbox: a notify as it came, with what we made of it. A repeat of the same bytes is the same row."""

    provider = models.CharField(_("provider"), max_length=16)
    body_sha256 = models.CharField(_("SHA-256 of the body"), max_length=64, unique=True)
    body = models.TextField(_("body"), blank=True, help_text=_("Empty when the message was over the size limit."))
    body_length = models.IntegerField(_("length"), help_text=_("In bytes."))
    sender = models.CharField(_("sender"), max_length=45)
    received_at = models.DateTimeField(_("received"))
    times_received = models.IntegerField(_("times received"), default=1)
    notify_id = models.CharField(_("notify id"), max_length=128, blank=True)
    out_trade_no = models.CharField(_("merchant number"), max_length=64, blank=True)
    trade_status = models.CharField(_("trade status"), max_length=32, blank=True)
    verdict = models.CharField(_("verdict"), max_length=8, choices=Verdict, default=Verdict.RECEIVED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    verified = models.BooleanField(_("signature good"), default=False)
    handled_at = models.DateTimeField(_("handled"), null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.CheckConstraint(condition=models.Q(verdict__in=Verdict.values), name="notification_verdict_known"),
            models.CheckConstraint(
                condition=~models.Q(verdict=Verdict.APPLIED) | models.Q(verified=True, handled_at__isnull=False),
                name="notification_applied_was_verified",
            ),
        ]
        indexes = [
            models.Index(fields=["out_trade_no"], name="notification_by_number"),
            models.Index(
                fields=["received_at"], condition=models.Q(verdict=Verdict.RECEIVED), name="notification_unapplied"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.out_trade_no or '?'} {self.trade_status} {self.verdict}".strip()
