"""GraphQL, and nothing but GraphQL: one file per domain, assembled here."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.schema.assembly import schema as schema


def __getattr__(name: str) -> object:
    """The schema is built when it is first asked for: not before Django has its models."""
    if name == "schema":
        from backend.schema.assembly import schema

        return schema
    raise AttributeError(name)
