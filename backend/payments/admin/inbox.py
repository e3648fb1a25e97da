"""The notifies as they came, and what was made of each."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from backend.admin_lists import KnownValues, LongListAdmin
from backend.payments.models import Notification
from backend.payments.providers.alipay_values import STATES


class TradeStatusFilter(KnownValues):
    title = _("trade status")
    parameter_name = "trade_status"

    def values(self) -> list[str]:
        return list(STATES)


@admin.register(Notification)
class NotificationAdmin(LongListAdmin):
    list_display = ("received_at", "out_trade_no", "trade_status", "verdict", "reason", "verified", "times_received")
    list_filter = ("verdict", "verified", TradeStatusFilter, "received_at")
    search_fields = ("=out_trade_no", "=body_sha256")
    search_help_text = _("Merchant number or SHA-256 of the body")
    date_hierarchy = "received_at"
    ordering = ("-received_at",)
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
