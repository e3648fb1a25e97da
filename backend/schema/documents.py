"""Queries that were sent before: parsed and checked once."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from graphql import DocumentNode
from strawberry.extensions import SchemaExtension

MOST_TOKENS = 1000
MOST_KEPT = 512
LONGEST_KEPT = 8192
"""Characters of a query that is kept. With MOST_KEPT it bounds the memory, whatever anybody sends."""


class Documents:
    """Good documents by their text; the least recently used goes first. Safe to share between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, DocumentNode] = OrderedDict()
        self._lock = Lock()

    def get(self, query: str) -> DocumentNode | None:
        with self._lock:
            if (document := self._kept.get(query)) is not None:
                self._kept.move_to_end(query)
            return document

    def keep(self, query: str, document: DocumentNode) -> None:
        with self._lock:
            self._kept[query] = document
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)


class KnownDocuments(SchemaExtension):
    """Parses and checks a query text only the first time; what failed is not kept.

    It must stand last, because for a known text it does away with all rules: they must depend on the text alone.
    (Strawberry's own two caches find a document by its tree, at the price of a walk over it in every request.)
    """

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.is_known = False

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = MOST_TOKENS
        if (document := self.documents.get(context.query or "")) is not None:
            self.is_known, context.graphql_document, context.validation_rules = True, document, ()
        yield

    def on_validate(self) -> Iterator[None]:
        yield
        context = self.execution_context
        if self.is_known or context.pre_execution_errors:
            return
        if context.query and context.graphql_document and len(context.query) <= LONGEST_KEPT:
            self.documents.keep(context.query, context.graphql_document)
