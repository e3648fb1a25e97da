"""GraphQL over HTTP, so strict that no body ends in a 500: what is malformed is a 400 with a JSON error."""

import logging
import secrets
from typing import Any, cast

import orjson
from cross_web import HTTPException, SyncHTTPRequestAdapter
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from graphql import GraphQLError
from strawberry.django.views import GraphQLView, TemporalHttpResponse
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.types import ExecutionResult

from backend.schema.access import Context

logger = logging.getLogger("coursepay.graphql")

MAX_BODY = 128 * 1024
GRAPHQL_JSON = "application/graphql-response+json"


_NO_SUB_RESPONSE = TemporalHttpResponse()
"""Strawberry makes one for every request, for resolvers to set cookies on; ours have no hold of it."""


class CoursepayView(GraphQLView[Context, None]):
    """POST /graphql. In DEBUG a browser's GET shows GraphiQL."""

    allow_queries_via_get = False
    multipart_uploads_enabled = False

    def get_sub_response(self, request: HttpRequest) -> TemporalHttpResponse:
        return _NO_SUB_RESPONSE

    def get_context(self, request: HttpRequest, response: HttpResponse) -> Context:
        return Context(request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if request.method != "POST" and not (request.method == "GET" and self.graphql_ide):
                raise HTTPException(405, "Send your query by POST.")
            return self.run(request)
        except HTTPException as refusal:
            code = "BAD_REQUEST" if refusal.status_code < 500 else "INTERNAL"
            error = {"message": refusal.reason, "extensions": {"code": code}}
            return json_response({"errors": [error]}, request, status=refusal.status_code)

    def parse_http_body(self, request: SyncHTTPRequestAdapter) -> GraphQLRequestData:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise HTTPException(415, "Send application/json.")
        body = self.parse_json(self.read_body())
        query, variables = body.get("query"), body.get("variables")
        name, extensions = body.get("operationName"), body.get("extensions")
        if not isinstance(query, str):
            raise HTTPException(400, '"query" must be a string.')
        if not isinstance(name, str | None):
            raise HTTPException(400, '"operationName" must be a string.')
        if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
            raise HTTPException(400, '"variables" and "extensions" must be objects.')
        return GraphQLRequestData(query=query, variables=variables, operation_name=name, extensions=extensions)

    def read_body(self) -> bytes:
        """The whole body, unless it says that it is, or turns out to be, over the limit."""
        length = self.request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or len(length) > 19 or int(length) > MAX_BODY:
            raise HTTPException(413, f"A body has at most {MAX_BODY} bytes.")
        try:
            return self.request.body
        except RequestDataTooBig as error:
            raise HTTPException(413, f"A body has at most {MAX_BODY} bytes.") from error
        except UnreadablePostError as error:
            raise HTTPException(400, "The body did not arrive whole.") from error

    def parse_json(self, data: str | bytes) -> dict[str, Any]:
        """Strict JSON: UTF-8, no NaN, not too deep, an object."""
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise HTTPException(400, "The body is not JSON.") from error
        if not isinstance(body, dict):
            raise HTTPException(400, "The body must be a JSON object.")
        return body

    def process_result(self, request: HttpRequest, result: ExecutionResult) -> GraphQLHTTPResponse:
        answer: GraphQLHTTPResponse = {"data": result.data}
        if result.errors:
            answer["errors"] = [presentable(error) for error in result.errors]
        return answer

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: HttpResponse,
    ) -> HttpResponse:
        return json_response(response_data, self.request, status=200)

    def render_graphql_ide(self, request: HttpRequest) -> HttpResponse:
        return render(request, "graphiql.html")


def json_response(data: object, request: HttpRequest, *, status: int) -> HttpResponse:
    """JSON in the media type that was asked for. In GraphQL's own type a request that did not run is a 400."""
    media_type = "application/json"
    if GRAPHQL_JSON in request.headers.get("accept", ""):
        media_type = GRAPHQL_JSON
        if isinstance(data, dict) and data.get("data") is None and did_not_run(data):
            status = max(status, 400)
    response = HttpResponse(orjson.dumps(data), content_type=f"{media_type}; charset=utf-8", status=status)
    response["Cache-Control"] = "no-store"
    return response


def did_not_run(data: dict[str, Any]) -> bool:
    return not any(error.get("path") for error in data.get("errors", ()))


def presentable(error: GraphQLError) -> dict[str, Any]:
    """The error as clients may see it: ours and the query's own as they are; a bug as a number to find in the log.

    The query's own have no original, or point into the document before anything ran: a value that a scalar refused.
    """
    if error.extensions and "code" in error.extensions:
        return cast("dict[str, Any]", error.formatted)
    if error.original_error is None or (error.path is None and error.nodes):
        return {**error.formatted, "extensions": {"code": "BAD_REQUEST"}}
    request_id = secrets.token_hex(8)
    logger.error("request %s failed", request_id, exc_info=error.original_error)
    return {
        "message": f"Something went wrong on our side. It is logged as {request_id}.",
        "path": error.path,
        "extensions": {"code": "INTERNAL", "requestId": request_id},
    }


def ide() -> str | None:
    """GraphiQL is for those who run it on their own machine."""
    return "graphiql" if settings.DEBUG else None
