"""Attempts to pay and the inbox of notifies; the order's page gets its payments here, orders know of none."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from backend.admin import ReadOnlyAdmin, ReadOnlyInline, yuan
from backend.orders.admin import OrderAdmin, OrderEventInline, OrderLineInline
from backend.orders.models import Order
from backend.payments.models import Notification, Payment


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("out_trade_no", "trade_no", "provider", "amount", "status", "created_at", "paid_at", "closed_at")
    readonly_fields = ("amount",)
    ordering = ("id",)

    @admin.display(description=_("amount"))
    def amount(self, payment: Payment) -> str:
        return yuan(payment.amount_fen)


class OrderWithPaymentsAdmin(OrderAdmin):
    """An order with its attempts to pay, found by their numbers too."""

    search_fields = (*OrderAdmin.search_fields, "=payments__out_trade_no", "=payments__trade_no")
    search_help_text = _("Order number, merchant number, provider number or user name")
    inlines = (OrderLineInline, PaymentInline, OrderEventInline)


admin.site.unregister(Order)
admin.site.register(Order, OrderWithPaymentsAdmin)


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = ("out_trade_no", "order", "username", "provider", "amount", "status", "trade_no", "created_at")
    list_select_related = ("order__user",)
    list_filter = ("status", "provider", "created_at")
    search_fields = ("=out_trade_no", "=trade_no", "^order__number", "=order__user__username")
    search_help_text = _("Merchant number, provider number, order number or user name")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    fields = (
        ("out_trade_no", "trade_no"),
        ("order", "provider"),
        ("amount", "status"),
        ("created_at", "expires_at"),
        ("paid_at", "closed_at"),
    )
    readonly_fields = ("amount",)

    @admin.display(description=_("buyer"), ordering="order__user__username")
    def username(self, payment: Payment) -> str:
        return payment.order.user.username

    @admin.display(description=_("amount"), ordering="amount_fen")
    def amount(self, payment: Payment) -> str:
        return yuan(payment.amount_fen)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "out_trade_no", "trade_status", "verdict", "reason", "verified", "times_received")
    list_filter = ("verdict", "verified", "trade_status", "received_at")
    search_fields = ("=out_trade_no", "=notify_id", "=body_sha256")
    search_help_text = _("Merchant number, notify id or SHA-256 of the body")
    date_hierarchy = "received_at"
    ordering = ("-id",)
    readonly_fields = ("message",)

    def get_fields(self, request: Any, obj: Any = None) -> list[Any]:
        """What we made of it first, the message as it came last."""
        return [
            ("verdict", "verified", "reason"),
            ("received_at", "handled_at", "times_received"),
            ("out_trade_no", "trade_status", "notify_id"),
            ("provider", "sender"),
            ("body_length", "body_sha256"),
            "message",
        ]

    @admin.display(description=_("body"))
    def message(self, notification: Notification) -> str:
        """As it came, in one line that wraps anywhere: its values are longer than the page."""
        return format_html('<div style="overflow-wrap: anywhere">{}</div>', notification.body)
