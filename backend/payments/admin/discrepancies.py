"""What a person has to look at."""

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext as translated  # of texts that are marked where they are written
from django.utils.translation import gettext_lazy as _

from backend.admin import OpenFilter, ReadOnlyAdmin
from backend.payments.discrepancies import KINDS, settle
from backend.payments.models import Discrepancy


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
