"""The provider's daily bills, and what our books made of them."""

from datetime import datetime
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from backend.money import MAX_FEN
from backend.payments.models.payment import Payment


class BillStatus(models.TextChoices):
    WAITING = "WAITING", _("waiting")
    DONE = "DONE", _("compared")
    GIVEN_UP = "GIVEN_UP", _("given up")


class BillQuerySet(models.QuerySet["Bill"]):
    def due(self, now: datetime) -> Self:
        return self.filter(next_try_at__lte=now)


class Bill(models.Model):
    """One day of the provider's own book, and how ours compared with it when it was last held against it."""

    provider = models.CharField(_("provider"), max_length=16)
    day = models.DateField(_("day"), help_text=_("In Beijing."))
    status = models.CharField(_("status"), max_length=8, choices=BillStatus, default=BillStatus.WAITING)
    since = models.DateTimeField(_("since"))
    times_tried = models.IntegerField(_("times tried"), default=0)
    next_try_at = models.DateTimeField(_("next try at"), null=True, blank=True)
    compared_at = models.DateTimeField(_("compared at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=200, blank=True)
    summary = models.JSONField(_("summary"), default=dict, blank=True)

    objects = BillQuerySet.as_manager()

    class Meta:
        verbose_name = _("bill")
        verbose_name_plural = _("bills")
        ordering = ["-day"]
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(next_try_at__isnull=False), name="bill_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["provider", "day"], name="one_bill_a_day"),
            models.CheckConstraint(condition=models.Q(status__in=BillStatus.values), name="bill_status_known"),
            models.CheckConstraint(
                condition=~models.Q(status=BillStatus.WAITING) | models.Q(next_try_at__isnull=False),
                name="bill_waiting_has_its_next_try",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.day}"


class BilledRefund(models.Model):
    """A refund that the provider's bill names and that is none of ours, believed once a signed answer confirmed it."""

    payment = models.ForeignKey(  # a_billed_refund_once begins with it
        Payment, models.PROTECT, related_name="billed_refunds", db_index=False, verbose_name=_("payment")
    )
    out_request_no = models.CharField(_("refund number"), max_length=64)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    found_at = models.DateTimeField(_("found at"))

    class Meta:
        verbose_name = _("refund of the bill")
        verbose_name_plural = _("refunds of the bill")
        constraints = [
            models.UniqueConstraint(fields=["payment", "out_request_no"], name="a_billed_refund_once"),
            models.CheckConstraint(
                condition=models.Q(amount_fen__gt=0, amount_fen__lte=MAX_FEN), name="billed_refund_amount_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.out_request_no
