"""Attempts to pay, refunds, the inbox of notifies, and what a person has to look at.

The order's page gets its payments and refunds here, orders know of none.
"""

from typing import Any, cast

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext as translated  # of texts that are marked where they are written
from django.utils.translation import gettext_lazy as _

from backend.admin import OpenFilter, ReadOnlyAdmin, ReadOnlyInline, yuan
from backend.orders.admin import OrderAdmin, OrderEventInline, OrderLineInline
from backend.orders.models import Order
from backend.payments.bills import compare_again
from backend.payments.discrepancies import KINDS, settle
from backend.payments.models import Bill, Discrepancy, Notification, Payment, Refund


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
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("order", "username", "amount", "cause", "status", "created_at")
    list_select_related = ("order__user",)
    list_filter = ("status", "cause", "created_at")
    search_fields = ("=out_request_no", "=payment__out_trade_no", "^order__number", "=order__user__username")
    search_help_text = _("Refund number, merchant number, order number or user name")
    date_hierarchy = "created_at"
    ordering = ("-id",)
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


class FindingFilter(admin.SimpleListFilter):
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(kind.name, translated(kind.name)) for kind in KINDS]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Discrepancy]) -> models.QuerySet[Discrepancy]:
        known = {kind.name for kind in KINDS}
        return queryset.filter(kind=self.value()) if self.value() in known else queryset


class DiscrepancyFilter(OpenFilter):
    title = _("open or closed")
    open_name = _("waiting for a person")
    closed_name = _("settled")


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin):
    """An operator does what a row says, somewhere else, and then marks it as settled: nothing else can be done here."""

    list_display = ("finding", "particulars", "advice", "opened_at", "closed_at")
    list_filter = (DiscrepancyFilter, FindingFilter)
    search_fields = ("=out_trade_no", "detail")
    search_help_text = _("Merchant number or detail")
    date_hierarchy = "opened_at"
    ordering = ("-id",)
    fields = (("finding", "out_trade_no"), "detail", "advice", ("opened_at", "closed_at"), "key")
    readonly_fields = ("finding", "advice")
    actions = ("mark_as_settled",)

    @admin.display(description=_("kind"), ordering="kind")
    def finding(self, discrepancy: Discrepancy) -> str:
        return translated(discrepancy.kind)

    @admin.display(description=_("detail"), ordering="out_trade_no")
    def particulars(self, discrepancy: Discrepancy) -> str:
        """With the number that it is about, in a column that is no wider than the page allows."""
        words = '<div style="min-width: 12em; overflow-wrap: anywhere">{}<br>{}</div>'
        return format_html(words, discrepancy.detail, discrepancy.out_trade_no)

    @admin.display(description=_("what to do"))
    def advice(self, discrepancy: Discrepancy) -> str:
        return format_html('<div style="min-width: 12em">{}</div>', translated(discrepancy.what_to_do))

    def has_settle_permission(self, request: HttpRequest) -> bool:
        """Whoever was given Django's own right to change these; the pages themselves change nothing."""
        return request.user.has_perm("payments.change_discrepancy")

    @admin.action(description=_("Mark as settled"), permissions=["settle"])
    def mark_as_settled(self, request: HttpRequest, queryset: models.QuerySet[Discrepancy]) -> None:
        """Close what is open of the chosen, and keep in each one's history who did."""
        settled = [row for row in queryset if settle([row.pk])]
        for row in settled:
            self.log_change(request, row, [{"changed": {"fields": ["closed at"]}}])
        self.message_user(request, gettext("Settled: {count}.").format(count=len(settled)), messages.SUCCESS)


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


@admin.register(Bill)
class BillAdmin(ReadOnlyAdmin):
    list_display = ("day", "status", "matched", "repaired", "to_look_at", "compared_at", "said")
    list_filter = ("status",)
    date_hierarchy = "day"
    ordering = ("-day",)
    fields = (
        ("day", "provider"),
        ("status", "outcome"),
        ("compared_at", "times_tried", "next_try_at"),
        "sums",
        "counts",
        "listed",
    )
    readonly_fields = ("sums", "counts", "listed")
    actions = ("compare_once_more",)

    @admin.display(description=_("matched"))
    def matched(self, bill: Bill) -> int | None:
        return cast("int | None", bill.summary.get("matched"))

    @admin.display(description=_("repaired"))
    def repaired(self, bill: Bill) -> int | None:
        return cast("int | None", bill.summary.get("repaired"))

    @admin.display(description=_("to look at"))
    def to_look_at(self, bill: Bill) -> int | None:
        return sum(bill.summary["found"].values()) - bill.summary["repaired"] if bill.summary else None

    @admin.display(description=_("sums"))
    def sums(self, bill: Bill) -> str:
        return ", ".join(f"{translated(name)} ¥{amount}" for name, amount in bill.summary.get("amounts", {}).items())

    @admin.display(description=_("against our books"))
    def counts(self, bill: Bill) -> str:
        found = [(name, count) for name, count in bill.summary.get("found", {}).items() if count]
        return format_html_join("", "<div>{}: {}</div>", [(translated(name), count) for name, count in found])

    @admin.display(description=_("to look at"))
    def listed(self, bill: Bill) -> str:
        rows = bill.summary.get("findings", ())
        said = [(translated(row["kind"]), row["outTradeNo"], row["detail"]) for row in rows]
        return format_html_join("", '<div style="overflow-wrap: anywhere">{}: {} {}</div>', said)

    @admin.display(description=_("outcome"))
    def said(self, bill: Bill) -> str:
        return format_html('<div style="overflow-wrap: anywhere">{}</div>', bill.outcome)

    def has_compare_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.change_bill")

    @admin.action(description=_("Compare once more"), permissions=["compare"])
    def compare_once_more(self, request: HttpRequest, queryset: models.QuerySet[Bill]) -> None:
        for bill in queryset:
            compare_again(bill)
        self.message_user(request, gettext("Compared soon: {count}.").format(count=len(queryset)), messages.SUCCESS)
