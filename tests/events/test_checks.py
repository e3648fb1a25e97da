"""A wrong set-up of events refuses the start, by its own id and with what to do."""

import pytest

from backend.events.checks import check_events
from tests.startup.conftest import keys, production, tree
from tests.startup.test_refusals import PROBE, ids
from tests.startup.trees import run

__all__ = ["keys", "production", "tree"]

GOOD = "https://lms.example.com/hooks"
SECRET = "x" * 16


def found(settings, urls, secrets):
    settings.EVENT_URLS, settings.EVENT_SECRETS = urls, secrets
    return [message.id for message in check_events(None)]


@pytest.mark.parametrize(
    ("urls", "secrets"),
    [
        ([], []),
        ([], [SECRET]),
        ([GOOD], [SECRET]),
        ([GOOD, "http://127.0.0.1:8080/", "http://[::1]:1/x?y=z&a=%20"], [SECRET, "y" * 64]),
        (["https://lms.example.com"], [SECRET]),
        (["https://a.example/" + "x" * 282], [SECRET]),
    ],
)
def test_a_good_set_up(settings, urls, secrets):
    assert found(settings, urls, secrets) == []


@pytest.mark.parametrize(
    "url",
    [
        "lms.example.com/hooks",
        "/hooks",
        "//lms.example.com/hooks",
        "ftp://lms.example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///hooks",
        "https://:443/",
        "https://user@lms.example.com/",
        "https://user:password@lms.example.com/",
        "https://:password@lms.example.com/",
        "https://@lms.example.com/",
        "https://lms.example.com:0/",
        "https://lms.example.com:65536/",
        "https://lms.example.com:port/",
        "http://[::1/",
        "https://lms.example.com/a b",
        "https://lms.example.com/\n",
        "https://lms.example.com/\x7f",
        "https://课程.example/",
        "https://a.example/" + "x" * 283,
    ],
)
def test_what_is_no_address(settings, url):
    settings.EVENT_URLS, settings.EVENT_SECRETS = [GOOD, url], [SECRET]
    (error,) = check_events(None)
    assert (error.id, error.level) == ("coursepay.E011", 40)
    assert repr(url.rpartition("@")[2]) in error.msg
    assert "password" not in error.msg
    assert "absolute http or https URL" in error.hint


def test_an_address_without_a_secret(settings):
    settings.EVENT_URLS, settings.EVENT_SECRETS = [GOOD], []
    (error,) = check_events(None)
    assert (error.id, error.level) == ("coursepay.E012", 40)
    assert "EVENT_SECRET" in error.hint


@pytest.mark.parametrize("secrets", [["x" * 15], [SECRET, "geheim"], ["geheim", SECRET]])
@pytest.mark.parametrize("urls", [[], [GOOD]])
def test_a_short_secret(settings, urls, secrets):
    settings.EVENT_URLS, settings.EVENT_SECRETS = urls, secrets
    (error,) = check_events(None)
    assert (error.id, error.level) == ("coursepay.E013", 40)
    assert all(secret not in error.msg + error.hint for secret in secrets)


def test_everything_wrong_is_all_named(settings):
    assert found(settings, ["x", "y"], []) == ["coursepay.E011", "coursepay.E011", "coursepay.E012"]
    assert found(settings, ["x"], ["short"]) == ["coursepay.E011", "coursepay.E013"]


SET_UPS = {
    "E011": {"EVENT_URLS": f"{GOOD},lms.example.com", "EVENT_SECRET": SECRET},
    "E012": {"EVENT_URLS": GOOD},
    "E013": {"EVENT_URLS": GOOD, "EVENT_SECRET": f"{SECRET},short"},
}


@pytest.mark.sqlite
@pytest.mark.parametrize("number", SET_UPS)
def test_the_start_is_refused(tree, production, number):
    said = run(tree, "-c", PROBE, **production, **SET_UPS[number]).said
    check, _, server = said.partition("THE SERVER")
    assert ids(check) == ids(server) == {number}, said
    assert "CHECK EXIT 1" in check
    assert "REFUSED" in server


@pytest.mark.sqlite
def test_a_good_start_says_nothing(tree, production):
    outcome = run(tree, "-c", PROBE, **production, EVENT_URLS=f"{GOOD}, http://10.0.0.1/hooks", EVENT_SECRET=SECRET)
    assert ids(outcome.said) == set(), outcome.said
    assert "UP <django" in outcome.said
