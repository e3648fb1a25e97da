"""GraphQL over HTTP, so strict that no body ends in a 500: what is malformed is a 400 with a JSON error.

All that the specification (https://graphql.github.io/graphql-over-http) demands. Where it only recommends, we keep to
the codes that clients and proxies know: 400 for a request that did not run, not 422; 200 for an answer with errors of
single fields, not 294; and plain ``application/json`` is a 200 for every well-formed request.
"""

import logging
import re
from typing import Any, cast

import orjson
from cross_web import HTTPException
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views import View
from graphql import GraphQLError
from strawberry import Schema
from strawberry.http import GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from backend.logs import request_id
from backend.schema.access import Context, Refused, bad_request, may_see_graphiql
from backend.schema.documents import KNOWN
from backend.schema.media_types import GRAPHQL_JSON, JSON, answer_type
from backend.schema.requests import asked_by_get, check_length, parse_post, too_large

logger = logging.getLogger("coursepay.graphql")

LONGEST_ACCEPT = 1000
LONGEST_MESSAGE = 400
_PYTHONS = re.compile(r"Exceeds the limit \(\d+ digits\).*?increase the limit")
ALLOWED = {"POST": {OperationType.QUERY, OperationType.MUTATION}, "GET": {OperationType.QUERY}}
"""What may run by which method. Subscriptions have an address of their own."""


class CoursepayView(View):
    """POST /graphql; GET for trusted queries, and for GraphiQL's page where a browser may have it."""

    schema: Schema = None  # type: ignore[assignment] # as_view gives it
    graphql_ide: str | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        accept = request.META.get("HTTP_ACCEPT", "")
        if request.method == "GET" and self.wants_page(request, accept):
            return render(request, "graphiql.html")
        media_type = answer_type(accept[:LONGEST_ACCEPT])
        try:
            asked = asked_of(request)
            if media_type is None:
                raise HTTPException(406, f"The answer is {JSON} or {GRAPHQL_JSON}.")
            answer = presentable_result(self.execute(request, asked))
        except HTTPException as refusal:
            return refused(refusal, media_type or JSON)
        except Refused as refusal:
            answer = {"errors": [presentable(refusal)]}
        return json_response(answer, media_type or JSON, status=200)

    def wants_page(self, request: HttpRequest, accept: str) -> bool:
        if "text/html" not in accept or "documentId" in request.GET:
            return False
        return bool(self.graphql_ide) or may_see_graphiql(request)

    def execute(self, request: HttpRequest, asked: GraphQLRequestData) -> ExecutionResult:
        method = cast("str", request.method)
        try:
            return self.schema.execute_sync(
                asked.query,
                variable_values=asked.variables,
                context_value=Context(request),
                operation_name=asked.operation_name,
                allowed_operation_types=ALLOWED[method],
            )
        except CannotGetOperationTypeError as error:
            raise bad_request(error.as_http_error_reason()) from error
        except InvalidOperationTypeError as error:
            if error.operation_type == OperationType.SUBSCRIPTION:
                raise HTTPException(400, "Subscriptions are served at /graphql/stream.") from error
            raise HTTPException(405, "Send a mutation by POST.") from error


def asked_of(request: HttpRequest) -> GraphQLRequestData:
    """What the request asks for. Raises HTTPException or Refused."""
    if request.method == "POST":
        encoding = request.META.get("HTTP_CONTENT_ENCODING", "")
        return parse_post(request.META.get("CONTENT_TYPE", ""), read_body(request), content_encoding=encoding)
    asked = asked_by_get(request.GET, KNOWN) if request.method == "GET" else None
    if asked is None:
        raise HTTPException(405, "Send your query by POST.")
    return asked


def read_body(request: HttpRequest) -> bytes:
    """The whole body, unless it says that it is, or turns out to be, over the limit."""
    check_length(request.META.get("CONTENT_LENGTH") or "0")
    try:
        return request.body
    except RequestDataTooBig as error:
        raise too_large() from error
    except UnreadablePostError as error:
        raise HTTPException(400, "The body did not arrive whole.") from error


def refused(refusal: HTTPException, media_type: str) -> HttpResponse:
    """The answer to a request that is no GraphQL request, or not one for this address."""
    code = "BAD_REQUEST" if refusal.status_code < 500 else "INTERNAL"
    error = {"message": refusal.reason, "extensions": {"code": code}}
    response = json_response({"errors": [error]}, media_type, status=refusal.status_code)
    if refusal.status_code == 405:
        response.headers["Allow"] = "POST"
    return response


def json_response(data: dict[str, Any], media_type: str, *, status: int) -> HttpResponse:
    """JSON in the media type that was asked for. In GraphQL's own type a request that did not run is a 400."""
    if media_type == GRAPHQL_JSON and "data" not in data:
        status = max(status, 400)
    response = HttpResponse(orjson.dumps(data), content_type=f"{media_type}; charset=utf-8", status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def presentable_result(result: ExecutionResult) -> dict[str, Any]:
    """The answer. It has no ``data`` when nothing ran: then no error has a path."""
    if not result.errors:
        return {"data": result.data}
    errors = [presentable(error) for error in result.errors]
    if result.data is None and not any(error.get("path") for error in errors):
        return {"errors": errors}
    return {"data": result.data, "errors": errors}


def presentable(error: GraphQLError) -> dict[str, Any]:
    """The error as clients may see it: ours and the query's own as they are; a bug as a number to find in the log.

    The query's own have no original, or point into the document before anything ran: a value that a scalar refused.
    """
    if error.extensions and "code" in error.extensions:
        return cast("dict[str, Any]", error.formatted)
    if error.original_error is None or (error.path is None and error.nodes):
        return {**error.formatted, "message": fit_to_show(error.message), "extensions": {"code": "BAD_REQUEST"}}
    number = request_id.get()
    logger.error("request %s failed", number, exc_info=error.original_error)
    return {
        "message": f"Something went wrong on our side. It is logged as {number}.",
        "path": error.path,
        "extensions": {"code": "INTERNAL", "requestId": number},
    }


def fit_to_show(message: str) -> str:
    """The query's own error, without what it repeats of a long query.

    Outside DEBUG it guesses at no names either (execution has hints of its own, and cannot be told to leave them), and
    says nothing of Python's.
    """
    if not settings.DEBUG:
        message = _PYTHONS.sub("it has too many digits", message.partition(" Did you mean")[0])
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"


def ide() -> str | None:
    """GraphiQL is for those who run it on their own machine, and for staff."""
    return "graphiql" if settings.DEBUG else None
