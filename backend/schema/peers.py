"""Rows of one page are loaded together: what is asked of one is fetched for all, in one query, when it is first asked.

It is what an optimizer would plan ahead, without walking the query first: a list of a hundred orders with their lines
is two queries, and a single order without lines is one.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import models
from django.db.models import Prefetch, prefetch_related_objects

from backend.prepared import Argument, Prepared

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
        peers = peers_of(row)
        if len(peers) > 1:
            prefetch_related_objects(peers, Prefetch(name, queryset, to_attr=attribute))
        else:
            remember(row, name, of_one(row, name, queryset))
    rows: list[Any] = row.__dict__[attribute]
    return rows


def of_one(row: models.Model, name: str, queryset: models.QuerySet[Any]) -> list[Any]:
    """The related rows of a row that came alone: what a client polls for."""
    key = link(type(row), name)
    rows = rows_of_one(key, queryset).all(owner=row.pk)
    for found in rows:
        key.set_cached_value(found, row)
    return rows


@cache
def link(model: type[models.Model], name: str) -> Any:
    """The foreign key behind the reverse relation ``name``."""
    return model._meta.get_field(name).field  # type: ignore[union-attr]


_PREPARED: dict[Any, Prepared[Any]] = {}


def rows_of_one(key: Any, queryset: models.QuerySet[Any]) -> Prepared[Any]:
    return _PREPARED.setdefault(key, Prepared(lambda: queryset.filter(**{key.name: Argument("owner")})))


def remember(row: models.Model, name: str, rows: list[Any]) -> None:
    """Hand over related rows that are known already, so that nobody asks the database for them."""
    row.__dict__[f"loaded_{name}"] = rows
