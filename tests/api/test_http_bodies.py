"""GraphQL over HTTP: no body ends in a 500, and every refusal is JSON with a code."""

import json

import pytest
from django.test import Client

from tests.api.helpers import ME
from tests.shop import Shopper

CODES = {
    "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "RATE_LIMITED", "QUERY_TOO_COMPLEX", "BAD_REQUEST",
    "PERSISTED_QUERY_NOT_FOUND", "INTERNAL",
}  # fmt: skip
GRAPHQL_JSON = "application/graphql-response+json"
LIMIT = 128 * 1024


def post(body, content_type="application/json", **headers):
    # The test client leaves the type of an empty body out; a real one says it.
    return Client().post("/graphql", body, content_type=content_type, headers=headers, CONTENT_TYPE=content_type)


def refusal(response):
    """Its status, and the codes in a body that must be JSON."""
    assert response["content-type"].partition(";")[0] in ("application/json", GRAPHQL_JSON)
    errors = response.json()["errors"]
    assert errors
    for error in errors:
        assert error["message"]
        assert error["extensions"]["code"] in CODES
    return response.status_code, [error["extensions"]["code"] for error in errors]


MALFORMED = {
    "a string": b'"x"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "a list": b"[]",
    "a batch": b'[{"query": "{ me { id } }"}]',
    "nothing": b"",
    "white space": b"  \n",
    "an empty object": b"{}",
    "cut short": b'{"query": "{ me',
    "two values": b'{"query": "{ __typename }"} {}',
    "bad UTF-8": b'{"query": "\xff\xfe"}',
    "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
    "a lone surrogate": b'{"query": "{ __typename }", "variables": {"a": "\\ud800"}}',
    "deep brackets": b"[" * 100_000,
    "deep variables": b'{"query": "{ __typename }", "variables": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
    "NaN": b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    "Infinity": b'{"query": "{ __typename }", "variables": {"a": -Infinity}}',
    "a NUL": b"\x00",
    "no query": b'{"variables": {}}',
    "a query of null": b'{"query": null}',
    "a query of a number": b'{"query": 1}',
    "a query of a list": b'{"query": ["{ __typename }"]}',
    "variables in a list": b'{"query": "{ __typename }", "variables": []}',
    "variables in a string": b'{"query": "{ __typename }", "variables": "{}"}',
    "a name that is no string": b'{"query": "{ __typename }", "operationName": 1}',
    "extensions in a list": b'{"query": "{ __typename }", "extensions": []}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("accept", ["*/*", GRAPHQL_JSON])
def test_a_malformed_body_is_a_400(db, body, accept):
    assert refusal(post(body, accept=accept)) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_a_number_of_many_digits_is_no_500(db, digits):
    body = b'{"query": "{ courses(first: 1) { totalCount } }", "variables": {"n": ' + b"9" * digits + b"}}"
    assert post(body).status_code in (200, 400)
    literal = json.dumps({"query": "{ courses(first: %s) { totalCount } }" % ("9" * digits)})
    assert refusal(post(literal))[1] == ["BAD_REQUEST"]
    variable = b'{"query": "query ($n: Int!) { courses(first: $n) { totalCount } }", "variables": {"n": '
    assert set(refusal(post(variable + b"9" * digits + b"}}"))[1]) == {"BAD_REQUEST"}


DOCUMENTS = {
    "empty": "",
    "no operation": "fragment F on Query { __typename }",
    "syntax": "{ me { id }",
    "unknown field": "{ nothing }",
    "no selection": "{ me }",
    "unknown argument": "{ course(number: 1) { id } }",
    "unknown variable": "{ course(id: $id) { id } }",
    "missing variable": "query ($id: ID!) { course(id: $id) { id } }",
    "a variable of another type": "query ($first: String!) { courses(first: $first) { totalCount } }",
    "a circle of fragments": "{ ...A } fragment A on Query { ...A }",
    "deep": "{ me " * 500 + "{ id }" + "}" * 500,
    "NUL": "{ me { id } } \x00",
    "tokens": "{ " + "me { id } " * 2000 + "}",
    "a mutation in a query": "{ logout }",
    "a subscription": "subscription { orderUpdated(id: 1) { id } }",
}


@pytest.mark.parametrize("query", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_that_cannot_run_says_so(db, query):
    response = post(json.dumps({"query": query}))
    status, codes = refusal(response)
    assert status in (200, 400)
    assert set(codes) <= {"BAD_REQUEST", "QUERY_TOO_COMPLEX"}
    asked = post(json.dumps({"query": query}), accept=GRAPHQL_JSON)
    assert refusal(asked) == (400, codes)


def test_an_operation_that_is_not_there(db):
    body = {"query": "query A { __typename } query B { __typename }", "operationName": "C"}
    assert refusal(post(json.dumps(body)))[1] == ["BAD_REQUEST"]


@pytest.mark.parametrize("name", [None, "A"])
def test_an_operation_by_its_name(db, name):
    assert post(json.dumps({"query": "query A { __typename }", "operationName": name})).json()["data"] == {
        "__typename": "Query"
    }


def test_a_suggestion_tells_nothing_of_the_schema(db):
    text = post(json.dumps({"query": "{ ordrs { id } }"})).content.decode()
    assert "Did you mean" not in text


# --- Size ------------------------------------------------------------------------------------------------------------


def sized(size):
    frame = len(json.dumps({"query": "{ __typename }", "variables": {"a": ""}}))
    return json.dumps({"query": "{ __typename }", "variables": {"a": "x" * (size - frame)}})


def test_the_largest_body_that_is_taken(db):
    body = sized(LIMIT)
    assert len(body) == LIMIT
    assert post(body).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("size", [LIMIT + 1, 200_000, 256 * 1024 + 1, 3_000_000])
def test_a_body_over_128_kib_is_a_413(db, size):
    assert refusal(post(sized(size))) == (413, ["BAD_REQUEST"])


# --- Methods and media types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/graphql", "application/jsonx", "text/json",
     "multipart/form-data; boundary=x", "application/json-patch+json", "", "json"],
)  # fmt: skip
def test_another_media_type_is_a_415(db, content_type):
    assert refusal(post(json.dumps({"query": ME}), content_type)) == (415, ["BAD_REQUEST"])


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_in_any_spelling_is_taken(db, content_type):
    assert post(json.dumps({"query": ME}), content_type).json() == {"data": {"me": None}}


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_a_get_is_a_405_outside_debug(db, accept):
    response = Client().get("/graphql", {"query": "{ __typename }"}, headers={"accept": accept})
    assert refusal(response) == (405, ["BAD_REQUEST"])


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_a_405(db, method):
    assert refusal(getattr(Client(), method)("/graphql")) == (405, ["BAD_REQUEST"])


# --- The answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, application/json;q=0.9", GRAPHQL_JSON),
    ],
)
def test_the_media_type_of_the_answer(db, accept, media_type):
    response = post(json.dumps({"query": ME}), accept=accept)
    assert response["content-type"] == f"{media_type}; charset=utf-8"
    assert (response.status_code, response.json()) == (200, {"data": {"me": None}})


def test_a_field_error_is_a_200_in_both_media_types(buyer, courses):
    query = "{ a: course(id: 1) { id } orders(first: 0) { totalCount } }"
    for accept in ("*/*", GRAPHQL_JSON):
        headers = {"authorization": f"Bearer {buyer.token}", "accept": accept}
        response = post(json.dumps({"query": query}), **headers)
        assert refusal(response) == (200, ["BAD_REQUEST"])


def test_an_answer_is_kept_by_no_cache(db):
    assert post(json.dumps({"query": ME}))["cache-control"] == "no-store"
    assert post(b"{")["cache-control"] == "no-store"


# --- Our own faults --------------------------------------------------------------------------------------------------


def crash(*args, **more):
    raise RuntimeError("a secret: /srv/shop/key.pem")


def test_a_bug_in_a_query_is_masked(buyer, order, monkeypatch, caplog):
    monkeypatch.setattr("backend.schema.order_queries.visible_to", crash)
    response = buyer.post("query ($id: ID!) { order(id: $id) { id } }", id=order.number)
    assert refusal(response) == (200, ["INTERNAL"])
    assert b"secret" not in response.content
    assert response.json()["data"] == {"order": None}
    number = response.json()["errors"][0]["extensions"]["requestId"]
    assert number in response.json()["errors"][0]["message"]
    # The log has what the client has not.
    assert [record for record in caplog.records if number in record.getMessage() and record.exc_info]


def test_a_bug_in_a_mutation_is_masked_and_undone(buyer, courses, monkeypatch):
    from backend.orders.models import Order
    from tests.shop import CREATE_ORDER

    monkeypatch.setattr("backend.payments.checkout.new_payment", crash)
    asked = {"courseIds": [str(courses[0].pk)], "totalAmount": "117.00"}
    response = buyer.post(CREATE_ORDER, input=asked)
    assert refusal(response) == (200, ["INTERNAL"])
    assert b"secret" not in response.content
    assert Order.objects.count() == 0


def test_a_bug_in_reading_the_token_is_masked(db, monkeypatch):
    monkeypatch.setattr("backend.schema.access.user_of", crash)
    response = Shopper(token="x").post(ME)
    assert refusal(response) == (200, ["INTERNAL"])
    assert b"secret" not in response.content
