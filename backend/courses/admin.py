"""The catalogue, which the operator edits, and who takes part, which purchases decide."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from backend.admin import ModelAdmin, OpenFilter, YuanField, yuan
from backend.admin_lists import LongListAdmin
from backend.courses.models import Course, Enrollment


@admin.register(Course)
class CourseAdmin(ModelAdmin):
    """Orders keep their own copy of name and price, so both may be changed at any time."""

    list_display = ("name", "price", "on_sale")
    list_editable = ("on_sale",)
    list_filter = ("on_sale",)
    search_fields = ("name", "summary")
    list_per_page = 50
    fields = ("name", "summary", "price_fen", "on_sale")

    @admin.display(description=_("price"), ordering="price_fen")
    def price(self, course: Course) -> str:
        return yuan(course.price_fen)

    def formfield_for_dbfield(
        self, db_field: "models.Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "price_fen":
            return YuanField(label=_("price (yuan)"), help_text=_("With two places: 117.00. 0.00 is free."))
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class AccessFilter(OpenFilter):
    title = _("access")
    closed_name = _("ended")


@admin.register(Enrollment)
class EnrollmentAdmin(LongListAdmin):
    list_display = ("username", "course_name", "opened_at", "closed_at")
    list_select_related = ("user", "course")
    list_filter = (AccessFilter,)
    search_fields = ("=user__username", "course__name")
    search_help_text = _("User name or course")
    date_hierarchy = "opened_at"
    ordering = ("-opened_at",)
    fields = ("user", "course", "line", "opened_at", "closed_at")

    @admin.display(description=_("user"), ordering="user__username")
    def username(self, enrollment: Enrollment) -> str:
        return enrollment.user.username

    @admin.display(description=_("course"), ordering="course__name")
    def course_name(self, enrollment: Enrollment) -> str:
        return enrollment.course.name
