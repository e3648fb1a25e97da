"""What an operation costs: about how many fields are answered, with ``first`` and other lists multiplied in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    IntValueNode,
    VariableNode,
    get_nullable_type,
    is_list_type,
)

from backend.schema.pagination import DEFAULT_FIRST, MAX_FIRST

LIST_SIZE = 10
"""How many rows are taken for a list without ``first``: an order's lines, its history, its refunds."""

Factor = int | tuple[str, int]
"""How often a field's selection is answered: a number, or a variable with what stands for it when it is not sent."""


@dataclass(slots=True)
class Cost:
    """About how many fields are answered: a number, and parts that a variable multiplies. Shared, never copied."""

    fixed: int = 0
    parts: list[tuple[Factor, "Cost"]] = field(default_factory=list)

    def add(self, factor: Factor, cost: "Cost") -> None:
        if cost.parts or not isinstance(factor, int):
            self.parts.append((factor, cost))
        else:
            self.fixed += factor * cost.fixed

    def of(self, variables: Mapping[str, object]) -> int:
        return self.fixed + sum(size_of(factor, variables) * cost.of(variables) for factor, cost in self.parts)


def size_of(factor: Factor, variables: Mapping[str, object]) -> int:
    if isinstance(factor, int):
        return factor
    name, default = factor
    return page_size(variables.get(name), default)


def page_size(asked: object, default: int) -> int:
    """How many rows ``first`` can bring. What is out of bounds, or no number, the resolver or the scalar refuses."""
    if isinstance(asked, bool) or not isinstance(asked, int | float):
        asked = default
    return int(min(max(asked, 1), MAX_FIRST))


def factor_of(node: FieldNode, definition: GraphQLField | None, parent: GraphQLNamedType | None) -> Factor:
    if definition is None:
        return 1
    if "first" not in definition.args:
        # The rows of a page were counted where its ``first`` stands.
        is_rows = is_list_type(get_nullable_type(definition.type)) and not str(parent).endswith("Connection")
        return LIST_SIZE if is_rows else 1
    asked = next((argument.value for argument in node.arguments or () if argument.name.value == "first"), None)
    if isinstance(asked, VariableNode):
        return asked.name.value, DEFAULT_FIRST
    return page_size(number_of(asked), DEFAULT_FIRST)


def number_of(node: object) -> int | None:
    """A whole number that stands in a document. Python reads no number of thousands of digits, and need not here."""
    return int(node.value[:10]) if isinstance(node, IntValueNode) else None
