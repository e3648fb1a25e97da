"""What a document may ask for, counted before it is validated, in one walk.

A fragment is walked once, however often it is spread, so the work is linear in what was sent: limiters that follow
every spread take 2^n steps for n fragments that spread each other twice. The walk also leaves a ``Plan``: what the
chosen operation costs for given variables, cheap enough to ask in every request.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
)

from backend.schema.access import Refused, bad_request
from backend.schema.cost import Cost, Factor, factor_of, number_of

LARGEST_SHOWN = 2**53 - 1
"""Figures of bombs have sixty digits; JSON's readers take this much."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each. What is not said here is bounded by the number of tokens."""

    operations: int = 10
    fragments: int = 12
    mutations: int = 1
    depth: int = 8
    fields: int = 300
    aliases: int = 15
    directives: int = 8
    repeats: int = 20
    cost: int = 10_000


LIMITS = Limits()
FOR_INTROSPECTION = Limits(depth=20, fields=1000)
"""Only for those who may look at the schema at all."""

WORDS = {
    "depth": "levels",
    "fields": "fields, fragments spread out",
    "aliases": "aliases, fragments spread out",
    "directives": "directives, fragments spread out",
    "repeats": "fields of one name in one place",
}


class TooComplex(Refused):
    """More than a limit allows. The figure and the limit are in the message and in the extensions."""

    def __init__(self, figure: int, words: str, limit: int) -> None:
        figure = min(figure, LARGEST_SHOWN)
        super().__init__("QUERY_TOO_COMPLEX", f"This document has {figure} {words}; at most {limit} are allowed.")
        self.extensions = {"code": "QUERY_TOO_COMPLEX", "figure": figure, "limit": limit}


@dataclass(slots=True)
class Figures:
    """What a selection set comes to, its fragments spread out."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    names: Counter[str] = field(default_factory=Counter)
    """How often each response name stands here, not further down: these are compared pair by pair."""
    here: int = 0
    """Fields that stand here, not further down; ``__typename``, which clients add everywhere, does nothing."""
    cost: Cost = field(default_factory=Cost)

    def add_field(self, node: FieldNode, inner: "Figures", factor: Factor) -> None:
        self.add_counts(inner)
        self.depth = max(self.depth, 1 + inner.depth)
        self.aliases += node.alias is not None
        self.names[(node.alias or node.name).value] += 1
        self.here += node.name.value != "__typename"
        self.cost.fixed += 1
        self.cost.add(factor, inner.cost)

    def add_fragment(self, inner: "Figures") -> None:
        self.add_counts(inner)
        self.depth = max(self.depth, inner.depth)
        self.names.update(inner.names)
        self.here += inner.here
        self.cost.add(1, inner.cost)

    def add_counts(self, inner: "Figures") -> None:
        self.fields += 1 + inner.fields  # a spread counts as well: an empty fragment could be spread for ever
        self.aliases += inner.aliases
        self.directives += inner.directives
        self.repeats = max(self.repeats, inner.repeats)

    def closed(self) -> "Figures":
        self.repeats = max(self.repeats, *self.names.values(), 0)
        return self

    def check(self, limits: Limits) -> None:
        for name in ("depth", "fields", "aliases", "directives", "repeats"):
            if (figure := getattr(self, name)) > (limit := getattr(limits, name)):
                raise TooComplex(figure, WORDS[name], limit)


class Walk:
    """Goes over a document once. ``visited`` says how many selections it looked at."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        self.visited = 0
        self.introspects = False
        self.known: dict[str, Figures] = {}
        self.operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        definitions = (node for node in document.definitions if isinstance(node, FragmentDefinitionNode))
        self.fragments = {node.name.value: node for node in definitions}

    def operation(self, node: OperationDefinitionNode) -> Figures:
        figures = self.selections(node.selection_set, self.schema.get_root_type(node.operation))
        figures.directives += len(node.directives or ())
        return figures

    def fragment(self, name: str) -> Figures:
        """A fragment's figures; none of one that is not there, or that spreads itself: validation names those."""
        if name not in self.known:
            self.known[name] = Figures()
            if (node := self.fragments.get(name)) is not None:
                figures = self.selections(node.selection_set, self.type_named(node.type_condition.name.value))
                figures.directives += len(node.directives or ())
                self.known[name] = figures
        return self.known[name]

    def selections(self, node: SelectionSetNode, parent: GraphQLNamedType | None) -> Figures:
        figures = Figures()
        for selection in node.selections:
            self.visited += 1
            figures.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self.add_field(figures, selection, parent)
            else:
                figures.add_fragment(self.spread(selection, parent))
        return figures.closed()

    def spread(self, node: SelectionNode, parent: GraphQLNamedType | None) -> Figures:
        if isinstance(node, FragmentSpreadNode):
            return self.fragment(node.name.value)
        assert isinstance(node, InlineFragmentNode)
        condition = node.type_condition
        return self.selections(node.selection_set, self.type_named(condition.name.value) if condition else parent)

    def add_field(self, figures: Figures, node: FieldNode, parent: GraphQLNamedType | None) -> None:
        definition = getattr(parent, "fields", {}).get(node.name.value)
        self.introspects |= node.name.value in ("__schema", "__type")
        inner = Figures()
        if node.selection_set:
            inner = self.selections(node.selection_set, get_named_type(definition.type) if definition else None)
        figures.add_field(node, inner, factor_of(node, definition, parent))

    def type_named(self, name: str) -> GraphQLNamedType | None:
        return self.schema.type_map.get(name)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to check of a document in each request."""

    introspects: bool
    costs: Mapping[str | None, tuple[Cost, Mapping[str, object]]]
    """By the operation's name: its cost, and the defaults of its variables."""

    def check(self, operation_name: str | None, variables: Mapping[str, Any] | None) -> None:
        """Raises Refused when the operation to run is not clear, and TooComplex when it costs too much."""
        if operation_name is None and len(self.costs) == 1:
            (operation_name,) = self.costs
        if operation_name not in self.costs:
            raise bad_request("Say with operationName which operation to run.")
        cost, defaults = self.costs[operation_name]
        if cost.parts and (figure := cost.of({**defaults, **(variables or {})})) > LIMITS.cost:
            raise TooComplex(figure, "fields to answer", LIMITS.cost)


def examine(schema: GraphQLSchema, document: DocumentNode, limits: Limits | None = None) -> Plan:
    """Count a document that has been parsed and not yet validated. Raises TooComplex."""
    walk = Walk(schema, document)
    numbers = limits or LIMITS
    for figure, words, limit in (
        (len(walk.operations), "operations", numbers.operations),
        (len(walk.fragments), "fragments", numbers.fragments),
    ):
        if figure > limit:
            raise TooComplex(figure, words, limit)
    plan = Plan(costs=dict(costs_of(walk, limits)), introspects=walk.introspects)
    for name in walk.fragments:  # those that nobody spreads are validated too
        walk.fragment(name).check(limits_for(walk, limits))
    return plan


def limits_for(walk: Walk, limits: Limits | None) -> Limits:
    return limits or (FOR_INTROSPECTION if walk.introspects else LIMITS)


def costs_of(walk: Walk, given: Limits | None) -> Iterator[tuple[str | None, tuple[Cost, Mapping[str, object]]]]:
    for node in walk.operations:
        figures = walk.operation(node)
        limits = limits_for(walk, given)
        if node.operation == OperationType.MUTATION and figures.here > limits.mutations:
            raise TooComplex(figures.here, "mutations", limits.mutations)
        figures.check(limits)
        if not figures.cost.parts and figures.cost.fixed > limits.cost:
            raise TooComplex(figures.cost.fixed, "fields to answer", limits.cost)
        yield node.name.value if node.name else None, (figures.cost, defaults_of(node))


def defaults_of(node: OperationDefinitionNode) -> Mapping[str, object]:
    definitions = node.variable_definitions or ()
    return {one.variable.name.value: number_of(one.default_value) for one in definitions if one.default_value}
