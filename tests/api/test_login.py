"""login: who gets a token, and how many may be tried for."""

import time
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from backend.accounts import login as login_module
from backend.accounts.models import AccessToken
from backend.limits.models import Counter
from backend.limits.throttle import Limit
from tests.api.helpers import LOGIN, ME, log_in
from tests.shop import Shopper

PASSWORD = "correct horse"
NOON = "2026-11-22T04:00:00+00:00"


def kinds(shopper, *passwords, username="li"):
    return [log_in(shopper, username, password)["__typename"] for password in passwords]


def test_a_good_password_gives_a_token_and_its_user(user, anonymous, settings):
    settings.TOKEN_TTL_SECONDS = 3600
    with time_machine.travel(NOON, tick=False):
        answer = log_in(anonymous, "li", PASSWORD)
        assert answer["__typename"] == "LoginSuccess"
        assert answer["expiresAt"] == "2026-11-22T05:00:00+00:00"
        assert answer["user"]["username"] == "li"
        assert answer["user"]["id"] != str(user.pk)
        assert Shopper(user, answer["token"]).ask(ME)["me"] == answer["user"]


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("li", "wrong"), ("li", ""), ("li", PASSWORD + " "), ("li", PASSWORD.upper()), ("nobody", PASSWORD),
        ("", PASSWORD), ("li\x00", PASSWORD), ("li", PASSWORD + "\x00"), ("l" * 5000, PASSWORD), ("li", "x" * 5000),
        ("Li", PASSWORD), ("' OR 1=1 --", PASSWORD),
    ],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_everything_else_is_refused_in_the_same_words(user, anonymous, username, password):
    answer = log_in(anonymous, username, password)
    assert answer == {
        "__typename": "InvalidCredentials",
        "code": "INVALID_CREDENTIALS",
        "message": "The user name or the password is wrong.",
    }
    assert AccessToken.objects.count() == 0


def test_an_inactive_user_is_refused_in_the_same_words(user, anonymous):
    wrong = log_in(anonymous, "li", "wrong")
    user.is_active = False
    user.save()
    assert log_in(anonymous, "li", PASSWORD) == wrong


def test_a_bad_token_does_not_keep_anybody_from_signing_in(user):
    assert log_in(Shopper(token="garbage"), "li", PASSWORD)["__typename"] == "LoginSuccess"


# --- Tries are counted -----------------------------------------------------------------------------------------------


def test_the_sixth_try_of_an_account_waits_even_with_the_right_password(user, anonymous):
    with time_machine.travel(NOON, tick=False):
        assert kinds(anonymous, *["wrong"] * 5) == ["InvalidCredentials"] * 5
        answer = log_in(anonymous, "li", PASSWORD)
    assert (answer["__typename"], answer["code"], answer["retryAfterMs"]) == ("RateLimited", "RATE_LIMITED", 900_000)
    assert AccessToken.objects.count() == 0


def test_a_document_holds_one_try(user, anonymous):
    aliases = " ".join(
        f'a{n}: login(input: {{username: "li", password: "guess {n}"}}) {{ __typename }}' for n in range(9)
    )
    assert anonymous.errors(f"mutation {{ {aliases} }}") == ["QUERY_TOO_COMPLEX"]
    assert kinds(anonymous, *["wrong"] * 4, PASSWORD) == ["InvalidCredentials"] * 4 + ["LoginSuccess"]


def test_the_wait_is_over_after_a_quarter_of_an_hour(user, anonymous):
    with time_machine.travel(NOON, tick=False) as clock:
        kinds(anonymous, *["wrong"] * 5)
        clock.shift(timedelta(minutes=10))
        assert log_in(anonymous, "li", PASSWORD)["retryAfterMs"] == 300_000
        clock.shift(timedelta(seconds=299))
        assert log_in(anonymous, "li", PASSWORD)["retryAfterMs"] == 1000
        clock.shift(timedelta(seconds=1))
        assert kinds(anonymous, PASSWORD) == ["LoginSuccess"]


def test_a_success_clears_the_account(user, anonymous):
    assert kinds(anonymous, *["wrong"] * 4, PASSWORD) == ["InvalidCredentials"] * 4 + ["LoginSuccess"]
    assert kinds(anonymous, *["wrong"] * 5, PASSWORD) == ["InvalidCredentials"] * 5 + ["RateLimited"]


def test_another_account_is_not_kept_waiting(user, stranger, anonymous):
    kinds(anonymous, *["wrong"] * 6)
    assert kinds(anonymous, "battery staple", username="wang") == ["LoginSuccess"]


@pytest.mark.parametrize("spelling", ["LI", " li", "li ", "Li"])
def test_another_spelling_of_the_name_is_the_same_account(user, anonymous, spelling):
    for _ in range(5):
        log_in(anonymous, spelling, "wrong")
    assert kinds(anonymous, PASSWORD) == ["RateLimited"]


def test_tries_of_a_name_that_is_not_there_are_counted_too(user, anonymous):
    assert kinds(anonymous, *["x"] * 6, username="nobody") == ["InvalidCredentials"] * 5 + ["RateLimited"]


def test_the_store_holds_no_name_and_no_address(user, anonymous):
    log_in(anonymous, "li", "wrong")
    keys = list(Counter.objects.values_list("key", flat=True))
    assert len(keys) == 2
    assert not [key for key in keys if "li" in key.partition(":")[2] or "127.0.0.1" in key]


def test_the_limits_can_be_turned_off_for_a_benchmark(user, anonymous, settings):
    settings.RATE_LIMITS = False
    assert kinds(anonymous, *["wrong"] * 7, PASSWORD) == ["InvalidCredentials"] * 7 + ["LoginSuccess"]


# --- Per address -----------------------------------------------------------------------------------------------------


@pytest.fixture
def three_per_address(monkeypatch):
    assert (login_module.PER_ADDRESS.times, login_module.PER_ADDRESS.seconds) == (50, 900)
    monkeypatch.setattr(login_module, "PER_ADDRESS", Limit("login-address", times=3, seconds=900))


def spray(address, names, forwarded=None):
    """One try for each name, from one address."""
    found = []
    for name in names:
        headers = {"x-forwarded-for": forwarded.pop(0)} if forwarded else {}
        answer = Client().post(
            "/graphql",
            {"query": LOGIN, "variables": {"input": {"username": name, "password": "x"}}},
            content_type="application/json",
            REMOTE_ADDR=address,
            headers=headers,
        )
        found.append(answer.json()["data"]["login"]["__typename"])
    return found


def test_an_address_is_counted_over_all_accounts(db, three_per_address):
    assert spray("192.0.2.1", "abcd") == ["InvalidCredentials"] * 3 + ["RateLimited"]
    assert spray("192.0.2.2", "e") == ["InvalidCredentials"]


def test_a_success_does_not_clear_the_address(user, anonymous, three_per_address):
    assert kinds(anonymous, *[PASSWORD] * 4) == ["LoginSuccess"] * 3 + ["RateLimited"]


def test_a_client_cannot_choose_its_address(db, three_per_address):
    invented = [f"198.51.100.{n}" for n in range(4)]
    assert spray("192.0.2.1", "abcd", invented) == ["InvalidCredentials"] * 3 + ["RateLimited"]


def test_behind_a_trusted_proxy_each_client_is_counted_alone(db, three_per_address, settings):
    settings.TRUSTED_PROXIES = ["192.0.2.1"]
    assert spray("192.0.2.1", "abcd", [f"198.51.100.{n}" for n in range(4)]) == ["InvalidCredentials"] * 4
    # What a client writes itself stands left of what the proxy adds.
    lies = [f"203.0.113.{n}, 198.51.100.9" for n in range(4)]
    assert spray("192.0.2.1", "efgh", lies) == ["InvalidCredentials"] * 3 + ["RateLimited"]


def test_a_limited_address_does_not_use_up_the_tries_of_an_account(user, three_per_address):
    spray("192.0.2.1", ["x", "y", "z"] + ["li"] * 6)
    assert kinds(Shopper(http=Client(REMOTE_ADDR="192.0.2.7")), PASSWORD) == ["LoginSuccess"]


def test_an_unknown_name_costs_a_password_hash_too(user, anonymous, monkeypatch):
    from django.contrib.auth.hashers import MD5PasswordHasher

    hashed = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher, "encode", lambda self, *given: hashed.append(given[0]) or encode(self, *given)
    )
    log_in(anonymous, "nobody", "guess")
    log_in(anonymous, "li", "guess")
    assert hashed == ["guess", "guess"]


def test_expired_tokens_of_the_user_are_swept_at_the_next_sign_in(user, anonymous):
    with time_machine.travel(time.time() - 86_400, tick=False):
        log_in(anonymous, "li", PASSWORD)
    log_in(anonymous, "li", PASSWORD)
    assert AccessToken.objects.count() == 1
