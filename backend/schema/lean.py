"""Fields that ask for nothing but their row are resolved by a plain call.

Strawberry stands between graphql-core and every resolver, to convert arguments, to build its ``info``, and to run the
extensions of the field. A field that has none of these pays for it all the same, and most of an answer is such fields:
a name, a price. They get a resolver of their own here; the others are left as strawberry made them.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

from django.db.models import FileField
from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema
from strawberry.types.field import StrawberryField
from strawberry_django.fields.field import StrawberryDjangoField

Resolve = Callable[[Any, GraphQLResolveInfo[Any]], Any]


def make_lean(schema: GraphQLSchema) -> list[str]:
    """Give each such field its resolver; returns the fields, as ``Type.field``, in the schema's order."""
    lean = []
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            definition = field.extensions.get("strawberry-definition")
            if definition is not None and (resolve := lean_resolver(definition)) is not None:
                field.resolve = resolve
                lean.append(f"{kind.name}.{name}")
    return lean


def lean_resolver(field: StrawberryField) -> Resolve | None:
    """The field's plain resolver; None where it needs what strawberry does for it."""
    if field.arguments or field.extensions or field.permission_classes or field.is_async:
        return None
    resolver = field.base_resolver
    if resolver is None:
        return column(field) if isinstance(field, StrawberryDjangoField) else None
    wants_row_alone = resolver.parent_parameter and len(resolver.signature.parameters) == 1
    return call(cast("Callable[[Any], Any]", resolver.wrapped_func)) if wants_row_alone else None


def column(field: StrawberryDjangoField) -> Resolve | None:
    """A column of the field's own model, as it stands in the row."""
    model = field.origin_django_type.model if field.origin_django_type else None
    name = field.django_name or field.python_name
    names = {column.name for column in model._meta.concrete_fields if plain(column)} if model else ()
    return call(attrgetter(name)) if name in names else None


def plain(column: Any) -> bool:
    return not column.is_relation and not isinstance(column, FileField)


def call(function: Callable[[Any], Any]) -> Resolve:
    return lambda row, info: function(row)
