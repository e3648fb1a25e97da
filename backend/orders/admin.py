"""Orders to look at. What they have to do with trades is added by the payments' admin."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backend.admin import ReadOnlyInline, yuan
from backend.admin_lists import LongListAdmin
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderLine


class OrderLineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("name", "course", "price", "real_price")
    readonly_fields = fields
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("course")

    @admin.display(description=_("price"))
    def price(self, line: OrderLine) -> str:
        return yuan(line.price_fen)

    @admin.display(description=_("real price"))
    def real_price(self, line: OrderLine) -> str:
        return yuan(line.real_price_fen)


class OrderEventInline(ReadOnlyInline):
    model = OrderEvent
    fields = ("at", "name", "detail")
    verbose_name_plural = _("timeline")
    show_change_link = False


@admin.register(Order)
class OrderAdmin(LongListAdmin):
    list_display = ("number", "username", "subject", "total", "status", "created_at", "paid_at")
    list_select_related = ("user",)
    list_filter = ("status", "pay_type", "created_at")
    search_fields: ClassVar[tuple[str, ...]] = ("^number", "=user__username")
    search_help_text = _("Order number or user name")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = (
        ("number", "status"),
        ("user", "subject"),
        ("total", "pay_type"),
        ("created_at", "expires_at", "paid_at"),
        "basket_hash",
    )
    readonly_fields = ("total",)
    inlines: ClassVar[tuple[type[ReadOnlyInline], ...]] = (OrderLineInline, OrderEventInline)

    @admin.display(description=_("buyer"), ordering="user__username")
    def username(self, order: Order) -> str:
        return order.user.username

    @admin.display(description=_("total"), ordering="total_fen")
    def total(self, order: Order) -> str:
        return yuan(order.total_fen)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(LongListAdmin):
    list_display = ("key", "username", "order")
    list_select_related = ("user", "order")
    search_fields = ("=user__username", "=order__number")
    search_help_text = _("User name or order number")
    ordering = ("-id",)
    fields = ("key", "user", "order", "input_hash")

    @admin.display(description=_("buyer"), ordering="user__username")
    def username(self, key: IdempotencyKey) -> str:
        return key.user.username
