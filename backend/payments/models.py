"""Attempts to pay an order, and the notifies that came about them."""

import secrets
from datetime import datetime
from typing import ClassVar, Self

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

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        indexes = [
            models.Index(
                fields=["next_query_at"], condition=models.Q(next_query_at__isnull=False), name="payment_due_query"
            )
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


class RefundStatus(models.TextChoices):
    PENDING = "PENDING", _("pending")
    SUCCEEDED = "SUCCEEDED", _("succeeded")
    FAILED = "FAILED", _("failed")


class RefundCause(models.TextChoices):
    """Why money goes back; the automatic ones are the second half of their refund's number."""

    STAFF = "STAFF", _("by an operator")
    LATE = "LATE", _("paid after the order had timed out")
    CANCELLED = "CANCELLED", _("paid for a cancelled order")
    DOUBLE = "DOUBLE", _("the order was paid twice")
    OWNED = "OWNED", _("the course was owned already")
    PROVIDER = "PROVIDER", _("made at the provider, not here")


class RefundQuerySet(models.QuerySet["Refund"]):
    def due(self, now: datetime) -> Self:
        return self.filter(status=RefundStatus.PENDING, next_try_at__lte=now)


class Refund(HasStatus):
    """Money on its way back to the buyer. The row and its number are committed before the provider is called."""

    ALLOWED: ClassVar = {
        RefundStatus.PENDING: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
        RefundStatus.SUCCEEDED: frozenset(),
        RefundStatus.FAILED: frozenset(),
    }

    order = models.ForeignKey(Order, models.PROTECT, related_name="refunds", verbose_name=_("order"))
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds", verbose_name=_("payment"))
    out_request_no = models.CharField(_("refund number"), max_length=64, unique=True)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    cause = models.CharField(_("cause"), max_length=10, choices=RefundCause)
    reason = models.CharField(_("reason"), max_length=200)
    status = models.CharField(_("status"), max_length=9, choices=RefundStatus, default=RefundStatus.PENDING)
    close_course_ids = models.JSONField(_("courses to close"), default=list, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("requested by"),
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=128, null=True, blank=True)  # noqa: DJ001 - unique where given
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    times_tried = models.IntegerField(_("times tried"), default=0)
    next_try_at = models.DateTimeField(_("next try at"), null=True, blank=True)
    provider_code = models.CharField(_("provider's code"), max_length=64, blank=True)
    provider_message = models.CharField(_("provider's words"), max_length=200, blank=True)

    objects = RefundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(status=RefundStatus.PENDING), name="refund_due")
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=RefundStatus.values), name="refund_status_known"),
            models.CheckConstraint(condition=models.Q(cause__in=RefundCause.values), name="refund_cause_known"),
            models.CheckConstraint(
                condition=models.Q(amount_fen__gt=0, amount_fen__lte=MAX_FEN), name="refund_amount_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(status=RefundStatus.PENDING, next_try_at__isnull=False, ended_at=None)
                | (~models.Q(status=RefundStatus.PENDING) & models.Q(next_try_at=None, ended_at__isnull=False)),
                name="refund_pending_has_its_next_try",
            ),
            models.UniqueConstraint(fields=["order", "idempotency_key"], name="a_refund_key_once_per_order"),
        ]

    def __str__(self) -> str:
        return self.out_request_no


class Discrepancy(models.Model):
    """Something about money that a person has to look at, with what to do. Opened once for its ``key``."""

    key = models.CharField(_("key"), max_length=120, unique=True)
    kind = models.CharField(_("kind"), max_length=32)
    out_trade_no = models.CharField(_("merchant number"), max_length=64, blank=True)
    detail = models.CharField(_("detail"), max_length=300)
    what_to_do = models.CharField(_("what to do"), max_length=300)
    opened_at = models.DateTimeField(_("found at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("discrepancy")
        verbose_name_plural = _("discrepancies")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.out_trade_no}".strip()


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
    received_at = models.DateTimeField(_("received at"))
    times_received = models.IntegerField(_("times received"), default=1)
    notify_id = models.CharField(_("notify id"), max_length=128, blank=True)
    out_trade_no = models.CharField(_("merchant number"), max_length=64, blank=True)
    trade_status = models.CharField(_("trade status"), max_length=32, blank=True)
    verdict = models.CharField(_("verdict"), max_length=8, choices=Verdict, default=Verdict.RECEIVED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    verified = models.BooleanField(_("signature good"), default=False)
    handled_at = models.DateTimeField(_("handled at"), null=True, blank=True)

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
