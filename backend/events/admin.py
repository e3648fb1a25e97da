"""Outgoing events to look at, and to send once more."""

from django.conf import settings
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backend.admin import ReadOnlyInline
from backend.admin_lists import MOST_LISTED, KnownValues, LongListAdmin
from backend.events.delivery import deliver_again
from backend.events.models import Attempt, Delivery, Event
from backend.events.outbox import PUBLIC


class DeliveryInline(ReadOnlyInline):
    model = Delivery
    fields = ("url", "status", "times_tried", "next_try_at", "ended_at")


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("at", "status", "outcome", "took_ms")
    show_change_link = False


class NameFilter(KnownValues):
    title = _("name")
    parameter_name = "name"

    def values(self) -> list[str]:
        return sorted(PUBLIC)


class AddressFilter(KnownValues):
    title = _("address")
    parameter_name = "url"

    def values(self) -> list[str]:
        return list(settings.EVENT_URLS)


@admin.register(Event)
class EventAdmin(LongListAdmin):
    list_display = ("created_at", "name", "order_number", "key")
    list_filter = (NameFilter, "created_at")
    search_fields = ("=key", "=order_number")
    search_help_text = _("Event id or order number")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = (("name", "order_number"), ("key", "created_at"), "message")
    readonly_fields = ("message",)
    inlines = (DeliveryInline,)
    actions = ("send_again",)

    @admin.display(description=_("body"))
    def message(self, event: Event) -> str:
        return format_html('<code style="overflow-wrap: anywhere">{}</code>', event.body)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Whoever was given Django's own right to change these; the pages themselves change nothing."""
        return request.user.has_perm("events.change_event")

    @admin.action(description=_("Send once more"), permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: models.QuerySet[Event]) -> None:
        chosen = list(queryset.values_list("pk", flat=True)[:MOST_LISTED])
        deliver_again(chosen, urls=settings.EVENT_URLS)
        count = len(chosen) if settings.EVENT_URLS else 0
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, gettext("Sent again: {count}.").format(count=count), level)


@admin.register(Delivery)
class DeliveryAdmin(LongListAdmin):
    list_display = ("event", "url", "status", "times_tried", "next_try_at", "ended_at")
    list_select_related = ("event",)
    list_filter = ("status", AddressFilter)
    search_fields = ("=event__key", "=event__order_number")
    search_help_text = _("Event id or order number")
    ordering = ("-id",)
    fields = (("event", "url"), ("status", "times_tried"), ("since", "next_try_at", "ended_at"))
    inlines = (AttemptInline,)
