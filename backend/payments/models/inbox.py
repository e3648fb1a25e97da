"""What the provider told us, and what a person has to look at."""

from django.db import models
from django.utils.translation import gettext_lazy as _


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
            models.Index(fields=["received_at"], name="notification_by_time"),
            models.Index(fields=["out_trade_no"], name="notification_by_number"),
            models.Index(
                fields=["received_at"], condition=models.Q(verdict=Verdict.RECEIVED), name="notification_unapplied"
            ),
            models.Index(
                fields=["received_at"],
                condition=models.Q(verdict=Verdict.REFUSED, verified=False),
                name="notification_forged",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.out_trade_no or '?'} {self.trade_status} {self.verdict}".strip()
