"""The provider's bill of each day, held against our books."""

from typing import cast

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext as translated  # of texts that are marked where they are written
from django.utils.translation import gettext_lazy as _

from backend.admin import ReadOnlyAdmin
from backend.payments.bills import compare_again
from backend.payments.models import Bill


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
