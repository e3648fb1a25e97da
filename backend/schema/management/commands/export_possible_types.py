from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand
from graphql import GraphQLSchema, is_abstract_type


class Command(BaseCommand):
    help = "Write which types each interface and union may be, as Apollo Client's cache wants to know it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--path", type=Path, default=Path("possible_types.json"), help="The file to write.")

    def handle(self, *args: Any, path: Path, **options: Any) -> None:
        from backend.schema.assembly import schema

        path.write_bytes(possible_types(schema._schema))  # noqa: SLF001 - strawberry shows no other


def possible_types(schema: GraphQLSchema) -> bytes:
    """``possibleTypes`` of Apollo's InMemoryCache, as JSON; the same bytes for the same schema."""
    found = {
        name: sorted(kind.name for kind in schema.get_possible_types(abstract))
        for name, abstract in sorted(schema.type_map.items())
        if is_abstract_type(abstract)
    }
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
