"""What a request asks for: strict JSON in, a document with its variables out. Shared by /graphql and the stream."""

from collections.abc import Mapping
from typing import Any

import orjson
from cross_web import HTTPException
from django.http import QueryDict
from strawberry.http import GraphQLRequestData

from backend.schema.documents import KNOWN, Documents
from backend.schema.media_types import is_json
from backend.schema.trusted import name_in, text_of

MAX_BODY = 128 * 1024


def parse_post(content_type: str, body: bytes, *, content_encoding: str = "") -> GraphQLRequestData:
    """What a POST asks for. Raises HTTPException for what is malformed, Refused for a hash that is not known."""
    check_headers(content_type, content_encoding)
    return asked_in(parse_json(body), KNOWN)


def check_headers(content_type: str, content_encoding: str) -> None:
    """Raises HTTPException, 415, for anything but JSON as it is."""
    if not is_json(content_type) or content_encoding.strip().lower() not in ("", "identity"):
        raise HTTPException(415, "Send application/json, in UTF-8 and not compressed.")


def check_length(content_length: str) -> None:
    """Raises HTTPException, 413, when a body says that it is over the limit; also when what it says is no number."""
    if not content_length.isdecimal() or len(content_length) > 19 or int(content_length) > MAX_BODY:
        raise too_large()


def too_large() -> HTTPException:
    return HTTPException(413, f"A body has at most {MAX_BODY} bytes.")


def parse_json(data: str | bytes) -> dict[str, Any]:
    """Strict JSON: UTF-8, no NaN, not too deep, an object. Raises HTTPException."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object.")
    return body


def asked_in(body: Mapping[str, Any], documents: Documents) -> GraphQLRequestData:
    """The operation that a body asks for. Raises HTTPException for what is malformed, Refused for an unknown hash."""
    variables, name = body.get("variables"), body.get("operationName")
    if not isinstance(name, str | None):
        raise HTTPException(400, '"operationName" must be a string.')
    if not isinstance(variables, dict | None) or not isinstance(body.get("extensions"), dict | None):
        raise HTTPException(400, '"variables" and "extensions" must be objects.')
    document = text_of(body, documents)
    if not document:
        raise HTTPException(400, '"query" must be a string, or "documentId" name a document.')
    return GraphQLRequestData(document, variables, name or None, None)


def asked_by_get(parameters: QueryDict, documents: Documents) -> GraphQLRequestData | None:
    """The trusted document that a GET names; None where it names none: nothing else is read by GET.

    Raises as ``asked_in`` does.
    """
    body: dict[str, Any] = {name: parameters[name] for name in ("documentId", "operationName") if parameters.get(name)}
    for name in ("variables", "extensions"):
        if text := parameters.get(name):
            body[name] = parse_json(text)
    named = name_in(body)
    if "query" in parameters or named is None:
        return None
    return asked_in(body, documents) if named in documents.trusted else None
