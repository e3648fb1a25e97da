"""The scalars of the contract, and ids that tell nothing."""

import hashlib
from functools import cache
from typing import NewType

import strawberry
from django.conf import settings
from strawberry.types.scalar import ScalarDefinition

from backend.money import format_yuan, parse_yuan

Money = NewType("Money", int)
"""Fen inside; outside a yuan string with exactly two places."""

SCALARS: dict[object, ScalarDefinition] = {
    Money: strawberry.scalar(
        name="Money",
        description='Yuan with exactly two places, as a string: "117.00". ASCII digits, 0.00 to 99999999.99; anything'
        " else is refused.",
        serialize=format_yuan,
        parse_value=parse_yuan,
    )
}


@cache
def _id_key() -> bytes:
    return hashlib.sha256(b"opaque ids|" + settings.SECRET_KEY.encode()).digest()


def opaque_id(kind: str, pk: int) -> strawberry.ID:
    """An id for rows that nobody looks up by it: stable, unique, and silent about how many rows there are."""
    return strawberry.ID(hashlib.blake2s(f"{kind}:{pk}".encode(), key=_id_key(), digest_size=10).hexdigest())
