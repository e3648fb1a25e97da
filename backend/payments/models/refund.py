"""Money that goes back."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from backend.money import MAX_FEN
from backend.orders.models import Order
from backend.payments.models.payment import Payment
from backend.status import HasStatus


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

    order = models.ForeignKey(  # a_refund_key_once_per_order begins with it
        Order, models.PROTECT, related_name="refunds", db_index=False, verbose_name=_("order")
    )
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
    billed_on = models.DateField(
        _("billed on"), null=True, blank=True, help_text=_("The day of the provider's bill that has it.")
    )

    objects = RefundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["created_at"], name="refund_by_time"),
            models.Index(fields=["next_try_at"], condition=models.Q(status=RefundStatus.PENDING), name="refund_due"),
            models.Index(
                fields=["ended_at"],
                condition=models.Q(status=RefundStatus.SUCCEEDED),
                name="refund_done_by_time",
            ),
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
