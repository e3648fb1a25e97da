"""What a buyer asked for, frozen at the price it was asked at, and what became of it."""

import secrets
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backend.courses.models import Course, Enrollment
from backend.money import MAX_FEN
from backend.status import HasStatus


class OrderStatus(models.TextChoices):
    UNPAID = "UNPAID", _("unpaid")
    PAID = "PAID", _("paid")
    CANCELLED = "CANCELLED", _("cancelled")
    TIMED_OUT = "TIMED_OUT", _("timed out")


class PayType(models.TextChoices):
    ALIPAY = "ALIPAY", _("Alipay")
    WECHAT_PAY = "WECHAT_PAY", _("WeChat Pay")


def new_order_number() -> str:
    """A number for people: the day in Beijing and 14 random digits, so that it tells nobody how much we sell."""
    return f"{timezone.localdate():%Y%m%d}{secrets.randbelow(10**14):014d}"


class Order(HasStatus):
    """One purchase by one buyer. Its lines and total never change; only ``lifecycle`` writes its status."""

    ALLOWED: ClassVar = {
        OrderStatus.UNPAID: frozenset({OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.TIMED_OUT}),
        OrderStatus.TIMED_OUT: frozenset({OrderStatus.PAID}),  # late money honoured
        OrderStatus.PAID: frozenset(),
        OrderStatus.CANCELLED: frozenset(),
    }

    number = models.CharField(_("number"), max_length=22, unique=True, default=new_order_number)
    user = models.ForeignKey(  # order_newest_of_user begins with it
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="orders", db_index=False, verbose_name=_("buyer")
    )
    subject = models.CharField(_("subject"), max_length=128)
    total_fen = models.BigIntegerField(_("total (fen)"))
    status = models.CharField(_("status"), max_length=10, choices=OrderStatus, default=OrderStatus.UNPAID)
    pay_type = models.CharField(_("pay type"), max_length=10, choices=PayType, default=PayType.ALIPAY)
    basket_hash = models.CharField(_("basket hash"), max_length=64, help_text=_("Of the set of courses."))
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=OrderStatus.values), name="order_status_known"),
            models.CheckConstraint(condition=models.Q(pay_type__in=PayType.values), name="order_pay_type_known"),
            models.CheckConstraint(
                condition=models.Q(total_fen__gte=0, total_fen__lte=MAX_FEN), name="order_total_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="order_expires_after_creation"
            ),
            models.CheckConstraint(
                condition=~models.Q(status=OrderStatus.PAID) | models.Q(paid_at__isnull=False),
                name="order_paid_has_its_time",
            ),
            models.UniqueConstraint(
                fields=["user", "basket_hash"],
                condition=models.Q(status=OrderStatus.UNPAID),
                name="one_unpaid_order_per_basket",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="order_newest_of_user"),
            models.Index(fields=["created_at"], name="order_by_time"),
            models.Index(
                fields=["expires_at"], condition=models.Q(status=OrderStatus.UNPAID), name="order_unpaid_by_expiry"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_terminal(self) -> bool:
        """Whether a client may stop polling."""
        return self.status != OrderStatus.UNPAID

    def has_course_to_open(self) -> bool:
        """Whether a course of this order is not open to its buyer yet."""
        owned = Enrollment.objects.open().filter(user_id=self.user_id).values("course_id")
        return self.lines.exclude(course_id__in=owned).exists()

    def has_expired(self, now: datetime) -> bool:
        return now >= self.expires_at


class OrderLine(models.Model):
    """One course of an order, with its name and prices as they were at purchase."""

    order = models.ForeignKey(  # a_course_once_per_order begins with it
        Order, models.PROTECT, related_name="lines", db_index=False, verbose_name=_("order")
    )
    course = models.ForeignKey(Course, models.PROTECT, related_name="order_lines", verbose_name=_("course"))
    name = models.CharField(_("name"), max_length=120)
    price_fen = models.BigIntegerField(_("price (fen)"), help_text=_("The list price."))
    real_price_fen = models.BigIntegerField(_("real price (fen)"), help_text=_("What the buyer pays."))

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["order", "course"], name="a_course_once_per_order"),
            models.CheckConstraint(
                condition=models.Q(
                    real_price_fen__gte=0, real_price_fen__lte=models.F("price_fen"), price_fen__lte=MAX_FEN
                ),
                name="line_price_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class OrderEvent(models.Model):
    """What happened to an order. Rows are only ever added."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="events", verbose_name=_("order"))
    name = models.CharField(_("name"), max_length=40, help_text=_("Noun and past tense: order.paid"))
    at = models.DateTimeField(_("at"))
    detail = models.CharField(_("detail"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("order event")
        verbose_name_plural = _("order events")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name} {self.detail}".strip()


class IdempotencyKey(models.Model):
    """A key that a buyer's client has used, for ever: what it asked for and the order it was answered with."""

    user = models.ForeignKey(  # a_key_once_per_buyer begins with it
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False, verbose_name=_("buyer")
    )
    key = models.CharField(_("key"), max_length=128)
    input_hash = models.CharField(_("input hash"), max_length=64)
    order = models.ForeignKey(Order, models.PROTECT, related_name="idempotency_keys", verbose_name=_("order"))

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="a_key_once_per_buyer")]

    def __str__(self) -> str:
        return self.key
