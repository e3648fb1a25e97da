"""Enums of other modules as GraphQL types, with a sentence for every value."""

from enum import Enum
from typing import Any

import strawberry


def describe(kind: type[Enum], text: str, **values: str) -> None:
    """Make an enum a GraphQL type. ``values`` has a description for each of its names; one left out is a KeyError."""
    described: Any = strawberry.enum(kind, description=text)
    for value in described.__strawberry_definition__.values:
        value.description = values[value.name]
