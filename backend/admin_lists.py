"""Lists of what grows with every order. No page of them reads such a table from end to end, as Django's own would: to
count its rows, for the days of its calendar, for the values of its filters, and for a search, which is one OR over
several tables.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from backend.admin import ModelAdmin, ReadOnlyAdmin

MOST_LISTED = 10_000
MOST_FOUND = 1_000
"""Rows by one search field."""
LOOKUPS = {"=": "exact", "^": "startswith"}
PARTS = ("year", "month", "day")
FORMATS = ("Y", "YEAR_MONTH_FORMAT", "MONTH_DAY_FORMAT")
Period = tuple[int, ...]
"""A year, a year and a month, or a day."""


class Pages(Paginator):  # type: ignore[type-arg]  # takes none at run time
    """As many as the first rows fill: nobody turns two hundred pages."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_LISTED].count())


class LongChangeList(ChangeList):
    @property
    def is_cut(self) -> bool:
        return self.result_count == MOST_LISTED

    @cached_property
    def calendar(self) -> dict[str, Any] | None:
        """For Django's admin/date_hierarchy.html: the years since the first row, and the months and days of one."""
        oldest = self._oldest()
        if oldest is None:
            return None
        names = [f"{self.date_hierarchy}__{part}" for part in PARTS]
        chosen = tuple(int(self.params[name]) for name in takewhile(self.params.__contains__, names))
        choices = [self._choice(period) for period in periods(day_of(oldest), timezone.localdate(), chosen)]
        return {"back": self._choice(chosen[:-1]) if chosen else None, "choices": choices}

    def _oldest(self) -> Any:
        field = self.date_hierarchy
        return self.root_queryset.order_by(field).values_list(field, flat=True).first() if field else None

    def _choice(self, period: Period) -> dict[str, str]:
        filters = {f"{self.date_hierarchy}__{part}": number for part, number in zip(PARTS, period, strict=False)}
        link = self.get_query_string(filters, [f"{self.date_hierarchy}__"])
        return {"title": title_of(period), "link": link}


def periods(first: date, last: date, chosen: Period) -> list[Period]:
    """The years from one day to another; of a chosen year the months, of a month the days; a chosen day itself."""
    match chosen:
        case ():
            found: Iterable[Period] = ((year,) for year in range(first.year, last.year + 1))
        case (year,):
            found = ((year, month) for month in range(1, 13))
        case (year, month):
            found = ((year, month, day) for day in range(1, monthrange(year, month)[1] + 1))
        case _:
            found = (chosen,)
    return [period for period in found if begins(first, period) <= period <= begins(last, period)]


def begins(day: date, period: Period) -> Period:
    """The year, month or day that holds the day."""
    return (day.year, day.month, day.day)[: len(period)]


def day_of(moment: date | datetime) -> date:
    return timezone.localtime(moment).date() if isinstance(moment, datetime) else moment


def title_of(period: Period) -> str:
    if not period:
        return _("All dates")
    return date_format(date(*period, *(1,) * (3 - len(period))), FORMATS[len(period) - 1])


class LongList(ModelAdmin):
    """``date_hierarchy`` needs an index, and wants to be the ordering. A search field is the value itself (``=``), its
    beginning (``^``), or a part of it."""

    paginator = Pages
    change_list_template = "admin/long_list.html"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts of every filter's value
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **more: Any) -> type[ChangeList]:
        return LongChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """What any of the fields finds, each by an index of its own."""
        if words := search_term.strip():
            keys = {key for field in self.search_fields for key in found(queryset, field, words)}
            queryset = queryset.filter(pk__in=keys)
        return queryset, False


class LongListAdmin(LongList, ReadOnlyAdmin):
    """Rows that nobody writes here."""


def found(rows: models.QuerySet[Any], field: str, words: str) -> models.QuerySet[Any]:
    lookup = f"{field.lstrip('=^')}__{LOOKUPS.get(field[0], 'icontains')}"
    return rows.order_by().filter(**{lookup: words}).values_list("pk", flat=True)[:MOST_FOUND]


class KnownValues(admin.SimpleListFilter):
    """By a field without choices whose values the shop knows; ``parameter_name`` is the field's."""

    def values(self) -> Iterable[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, value) for value in self.values()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(**{str(self.parameter_name): chosen}) if chosen else queryset
