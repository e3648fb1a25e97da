"""One id for each request: in the answer, in the masked error, in every log line."""

import logging

import pytest
from django.conf import settings as django_settings
from django.test import Client

from backend import logs
from backend.logs import NONE, WithRequestId, new_request_id
from tests.shop import post_notify

OURS = "0123456789abcdef"


def asked(path="/healthz/live", **headers):
    return Client().get(path, headers=headers)["x-request-id"]


@pytest.mark.parametrize("path", ["/healthz/live", "/graphql", "/nowhere", "/admin/", "/order/success/", "/"])
def test_every_answer_has_one(db, path):
    first, second = asked(path), asked(path)
    assert len(first) == 16
    assert first != second


def test_a_notify_has_one(db):
    assert len(post_notify(b"x")["x-request-id"]) == 16


def test_a_strangers_is_not_taken(db):
    assert asked(**{"x-request-id": OURS}) != OURS


def test_a_trusted_proxys_is_taken(db, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert asked(**{"x-request-id": OURS}) == OURS


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "a b c d e f", "12345678\n", "<script>alert", "请求请求请求请求", None]
)
def test_what_does_not_fit_a_log_line_is_not_taken(given):
    assert new_request_id(given) != given
    assert len(new_request_id(given)) == 16


def test_it_does_not_outlive_its_request(db):
    asked()
    assert logs.request_id.get() == NONE


def crash(*args, **more):
    logging.getLogger("coursepay.test").warning("about to fail")
    raise RuntimeError("a secret")


def log_as_a_server(monkeypatch):
    """Through the project's own logging settings."""
    handler = logging.StreamHandler()
    handler.addFilter(WithRequestId())
    handler.setFormatter(logging.Formatter(django_settings.LOGGING["formatters"]["line"]["format"]))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])


def test_a_refusal_that_django_logs_has_its_id(db, monkeypatch, capsys):
    log_as_a_server(monkeypatch)
    number = Client().get("/graphql", headers={"host": "elsewhere.example"})["x-request-id"]
    assert f"django.security.DisallowedHost [{number}] Invalid HTTP_HOST" in capsys.readouterr().err


def test_what_anybody_can_cause_fills_no_log(db, monkeypatch, capsys):
    log_as_a_server(monkeypatch)
    for _ in range(3):
        assert Client().get("/graphql").status_code == 405
    assert capsys.readouterr().err == ""


def test_the_log_lines_of_a_request_have_its_id(buyer, order, monkeypatch, capsys):
    log_as_a_server(monkeypatch)
    monkeypatch.setattr("backend.schema.order_queries.visible_to", crash)
    response = buyer.post("query ($id: ID!) { order(id: $id) { id } }", id=order.number)
    number = response["x-request-id"]
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": number}
    assert number in error["message"]
    logged = capsys.readouterr().err
    assert f"[{number}] about to fail" in logged
    assert f"[{number}] request {number} failed" in logged
    assert "a secret" in logged
    assert b"a secret" not in response.content


def test_every_handler_of_the_settings_gives_it():
    logging_settings = django_settings.LOGGING
    assert all("request_id" in handler["filters"] for handler in logging_settings["handlers"].values())
    assert all("%(request_id)s" in formatter["format"] for formatter in logging_settings["formatters"].values())


def test_a_browser_may_read_it(db):
    response = Client().get("/graphql", headers={"origin": "http://shop.example"})
    assert response["access-control-expose-headers"] == "x-request-id"
