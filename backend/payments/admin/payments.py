"""Attempts to pay, and refunds; each order with its own."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from backend.admin import ReadOnlyInline, yuan
from backend.admin_lists import LongListAdmin
from backend.orders.admin import OrderAdmin, OrderEventInline, OrderLineInline
from backend.orders.models import Order
from backend.payments.models import Payment, Refund


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("out_trade_no", "trade_no", "provider", "amount", "status", "created_at", "paid_at", "closed_at")
    readonly_fields = ("amount",)
    ordering = ("id",)

    @admin.display(description=_("amount"))
    def amount(self, payment: Payment) -> str:
        return yuan(payment.amount_fen)


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ("amount", "cause", "reason", "status", "created_at", "ended_at")
    readonly_fields = ("amount",)
    ordering = ("id",)

    @admin.display(description=_("amount"))
    def amount(self, refund: Refund) -> str:
        return yuan(refund.amount_fen)


class OrderWithPaymentsAdmin(OrderAdmin):
    """An order with its attempts to pay and its refunds, found by the payments' numbers too."""

    search_fields = (*OrderAdmin.search_fields, "=payments__out_trade_no", "=payments__trade_no")
    search_help_text = _("Order number, merchant number, provider number or user name")
    inlines = (OrderLineInline, PaymentInline, RefundInline, OrderEventInline)


admin.site.unregister(Order)
admin.site.register(Order, OrderWithPaymentsAdmin)


@admin.register(Payment)
class PaymentAdmin(LongListAdmin):
    list_display = ("out_trade_no", "order", "username", "provider", "amount", "status", "trade_no", "created_at")
    list_select_related = ("order__user",)
    list_filter = ("status", "provider", "created_at")
    search_fields = ("=out_trade_no", "=trade_no", "^order__number", "=order__user__username")
    search_help_text = _("Merchant number, provider number, order number or user name")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = (
        ("out_trade_no", "trade_no"),
        ("order", "provider"),
        ("amount", "status"),
        ("created_at", "expires_at"),
        ("paid_at", "closed_at"),
        ("refunded", "being_refunded", "reported"),
        ("asked_at", "times_asked", "next_query_at"),
    )
    readonly_fields = ("amount", "refunded", "being_refunded", "reported")
    inlines = (RefundInline,)

    @admin.display(description=_("buyer"), ordering="order__user__username")
    def username(self, payment: Payment) -> str:
        return payment.order.user.username

    @admin.display(description=_("amount"), ordering="amount_fen")
    def amount(self, payment: Payment) -> str:
        return yuan(payment.amount_fen)

    @admin.display(description=_("refunded"))
    def refunded(self, payment: Payment) -> str:
        return yuan(payment.refunded_fen)

    @admin.display(description=_("being refunded"))
    def being_refunded(self, payment: Payment) -> str:
        return yuan(payment.refunding_fen)

    @admin.display(description=_("refunded by the provider's word"))
    def reported(self, payment: Payment) -> str:
        return yuan(payment.reported_refund_fen)


@admin.register(Refund)
class RefundAdmin(LongListAdmin):
    list_display = ("order", "username", "amount", "cause", "status", "created_at")
    list_select_related = ("order__user",)
    list_filter = ("status", "cause", "created_at")
    search_fields = ("=out_request_no", "=payment__out_trade_no", "^order__number", "=order__user__username")
    search_help_text = _("Refund number, merchant number, order number or user name")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = (
        ("out_request_no", "status"),
        ("order", "payment"),
        ("amount", "cause"),
        ("reason", "requested_by"),
        "courses_to_close",
        ("created_at", "ended_at"),
        ("times_tried", "next_try_at"),
        ("provider_code", "provider_message"),
        "idempotency_key",
    )
    readonly_fields = ("amount", "courses_to_close")

    @admin.display(description=_("buyer"), ordering="order__user__username")
    def username(self, refund: Refund) -> str:
        return refund.order.user.username

    @admin.display(description=_("amount"), ordering="amount_fen")
    def amount(self, refund: Refund) -> str:
        return yuan(refund.amount_fen)

    @admin.display(description=_("courses to close"))
    def courses_to_close(self, refund: Refund) -> str:
        """By the names that they were bought under."""
        lines = refund.order.lines.filter(course_id__in=refund.close_course_ids)
        return ", ".join(lines.values_list("name", flat=True))
