"""The outbox: what other systems are told, to whom it went, and what they answered."""

import secrets
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _


def new_event_key() -> str:
    return f"evt_{secrets.token_hex(16)}"


class Event(models.Model):
    """Something that happened, as it is told: written with the change itself, delivered later. Never changed."""

    key = models.CharField(_("id"), max_length=40, unique=True, default=new_event_key)
    name = models.CharField(_("name"), max_length=40, help_text=_("Noun and past tense: order.paid"))
    order_number = models.CharField(_("order"), max_length=22)
    body = models.TextField(_("body"), help_text=_("The JSON text that is signed and sent."))
    created_at = models.DateTimeField(_("created at"))
    dispatch_at = models.DateTimeField(
        _("dispatch at"), null=True, blank=True, help_text=_("Empty once it has a delivery for each address.")
    )

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["dispatch_at"], condition=models.Q(dispatch_at__isnull=False), name="event_to_dispatch"
            ),
            models.Index(fields=["order_number"], name="event_of_order"),
            models.Index(fields=["created_at"], name="event_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.order_number}"


class DeliveryStatus(models.TextChoices):
    PENDING = "PENDING", _("pending")
    DELIVERED = "DELIVERED", _("delivered")
    GIVEN_UP = "GIVEN_UP", _("given up")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: object) -> Self:
        return self.filter(status=DeliveryStatus.PENDING, next_try_at__lte=now)


class Delivery(models.Model):
    """One event on its way to one address."""

    event = models.ForeignKey(  # an_event_once_per_address begins with it
        Event, models.CASCADE, related_name="deliveries", db_index=False, verbose_name=_("event")
    )
    url = models.CharField(_("address"), max_length=300)
    status = models.CharField(_("status"), max_length=9, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    since = models.DateTimeField(_("since"), help_text=_("The days of trying are counted from here."))
    times_tried = models.IntegerField(_("times tried"), default=0)
    next_try_at = models.DateTimeField(_("next try at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["next_try_at"], condition=models.Q(status=DeliveryStatus.PENDING), name="delivery_due")
        ]
        constraints = [
            models.UniqueConstraint(fields=["event", "url"], name="an_event_once_per_address"),
            models.CheckConstraint(condition=models.Q(status__in=DeliveryStatus.values), name="delivery_status_known"),
            models.CheckConstraint(
                condition=models.Q(status=DeliveryStatus.PENDING, next_try_at__isnull=False, ended_at=None)
                | (~models.Q(status=DeliveryStatus.PENDING) & models.Q(next_try_at=None, ended_at__isnull=False)),
                name="delivery_pending_has_its_next_try",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.url}"


class Attempt(models.Model):
    """The delivery log: one try, and what became of it."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts", verbose_name=_("delivery"))
    at = models.DateTimeField(_("at"))
    status = models.IntegerField(_("HTTP status"), null=True, blank=True, help_text=_("Empty without an answer."))
    outcome = models.CharField(_("outcome"), max_length=200)
    took_ms = models.IntegerField(_("took (ms)"))

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.outcome
