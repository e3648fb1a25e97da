"""Rows of one page are loaded together: what is asked of one is fetched for all, in one query, when it is first asked.

It is what an optimizer would plan ahead, without walking the query first: a list of a hundred orders with their lines
is two queries, and a single order without lines is one.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import models

from backend.prepared import PreparedIn

Row = TypeVar("Row", bound=models.Model)


def as_peers(rows: Sequence[Row]) -> Sequence[Row]:
    """Mark rows as of one page."""
    for row in rows:
        row.__dict__["_peers"] = rows
    return rows


def peers_of(row: Row) -> Sequence[Row]:
    """The rows of this one's page; itself alone where it came alone."""
    peers: Sequence[Row] = row.__dict__.get("_peers", (row,))
    return peers


def related(row: models.Model, name: str, queryset: models.QuerySet[Any]) -> list[Any]:
    """The related rows under ``name``, fetched for the whole page at once. One name has always the same queryset."""
    attribute = f"loaded_{name}"
    if attribute not in row.__dict__:
        fetch(peers_of(row), name, queryset)
    rows: list[Any] = row.__dict__[attribute]
    return rows


def fetch(owners: Sequence[models.Model], name: str, queryset: models.QuerySet[Any]) -> None:
    """Hand to each of these rows of one model what is related to it under ``name``. One query."""
    key = link(type(owners[0]), name)
    found: dict[Any, list[Any]] = {owner.pk: [] for owner in owners}
    for row in rows_of(key, queryset).all(list(found)):
        found[getattr(row, key.attname)].append(row)
    for owner in owners:
        for row in found[owner.pk]:
            key.set_cached_value(row, owner)
        remember(owner, name, found[owner.pk])


@cache
def link(model: type[models.Model], name: str) -> Any:
    """The foreign key behind the reverse relation ``name``."""
    return model._meta.get_field(name).field  # type: ignore[union-attr]


_PREPARED: dict[Any, PreparedIn[Any]] = {}


def rows_of(key: Any, queryset: models.QuerySet[Any]) -> PreparedIn[Any]:
    return _PREPARED.setdefault(key, PreparedIn(lambda owners: queryset.filter(**{f"{key.attname}__in": owners})))


def remember(row: models.Model, name: str, rows: list[Any]) -> None:
    """Hand over related rows that are known already, so that nobody asks the database for them."""
    row.__dict__[f"loaded_{name}"] = rows
