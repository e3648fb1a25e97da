"""GraphQL over HTTP: media types, methods, status codes (the specification of August 2026, and api.md before it)."""

import json

import pytest
from django.test import Client

from backend.schema.media_types import GRAPHQL_JSON, JSON, answer_type, is_json

QUERY = json.dumps({"query": "{ __typename }"})


def post(body, content_type=JSON, **headers):
    return Client().post("/graphql", body, content_type=content_type, headers=headers)


@pytest.mark.parametrize(("accept", "kind"), [
    ("", JSON),
    ("  ", JSON),
    ("*/*", JSON),
    ("application/*", JSON),
    (JSON, JSON),
    (GRAPHQL_JSON, GRAPHQL_JSON),
    (GRAPHQL_JSON.upper(), GRAPHQL_JSON),
    (f"{GRAPHQL_JSON}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL_JSON),
    (f"{GRAPHQL_JSON},{JSON};q=0.9", GRAPHQL_JSON),
    (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
    (f"{JSON}, {GRAPHQL_JSON};q=0.9", JSON),
    (f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.6", JSON),
    (f"{GRAPHQL_JSON}, */*", GRAPHQL_JSON),
    (f"{GRAPHQL_JSON};q=0.1, */*", JSON),
    (f"{JSON};q=0, */*;q=0.1", GRAPHQL_JSON),
    (f"{JSON};q=0, application/*", GRAPHQL_JSON),
    (f"multipart/mixed;boundary=graphql;subscriptionSpec=1.0, {JSON}", JSON),
    (f"text/html, {JSON};q=0.1", JSON),
    ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
    ("text/html", None),
    ("application/xml, text/*", None),
    (f"{JSON};q=0", None),
    ("*/*;q=0", None),
    (f"{JSON};q=2", None),
    (f"{JSON};q=nan", None),
    (f"{JSON};q=one", None),
    (f"{JSON};q=-1, {GRAPHQL_JSON}", GRAPHQL_JSON),
    (",,;;,", None),
])  # fmt: skip
def test_the_type_of_the_answer(accept, kind):
    assert answer_type(accept) == kind


@pytest.mark.parametrize(("content_type", "fits"), [
    (JSON, True), ("application/json;charset=UTF-8", True), ('Application/JSON; charset="utf-8"', True),
    ("application/json; charset=latin-1", False), ("application/json; charset=utf-16", False), ("", False),
    ("application/json, text/plain", False), (GRAPHQL_JSON, False),
])  # fmt: skip
def test_the_type_of_a_request(content_type, fits):
    assert is_json(content_type) is fits


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0"])
def test_an_answer_that_nobody_takes_is_a_406(db, accept):
    response = post(QUERY, accept=accept)
    assert (response.status_code, response["content-type"]) == (406, "application/json; charset=utf-8")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["BAD_REQUEST"]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options", "trace"])
def test_a_405_says_what_is_allowed(db, method):
    response = getattr(Client(), method)("/graphql")
    assert (response.status_code, response["allow"]) == (405, "POST")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x"])
def test_a_compressed_body_is_a_415(db, encoding):
    assert post(QUERY, **{"content-encoding": encoding}).status_code == 415


def test_a_body_that_is_as_it_is(db):
    assert post(QUERY, **{"content-encoding": "Identity"}).json() == {"data": {"__typename": "Query"}}


# What the request is; its status in plain JSON, and in GraphQL's own type; whether the answer has data.
CASES = {
    "it runs": ({"query": "{ __typename }"}, 200, 200, True),
    "a field fails": ({"query": "{ me { id } courses(first: 0) { totalCount } }"}, 200, 200, True),
    "syntax": ({"query": "{"}, 200, 400, False),
    "validation": ({"query": "{ nothing }"}, 200, 400, False),
    "too complex": ({"query": "mutation { a: logout b: logout }"}, 200, 400, False),
    "no such operation": ({"query": "query A { __typename }", "operationName": "B"}, 200, 400, False),
    "several and none chosen": ({"query": "query A { __typename } query B { __typename }"}, 200, 400, False),
    "a variable is missing": ({"query": "query ($id: ID!) { course(id: $id) { id } }"}, 200, 400, False),
    "an unknown hash": ({"documentId": "sha256:" + "0" * 64}, 200, 400, False),
    "a wrong hash": ({"query": "{ __typename }", "documentId": "sha256:" + "0" * 64}, 200, 400, False),
    "not well-formed": ({"qeury": "{ __typename }"}, 400, 400, False),
    "variables in a list": ({"query": "{ __typename }", "variables": [7]}, 400, 400, False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
def test_the_status(db, name, accept):
    body, json_status, graphql_status, has_data = CASES[name]
    response = post(json.dumps(body), accept=accept)
    assert response.status_code == (json_status if accept == JSON else graphql_status)
    assert response["content-type"] == f"{accept}; charset=utf-8"
    assert ("data" in response.json()) is has_data
    assert ("errors" in response.json()) is (name != "it runs")


def test_what_else_stands_in_a_body_is_ignored(db):
    body = {"query": "{ __typename }", "more": {"a": 1}, "variables": None, "extensions": None, "operationName": None}
    assert post(json.dumps(body)).json() == {"data": {"__typename": "Query"}}


def test_an_empty_operation_name_is_none(db):
    assert post(json.dumps({"query": "query A { __typename }", "operationName": ""})).status_code == 200
    assert post(json.dumps({"query": "query A { __typename }", "operationName": ""})).json()["data"]


def test_the_operation_is_chosen_by_its_name(db):
    query = "query A { a: __typename } query B { b: __typename }"
    for name in "AB":
        body = json.dumps({"query": query, "operationName": name})
        assert post(body).json() == {"data": {name.lower(): "Query"}}


def test_a_long_message_is_cut(db):
    response = post(json.dumps({"query": "{ " + "a" * 100_000 + " }"}))
    assert len(response.content) < 1000
    assert response.json()["errors"][0]["message"].endswith("…")


def test_few_errors_are_listed(db):
    errors = post(json.dumps({"query": "{ " + " ".join(f"a{n}" for n in range(200)) + " }"})).json()["errors"]
    assert 1 < len(errors) <= 6
