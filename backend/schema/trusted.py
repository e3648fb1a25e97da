"""The storefront's own operations: extracted when it is built, known from the start, asked for by their hash.

graphql-codegen writes them (``persistedDocuments``) as one JSON object of documents by hash. With
``TRUSTED_DOCUMENTS=only`` nothing else is served. Other documents may be named by hash once they were sent in full
(automatic persisted queries, as Apollo Client has them).
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from graphql import GraphQLError, GraphQLSchema

from backend.schema.access import Refused, bad_request
from backend.schema.documents import Documents, InvalidDocument, Known, digest_of, read

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PREFIX = "sha256:"


def text_of(body: Mapping[str, Any], documents: Documents) -> str | None:
    """The document that a request sends, or names by its hash; None when it does neither.

    Raises Refused: the hash is unknown, or not that of the text, or the text is none of the trusted.
    """
    name, text = name_in(body), body.get("query")
    if text is None:
        return named(name, documents).text if name is not None else None
    if not isinstance(text, str):
        return None
    digest = digest_of(text)
    if name is not None and _SHA256.fullmatch(name) and name != digest:
        raise bad_request("This hash is not the document's.")
    if settings.TRUSTED_DOCUMENTS == "only" and digest not in documents.trusted:
        raise bad_request("Only the storefront's own operations are served here.")
    return text


def named(name: str, documents: Documents) -> Known:
    only = settings.TRUSTED_DOCUMENTS == "only"
    known = documents.trusted.get(name) if only else documents.get(name)
    if known is None:
        # In these words, which Apollo Client knows as well as the code.
        raise Refused("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    return known


def name_in(body: Mapping[str, Any]) -> str | None:
    """The hash that a request names: ``documentId`` of GraphQL over HTTP, or ``persistedQuery`` of Apollo Client."""
    name = body.get("documentId")
    if name is None:
        extensions = body.get("extensions")
        named = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
        if named is None:
            return None
        if not isinstance(named, dict) or named.get("version") != 1:
            raise bad_request("persistedQuery must be of version 1.")
        name = named.get("sha256Hash")
    if not isinstance(name, str):
        raise bad_request("A document is named by a string.")
    return name.removeprefix(_PREFIX)


def load(documents: Documents, schema: GraphQLSchema, path: Path) -> Iterator[str]:
    """Read the file and make its documents trusted; what is wrong with it, one sentence for each document."""
    try:
        listed = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        yield f"{path} is not there."
        return
    except (OSError, ValueError) as error:
        yield f"{path} cannot be read: {error}"
        return
    if not isinstance(listed, dict) or not all(isinstance(text, str) for text in listed.values()):
        yield f"{path} must hold one JSON object of documents by hash."
        return
    for name, text in listed.items():
        try:
            known = read(schema, text)
        except (GraphQLError, InvalidDocument) as error:
            yield f"The document {name} does not fit the schema: {error}"
        else:
            documents.trusted |= {name.removeprefix(_PREFIX): known, digest_of(text): known}


def found_wrong(problems: list[str]) -> list[CheckMessage]:
    """As system checks: errors where nothing else is served, hints where all is served anyway."""
    hint = "Build the storefront: it writes the file that TRUSTED_DOCUMENTS_FILE names."
    if settings.TRUSTED_DOCUMENTS == "only":
        return [Error(problem, hint=hint, id="coursepay.E020") for problem in problems]
    if not Path(settings.TRUSTED_DOCUMENTS_FILE).exists():
        return []  # no storefront was built here
    return [CheckWarning(problem, hint=hint, id="coursepay.W020") for problem in problems]
