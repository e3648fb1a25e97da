"""Relay connections over keyset cursors: a page begins after a row, so it stays right while rows are added."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from django.db.models import QuerySet

from backend.schema.access import bad_request
from backend.schema.peers import as_peers

MAX_FIRST = 100
DEFAULT_FIRST = 20
Node = TypeVar("Node")

First = Annotated[int | None, strawberry.argument(description=f"How many, 1 to {MAX_FIRST}.")]
After = Annotated[str | None, strawberry.argument(description="The endCursor of the page before.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether the page began behind a cursor.")
    start_cursor: str | None = strawberry.field(description="The cursor of its first row; null for an empty page.")
    end_cursor: str | None = strawberry.field(description="What to give as after for the next page.")


@strawberry.type(description="A row of a page, and the cursor after it.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(description="Opaque; what to give as after for the rows behind this one.")
    node: Node = strawberry.field(description="The row.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    page_info: PageInfo = strawberry.field(description="Where the page stands in its list.")
    edges: list[Edge[Node]] = strawberry.field(description="Its rows, in the list's order.")
    count: strawberry.Private[Callable[[], int]]

    @strawberry.field(description="How many rows the whole list has.")
    def total_count(self) -> int:
        return self.count()


@dataclass(frozen=True, slots=True)
class Keyset:
    """How a list is ordered and cut: by primary key, newest or oldest first; a cursor is turned into a key and back."""

    newest_first: bool
    cursor_of: Callable[[Any], str]
    key_of: Callable[[str], int | None]


def paginate(rows: QuerySet[Any], keyset: Keyset, *, first: int | None, after: str | None) -> "Connection[Any]":
    """One page: ``first`` rows behind the cursor ``after``. One query, and one more when totalCount is asked for."""
    first = DEFAULT_FIRST if first is None else first
    if not 1 <= first <= MAX_FIRST:
        raise bad_request(f"first must be between 1 and {MAX_FIRST}.")
    page = list(behind(rows, keyset, after).order_by("-pk" if keyset.newest_first else "pk")[: first + 1])
    return connection_of(page[:first], keyset, rows, has_next=len(page) > first, has_previous=after is not None)


def behind(rows: QuerySet[Any], keyset: Keyset, after: str | None) -> QuerySet[Any]:
    if after is None:
        return rows
    if (key := keyset.key_of(after)) is None:
        raise bad_request("after is not a cursor of this list.")
    return rows.filter(pk__lt=key) if keyset.newest_first else rows.filter(pk__gt=key)


def connection_of(
    page: Sequence[Any], keyset: Keyset, rows: QuerySet[Any], *, has_next: bool, has_previous: bool
) -> "Connection[Any]":
    edges = [Edge[Any](cursor=keyset.cursor_of(row), node=row) for row in as_peers(page)]
    info = PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection[Any](page_info=info, edges=edges, count=rows.count)
