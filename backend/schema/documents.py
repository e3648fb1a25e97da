"""Documents that were sent before, or are the storefront's own: parsed, checked and costed once."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.conf import settings
from graphql import DocumentNode, GraphQLError, GraphQLSchema, GraphQLSyntaxError, parse, specified_rules, validate
from graphql.language.parser import MAX_NESTING_DEPTH
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from backend.schema.access import Refused, may_introspect
from backend.schema.guard import Plan, TooComplex, examine

MOST_TOKENS = 1000
MOST_ERRORS = 5
"""Validation stops there: a hundred errors help nobody but those who want us to look for them."""
MOST_KEPT = 512
LONGEST_KEPT = 8192
"""Characters of a document that is kept. With MOST_KEPT it bounds the memory, whatever anybody sends."""
RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@dataclass(frozen=True, slots=True)
class Known:
    """A good document."""

    text: str
    tree: DocumentNode
    plan: Plan


class InvalidDocument(Exception):
    """What validation says about a document."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


def digest_of(text: str) -> str:
    """The SHA-256 of a document in hexadecimal digits: what clients name it by, and where it is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Documents:
    """Good documents by digest. Those sent go, the least recently used first; the trusted stay.

    Safe to share between threads.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Known] = OrderedDict()
        self._lock = Lock()
        self.trusted: dict[str, Known] = {}
        """Also by the names that the storefront's file gives them. Filled at start, only read after."""

    def get(self, digest: str) -> Known | None:
        if (known := self.trusted.get(digest)) is not None:
            return known
        with self._lock:
            if (known := self._kept.get(digest)) is not None:
                self._kept.move_to_end(digest)
            return known

    def keep(self, known: Known) -> None:
        if len(known.text) > LONGEST_KEPT:
            return
        with self._lock:
            self._kept[digest_of(known.text)] = known
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)


KNOWN = Documents(MOST_KEPT)
"""The process's own."""


def check(schema: GraphQLSchema, text: str, tree: DocumentNode, plan: Plan) -> Known:
    """Validate a document that the guard let pass. Raises InvalidDocument. In production no message suggests names."""
    errors = validate(schema, tree, RULES, max_errors=MOST_ERRORS, hide_suggestions=not settings.DEBUG)
    if errors:
        raise InvalidDocument(errors)
    return Known(text, tree, plan)


def read(schema: GraphQLSchema, text: str) -> Known:
    """Parse, examine and validate. Raises GraphQLSyntaxError, TooComplex, InvalidDocument."""
    tree = parse(text, max_tokens=MOST_TOKENS)
    return check(schema, text, tree, examine(schema, tree))


class KnownDocuments(SchemaExtension):
    """Parses, examines and validates a document only the first time; what failed is not kept.

    It does the validation itself: strawberry's own cannot leave suggestions out, and its limiters walk a fragment as
    often as it is spread. (Its two caches find a document by its tree, at the price of a walk in every request.)
    """

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.known: Known | None = None

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = MOST_TOKENS
        context.validation_rules = ()
        self.known = self.documents.get(digest_of(context.query or ""))
        if self.known is not None:
            context.graphql_document = self.known.tree
        yield
        for error in context.pre_execution_errors or ():
            name_limit(error)

    def on_validate(self) -> Iterator[None]:
        try:
            self.admit()
        except Refused as refusal:
            self.execution_context.pre_execution_errors = [refusal]
        except InvalidDocument as invalid:
            self.execution_context.pre_execution_errors = invalid.errors
        yield

    def admit(self) -> None:
        """Check what depends on the request; first, and once, what depends on the document alone."""
        context: Any = self.execution_context
        tree, schema = context.graphql_document, context.schema._schema  # noqa: SLF001 - strawberry shows no other
        plan = self.known.plan if self.known else examine(schema, tree)
        if plan.introspects and not may_introspect(context.context):
            raise Refused("FORBIDDEN", "The schema is shown to the shop's staff only.")
        plan.check(context._provided_operation_name, context.variables)  # noqa: SLF001 - operation_name guesses
        if self.known is None:
            self.documents.keep(check(schema, context.query, tree, plan))


def name_limit(error: GraphQLError) -> None:
    """The parser has two limits of its own; a document over them is refused as one over ours is."""
    if not isinstance(error, GraphQLSyntaxError):
        return
    if "tokens. Parsing aborted" in error.message:
        words, limit = "tokens", MOST_TOKENS
    elif "nested too deeply" in error.message:
        words, limit = "levels of nesting", MAX_NESTING_DEPTH
    else:
        return
    refusal = TooComplex(limit + 1, words, limit)
    error.message, error.extensions = f"{refusal.message} (It was not read further.)", refusal.extensions
