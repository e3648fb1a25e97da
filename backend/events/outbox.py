"""Telling other systems what happened: rows in the transaction of the change itself.

An event is committed with what it tells of, or not at all; from then on it is delivered at least once (delivery.py).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db.models import Model

from backend.broker import nudge
from backend.events.models import Event, new_event_key
from backend.stored import insert_together

PUBLIC = frozenset(
    {
        "order.paid",
        "order.cancelled",
        "order.timed_out",
        "order.refunded",
        "enrollment.opened",
        "enrollment.closed",
    }
)
"""What other systems are told; the rest of an order's history is our own."""


def tell(
    facts: Mapping[str, Mapping[str, Any]], *, order_number: str, at: datetime, along_with: Sequence[Model] = ()
) -> None:
    """Write an event for each fact (name → its data, of JSON's types and datetimes). In the caller's transaction.

    The rows ``along_with``, of one model, are stored in the same statement.
    """
    insert_together(along_with, [_event(name, data, order_number, at) for name, data in facts.items()])
    nudge("deliveries")


def _event(name: str, data: Mapping[str, Any], order_number: str, at: datetime) -> Event:
    assert name in PUBLIC, name
    key = new_event_key()
    body = {"id": key, "type": name, "createdAt": at, "data": data}
    text = orjson.dumps(body, default=_in_utc, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    return Event(key=key, name=name, order_number=order_number, body=text, created_at=at, dispatch_at=at)


def _in_utc(value: Any) -> str:
    """One spelling for one moment: what a provider says in its own time zone is told like what the database says."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} is no type of an event")
    return value.astimezone(UTC).isoformat()
