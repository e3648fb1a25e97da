"""Rows of one page are loaded together: what is asked of one is fetched for all, in one query, when it is first asked.

It is what an optimizer would plan ahead, without walking the query first: a list of a hundred orders with their lines
is two queries, and a single order without lines is one.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import models
from django.db.models import Prefetch, prefetch_related_objects

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
    """The related rows under ``name``, fetched for the whole page at once."""
    attribute = f"loaded_{name}"
    if attribute not in row.__dict__:
        prefetch_related_objects(peers_of(row), Prefetch(name, queryset, to_attr=attribute))
    rows: list[Any] = row.__dict__[attribute]
    return rows


def remember(row: models.Model, name: str, rows: list[Any]) -> None:
    """Hand over related rows that are known already, so that nobody asks the database for them."""
    row.__dict__[f"loaded_{name}"] = rows
