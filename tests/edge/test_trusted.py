"""The storefront's own operations by hash, and those of others that were sent once."""

import hashlib
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings as django_settings
from django.test import Client

from backend.schema import documents as documents_module
from backend.schema.assembly import schema
from backend.schema.documents import KNOWN, LONGEST_KEPT
from backend.schema.media_types import GRAPHQL_JSON
from backend.schema.trusted import found_wrong, load
from tests.api.helpers import nothing_changes

OURS = schema._schema
STATUS = "query Status($no: String!) { order(outTradeNo: $no) { status } }"
CANCEL = "mutation Cancel($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }"
SEVERAL = "query One { one: __typename } mutation Two { two: logout }"
NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def trusted(tmp_path):
    """The file as graphql-codegen writes it, loaded; one of its names is no SHA-256."""
    path = tmp_path / "trusted-documents.json"
    path.write_text(json.dumps({sha256(STATUS): STATUS, f"sha256:{sha256(CANCEL)}": CANCEL, "short": SEVERAL}))
    before = dict(KNOWN.trusted)
    assert list(load(KNOWN, OURS, path)) == []
    yield
    KNOWN.trusted.clear()
    KNOWN.trusted.update(before)


@pytest.fixture
def only(trusted, settings):
    settings.TRUSTED_DOCUMENTS = "only"


@pytest.fixture
def unread(monkeypatch):
    """From here on nothing is parsed or validated."""
    monkeypatch.setattr("strawberry.schema.schema.parse", lambda *args, **more: pytest.fail("parsed"))
    for name in ("examine", "validate", "parse"):
        monkeypatch.setattr(documents_module, name, lambda *args, **more: pytest.fail("looked at"))


def send(shopper, body, **headers):
    headers |= {"authorization": f"Bearer {shopper.token}"} if shopper.token else {}
    return Client().post("/graphql", json.dumps(body), content_type="application/json", headers=headers)


def get(shopper, **parameters):
    headers = {"authorization": f"Bearer {shopper.token}"} if shopper.token else {}
    return Client().get(f"/graphql?{urlencode(parameters)}", headers=headers)


def codes(response):
    return [error["extensions"]["code"] for error in response.json().get("errors", [])]


def apollo(hash_of, version=1):
    return {"extensions": {"persistedQuery": {"version": version, "sha256Hash": hash_of}}}


WAYS = {
    "documentId": {"documentId": f"sha256:{sha256(STATUS)}"},
    "without prefix": {"documentId": sha256(STATUS)},
    "Apollo's": apollo(sha256(STATUS)),
    "with its text": {"documentId": f"sha256:{sha256(STATUS)}", "query": STATUS},
    "its text alone": {"query": STATUS},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["off", "only"])
def test_a_trusted_document_is_served_unread(buyer, payment, trusted, unread, settings, way, mode):
    settings.TRUSTED_DOCUMENTS = mode
    response = send(buyer, {**WAYS[way], "variables": {"no": payment.out_trade_no}})
    assert response.json() == {"data": {"order": {"status": "UNPAID"}}}


def test_a_document_under_the_files_own_name(buyer, only, unread):
    body = {"documentId": "short", "operationName": "One"}
    assert send(buyer, body).json() == {"data": {"one": "Query"}}


@pytest.mark.parametrize("body", [
    {"query": "{ __typename }"},
    {"query": STATUS + " "},
    {"query": "{ __typename }", "documentId": sha256("{ __typename }")},
    {"query": "{ __typename }", **apollo(sha256("{ __typename }"))},
    {"query": "{ __typename }", "documentId": "short"},
])  # fmt: skip
def test_only_means_only(buyer, only, body):
    response = send(buyer, body)
    assert (response.status_code, codes(response)) == (200, ["BAD_REQUEST"])
    assert "data" not in response.json()


def test_what_was_kept_before_is_not_served_any_more(buyer, trusted, settings):
    text = "{ kept: __typename }"
    assert send(buyer, {"query": text}).json()["data"]
    assert send(buyer, {"documentId": sha256(text)}).json()["data"]
    settings.TRUSTED_DOCUMENTS = "only"
    assert codes(send(buyer, {"documentId": sha256(text)})) == [NOT_FOUND]


def test_a_trusted_document_is_guarded_as_any(buyer, only):
    body = {"documentId": sha256(STATUS), "variables": {"no": 1}}
    assert codes(send(buyer, body)) == ["BAD_REQUEST"]


# --- GET -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["off", "only"])
def test_a_trusted_query_is_read_by_get(buyer, payment, trusted, unread, settings, mode):
    settings.TRUSTED_DOCUMENTS = mode
    variables = json.dumps({"no": payment.out_trade_no})
    response = get(buyer, documentId=f"sha256:{sha256(STATUS)}", variables=variables)
    assert response.json() == {"data": {"order": {"status": "UNPAID"}}}
    assert response["cache-control"] == "no-store"
    extensions = json.dumps(apollo(sha256(STATUS))["extensions"])
    assert get(buyer, extensions=extensions, variables=variables, operationName="").json() == response.json()


def test_a_mutation_is_not_run_by_get(buyer, order, trusted):
    with nothing_changes():
        response = get(buyer, documentId=sha256(CANCEL), variables=json.dumps({"id": order.number}))
    assert (response.status_code, response["allow"], codes(response)) == (405, "POST", ["BAD_REQUEST"])
    response = get(buyer, documentId="short", operationName="Two")
    assert (response.status_code, response["allow"]) == (405, "POST")
    assert get(buyer, documentId="short", operationName="One").json() == {"data": {"one": "Query"}}


def test_nothing_else_is_read_by_get(buyer, trusted):
    text = "{ __typename }"
    assert send(buyer, {"query": text}).json()["data"]  # kept, not trusted
    for parameters in (
        {"query": text}, {"documentId": sha256(text)}, {"documentId": ""}, {},
        {"query": STATUS, "documentId": sha256(STATUS)},
    ):  # fmt: skip
        assert get(buyer, **parameters).status_code == 405


@pytest.mark.parametrize(
    "more", [{"variables": "{"}, {"variables": "[]"}, {"extensions": "x"}, {"variables": '{"a": NaN}'}]
)
def test_malformed_parameters_are_a_400(buyer, trusted, more):
    assert get(buyer, documentId=sha256(STATUS), **more).status_code == 400


# --- Documents of others, by hash ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), (GRAPHQL_JSON, 400)])
def test_miss_send_hit(anonymous, unread_after, accept, status):
    """As Apollo Client does it: by hash; with the text; by hash again. It reads the errors of a 400 too."""
    text = f"query Miss{status} {{ __typename }}"
    missed = send(anonymous, apollo(sha256(text)), accept=accept)
    assert (missed.status_code, codes(missed)) == (status, [NOT_FOUND])
    assert missed.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert send(anonymous, {"query": text, **apollo(sha256(text))}, accept=accept).status_code == 200
    unread_after()
    assert send(anonymous, apollo(sha256(text)), accept=accept).json() == {"data": {"__typename": "Query"}}


@pytest.fixture
def unread_after(monkeypatch, request, db):
    return lambda: request.getfixturevalue("unread")


def test_a_poisoned_hash_is_refused(anonymous, db):
    good = "query Good { __typename }"
    for body in (
        {"query": "{ me { id } }", **apollo(sha256(good))},
        {"query": "{ me { id } }", "documentId": sha256(good)},
    ):
        assert codes(send(anonymous, body)) == ["BAD_REQUEST"]
    assert codes(send(anonymous, apollo(sha256(good)))) == [NOT_FOUND]


@pytest.mark.parametrize("text", ["{ nothing }", "{", "query A { __typename } #" + "x" * LONGEST_KEPT])
def test_what_is_bad_or_long_is_not_kept(anonymous, db, text):
    send(anonymous, {"query": text, **apollo(sha256(text))})
    assert codes(send(anonymous, apollo(sha256(text)))) == [NOT_FOUND]


@pytest.mark.parametrize("body", [
    apollo(sha256(STATUS), version=2), apollo(sha256(STATUS), version=None), apollo(None), apollo(1), {"documentId": 1},
    {"extensions": {"persistedQuery": []}}, {"documentId": {}},
])  # fmt: skip
def test_a_hash_that_is_none(anonymous, trusted, db, body):
    assert codes(send(anonymous, body)) == ["BAD_REQUEST"]


# --- The file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "words"), [
    (None, "is not there"),
    ("{", "cannot be read"),
    (b"\xff", "cannot be read"),
    ("[]", "must hold one JSON object"),
    ('{"a": 1}', "must hold one JSON object"),
    ('{"a": "{ nothing }"}', "The document a does not fit the schema: Cannot query field"),
    ('{"a": "{"}', "The document a does not fit the schema: Syntax Error"),
    ('{"a": "mutation { a: logout b: logout }"}', "does not fit the schema: This document has 2 mutations"),
])  # fmt: skip
def test_what_is_wrong_with_the_file(tmp_path, content, words):
    path = tmp_path / "documents.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = dict(KNOWN.trusted)
    (problem,) = load(KNOWN, OURS, path)
    assert words in problem
    assert before == KNOWN.trusted


def test_a_problem_stops_the_start_where_nothing_else_is_served(settings, tmp_path):
    settings.TRUSTED_DOCUMENTS, settings.TRUSTED_DOCUMENTS_FILE = "only", tmp_path / "none"
    assert [message.id for message in found_wrong(["x"])] == ["coursepay.E020"]
    assert all(message.is_serious() for message in found_wrong(["x"]))
    settings.TRUSTED_DOCUMENTS = "off"
    assert found_wrong(["x"]) == []
    (tmp_path / "none").touch()
    assert [message.id for message in found_wrong(["x"])] == ["coursepay.W020"]


def test_the_storefronts_documents_fit():
    path = Path(django_settings.TRUSTED_DOCUMENTS_FILE)
    problems = list(load(documents_module.Documents(1), OURS, path)) if path.exists() else []
    assert problems == []
