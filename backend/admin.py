"""What the admin pages of all apps share: rows that may only be read, and amounts in yuan."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from backend.money import format_yuan, parse_yuan

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:  # Django's admin classes take no type arguments at run time.
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline

admin.site.site_title = "Coursepay"
admin.site.site_header = "Coursepay"
admin.site.index_title = _("Orders and courses")


class ReadOnly:
    """For everything with a status or money: the use cases write it, and here nobody does, not even a superuser."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
    """A list and detail pages to look at. The list does not count the whole table for each search."""

    show_full_result_count = False
    list_per_page = 50


class OpenFilter(admin.SimpleListFilter):
    """By whether ``closed_at`` is still empty. A subclass says what that means for its rows."""

    title = _("state")
    parameter_name = "open"
    open_name: str | Promise = _("still open")
    closed_name: str | Promise = _("closed")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", self.open_name), ("no", self.closed_name)]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "yes")


class ReadOnlyInline(ReadOnly, TabularInline):
    extra = 0
    can_delete = False
    show_change_link = True


def yuan(fen: int) -> str:
    return f"¥{format_yuan(fen)}"


class YuanField(forms.Field):
    """An amount that is fen in the model and a yuan string of the one good spelling in the form."""

    widget = forms.TextInput
    default_error_messages = {"invalid": _("Write yuan with exactly two places, such as 117.00.")}

    def prepare_value(self, value: Any) -> Any:
        return format_yuan(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        try:
            return value if isinstance(value, int) else parse_yuan(value)
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal", "size": 12, "autocomplete": "off"}
