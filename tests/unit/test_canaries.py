"""The hunt for leaks can see: each kind of canary, in a line and in an answer, is noticed by a watch of its own."""

import logging
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from django.http import HttpResponse
from django.test import Client

from tests.canaries import PASSWORDS, Watch, planted
from tests.conftest import SEEN, pytest_sessionfinish, pytest_testnodedown


@pytest.fixture
def watch():
    own = Watch(planted())
    with own.watching():
        yield own


def test_there_is_something_to_look_for():
    secrets = planted()
    assert {"SECRET_KEY", "app_private_key.pem", "alipay_private_key.pem"} <= set(secrets)
    assert all(len(secret) >= 10 for secret in secrets.values())


@pytest.mark.parametrize("name", ["SECRET_KEY", "app_private_key.pem", "password 0"])
def test_a_secret_in_a_log_line(watch, canary_watch, name, monkeypatch):
    monkeypatch.setattr(canary_watch, "look", lambda *a: None)
    logging.getLogger("coursepay.x").error("lost: %s", planted()[name])
    assert watch.seen == {f"{name} in a log line of coursepay.x"}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn00000.c2lnbmF0dXJlc2ln", "a token"),
        ("sign=" + "A" * 344, "a signature"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
    ],
)
def test_what_has_the_shape_of_a_secret(watch, canary_watch, line, what, monkeypatch):
    monkeypatch.setattr(canary_watch, "look", lambda *a: None)
    logging.getLogger("django").warning(line)
    assert watch.seen == {f"{what} in a log line of django"}


def test_a_secret_in_a_traceback(watch, canary_watch, monkeypatch):
    monkeypatch.setattr(canary_watch, "look", lambda *a: None)
    try:
        raise ValueError(PASSWORDS[1])
    except ValueError:
        logging.getLogger("coursepay.x").exception("failed")
    assert watch.seen == {"password 1 in a log line of coursepay.x"}


def test_a_secret_in_an_answer(watch, canary_watch, monkeypatch):
    monkeypatch.setattr(canary_watch, "look", lambda *a: None)
    monkeypatch.setattr("backend.shopfront.views.storefront", lambda request, **more: HttpResponse(PASSWORDS[0]))
    Client().get("/")
    assert watch.seen == {"password 0 in an answer of /"}


def test_an_honest_run_is_quiet(watch, db):
    Client().get("/")
    logging.getLogger("coursepay").info("nothing")
    assert (watch.seen, watch.answers, watch.lines > 0) == (set(), 1, True)


def test_what_a_worker_has_seen_fails_the_whole_run():
    """With pytest-xdist each worker hunts for itself, and tells the run's own process at its end."""
    config = SimpleNamespace(stash={SEEN: {"a token in a log line of x"}}, pluginmanager=Mock(), workeroutput={})
    pytest_sessionfinish(SimpleNamespace(config=config, exitstatus=0), 0)
    main = SimpleNamespace(stash={SEEN: set()}, pluginmanager=Mock(**{"get_plugin.return_value": None}))
    pytest_testnodedown(SimpleNamespace(config=main), error="it died before it could tell")
    assert main.stash[SEEN] == set()
    pytest_testnodedown(SimpleNamespace(config=main, workeroutput=config.workeroutput), error=None)
    session = SimpleNamespace(config=main, exitstatus=0)
    pytest_sessionfinish(session, 0)
    assert (main.stash[SEEN], session.exitstatus) == ({"a token in a log line of x"}, 1)
