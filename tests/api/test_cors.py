"""Which pages a browser lets in."""

import json

import pytest
from django.test import Client

from tests.api.helpers import ME

OURS, FOREIGN = "http://shop.example", "http://evil.example"
SHARED = ["/graphql", "/payments/alipay/return/", "/order/success/"]
FOREIGNERS = [FOREIGN, "null", "https://shop.example", "http://shop.example.evil.example", "http://SHOP.example:81"]


def preflight(path, origin, method="POST"):
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
    }
    return Client().options(path, headers=headers)


def cors_headers(response):
    return {name.lower() for name in response.headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize("path", SHARED)
def test_a_preflight_of_the_storefront_passes(db, path):
    response = preflight(path, OURS)
    assert response.status_code == 200
    assert response["access-control-allow-origin"] == OURS
    allowed = {name.strip() for name in response["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type"}
    assert {"GET", "POST"} <= {name.strip() for name in response["access-control-allow-methods"].split(",")}
    assert "access-control-allow-credentials" not in cors_headers(response)


@pytest.mark.parametrize("path", SHARED)
@pytest.mark.parametrize("origin", FOREIGNERS)
def test_a_foreign_preflight_gets_no_header(db, path, origin):
    assert cors_headers(preflight(path, origin)) == set()


def ask_from(origin, **headers):
    body = json.dumps({"query": ME})
    return Client().post("/graphql", body, "application/json", headers={"origin": origin, **headers})


def test_an_answer_to_the_storefront_may_be_read(db):
    response = ask_from(OURS)
    assert response.json() == {"data": {"me": None}}
    assert response["access-control-allow-origin"] == OURS
    assert "origin" in response["vary"].lower()


def test_a_refusal_may_be_read_by_the_storefront_too(db):
    response = ask_from(OURS, authorization="Bearer garbage")
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert response["access-control-allow-origin"] == OURS
    broken = Client().post("/graphql", "{", "application/json", headers={"origin": OURS})
    assert (broken.status_code, broken["access-control-allow-origin"]) == (400, OURS)


@pytest.mark.parametrize("origin", FOREIGNERS)
def test_an_answer_to_a_foreign_page_has_no_header(db, origin):
    assert cors_headers(ask_from(origin)) == set()


@pytest.mark.parametrize("path", SHARED[1:])
def test_the_return_may_be_read_by_the_storefront_alone(db, path):
    assert Client().get(path, headers={"origin": OURS})["access-control-allow-origin"] == OURS
    assert cors_headers(Client().get(path, headers={"origin": FOREIGN})) == set()


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/payments/alipay/notify/", "/healthz/live"])
def test_everything_else_is_for_no_other_page(db, path):
    assert cors_headers(preflight(path, OURS)) == set()
    assert cors_headers(Client().get(path, headers={"origin": OURS})) == set()
