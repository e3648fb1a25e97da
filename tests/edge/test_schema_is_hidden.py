"""In production the schema is shown to staff alone: no introspection, no GraphiQL, no guess in any message."""

import pytest
from django.test import Client
from graphql import get_introspection_query

from backend.schema.assembly import schema
from backend.schema.documents import KNOWN, digest_of
from tests.shop import Shopper

FULL = get_introspection_query()
TYPE = '{ __type(name: "Order") { name fields { name } } }'


@pytest.mark.parametrize("query", [FULL, TYPE, "{ a: __schema { queryType { name } } }"])
def test_introspection_is_for_staff(staff, buyer, anonymous, query):
    assert "errors" not in staff.post(query).json()
    for shopper in (buyer, anonymous):
        response = shopper.post(query).json()
        assert [error["extensions"]["code"] for error in response["errors"]] == ["FORBIDDEN"]
        assert "data" not in response
    assert staff.post(query).json()["data"]


def test_a_token_that_is_not_valid_is_said_to_be(db):
    assert Shopper(token="x").errors(FULL) == ["UNAUTHENTICATED"]


def test_it_is_open_in_debug(anonymous, settings):
    settings.DEBUG = True
    assert anonymous.post(FULL).json()["data"]["__schema"]["types"]


def test_what_was_forbidden_is_not_kept(buyer):
    query = "{ b: __schema { queryType { name } } }"
    buyer.post(query)
    assert KNOWN.get(digest_of(query)) is None


def test_a_typename_is_no_introspection(anonymous):
    assert anonymous.ask("{ __typename courses { __typename } }")["__typename"] == "Query"


HINTED = {
    "a field": ("{ ordr { id } }", {}),
    "a field below": ("{ me { usernam } }", {}),
    "an argument": ('{ course(ident: "1") { id } }', {}),
    "a directive's argument": ("{ me @skip(iff: true) { id } }", {}),
    "a directive": ("{ me @skp(if: true) { id } }", {}),
    "an enum value": ("{ orders(status: [UNPAYD]) { totalCount } }", {}),
    "an enum value in a string": ('{ orders(status: ["UNPAID"]) { totalCount } }', {}),
    "an enum value in a variable": (
        "query ($s: [OrderStatus!]) { orders(status: $s) { totalCount } }", {"s": ["UNPAYD"]},
    ),
    "an input field": ('mutation { login(input: {usernam: "a", password: "b"}) { __typename } }', {}),
    "an input field in a variable": (
        "mutation ($i: LoginInput!) { login(input: $i) { __typename } }", {"i": {"usernam": "a", "password": "b"}},
    ),
    "a type of a variable": ("query ($a: OrderStatu) { __typename }", {}),
    "a type of a fragment": ("{ ...A } fragment A on Quer { __typename }", {}),
    "a type further down": ("mutation { logout { ... on LoginSucces { token } } }", {}),
    "no selection": ("{ me }", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", HINTED)
def test_no_message_guesses(anonymous, name):
    query, variables = HINTED[name]
    response = anonymous.post(query, **variables)
    assert response.json()["errors"]
    assert b"Did you mean" not in response.content


@pytest.mark.parametrize("name", ["a field", "an argument", "an enum value in a variable", "a type of a variable"])
def test_in_debug_they_do(anonymous, settings, name):
    settings.DEBUG = True
    query, variables = HINTED[name]
    assert b"Did you mean" in anonymous.post(query, **variables).content


def page(client):
    return client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})


def test_graphiql_is_for_staff_who_are_signed_in_to_the_admin(staff, user):
    signed_in = Client()
    signed_in.force_login(staff.user)
    response = page(signed_in)
    assert response.status_code == 200
    assert b"graphiql" in response.content
    for nobody in (Client(), Client(headers={"cookie": "sessionid=x"})):
        assert page(nobody).status_code == 405
    buyer = Client()
    buyer.force_login(user)
    assert page(buyer).status_code == 405
    staff.user.is_active = False
    staff.user.save()
    assert page(signed_in).status_code == 405


def test_a_session_opens_the_page_and_nothing_else(staff):
    """What is asked from the page needs a token: a cookie that a foreign page could ride on means nothing."""
    signed_in = Client()
    signed_in.force_login(staff.user)
    answer = signed_in.post("/graphql", {"query": "{ me { id } }"}, content_type="application/json").json()
    assert answer == {"data": {"me": None}}
    answer = signed_in.post("/graphql", {"query": TYPE}, content_type="application/json").json()
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("name", ["a field", "an argument", "an enum value", "an input field", "a type of a variable"])
def test_validation_does_not_even_look_for_hints(db, name):
    """They are dear to find; that the view cuts them off is for those of execution."""
    errors = schema.execute_sync(HINTED[name][0]).errors
    assert errors
    assert not any("Did you mean" in error.message for error in errors)
