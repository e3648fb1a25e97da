"""Tokens: which are good, what they let one do, and what ends them."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)

from backend.accounts.models import AccessToken
from backend.accounts.tokens import issue_token
from backend.schema.assembly import schema
from tests.api.helpers import ME, log_in
from tests.shop import Shopper

LOGOUT = "mutation { logout }"


def literal(kind):
    """Any value of an input type."""
    if is_non_null_type(kind):
        return literal(kind.of_type)
    if is_list_type(kind):
        return f"[{literal(kind.of_type)}]"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        needed = {n: f for n, f in kind.fields.items() if is_non_null_type(f.type)}
        return "{" + ", ".join(f"{name}: {literal(field.type)}" for name, field in needed.items()) + "}"
    return {"Money": '"1.00"', "Int": "1", "Boolean": "true"}.get(kind.name, '"1"')


def documents():
    """A valid document for each root field that can be queried or mutated."""
    core = schema._schema
    found = {}
    for operation, root in (("query", core.query_type), ("mutation", core.mutation_type)):
        for name, field in root.fields.items():
            given = {n: a for n, a in field.args.items() if is_non_null_type(a.type) and "Int" not in str(a.type)}
            if name == "order":
                given = {"id": field.args["id"]}
            args = ", ".join(f"{n}: {literal(a.type)}" for n, a in given.items())
            body = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
            found[name] = f"{operation} {{ {name}{f'({args})' if args else ''}{body} }}"
    return found


ROOT_FIELDS = documents()
OPEN_TO_ALL = {"login", "me", "course", "courses"}


def test_the_matrix_has_every_root_field_of_this_issue():
    assert set(ROOT_FIELDS) >= {
        "me", "course", "courses", "order", "orders", "myCourses", "login", "logout", "createOrder", "payOrder",
        "confirmReturn",
    }  # fmt: skip


@pytest.mark.parametrize("field", sorted(ROOT_FIELDS.keys() - OPEN_TO_ALL))
def test_without_a_token_a_field_is_unauthenticated(anonymous, field):
    assert anonymous.errors(ROOT_FIELDS[field]) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("field", sorted(OPEN_TO_ALL))
def test_without_a_token_the_rest_is_open(anonymous, courses, field):
    assert anonymous.errors(ROOT_FIELDS[field]) == []


@pytest.mark.parametrize("field", sorted(ROOT_FIELDS.keys() - {"login"}))
def test_with_a_bad_token_every_field_but_login_is_unauthenticated(db, field):
    assert Shopper(token="garbage").errors(ROOT_FIELDS[field]) == ["UNAUTHENTICATED"]


def test_with_a_bad_token_login_is_open(db):
    assert Shopper(token="garbage").errors(ROOT_FIELDS["login"]) == []


@pytest.mark.parametrize("field", sorted(ROOT_FIELDS))
def test_a_good_token_opens_every_field(buyer, field):
    assert "UNAUTHENTICATED" not in buyer.errors(ROOT_FIELDS[field])


def test_me_is_null_without_a_token_and_the_user_with_one(anonymous, buyer):
    assert anonymous.ask(ME)["me"] is None
    assert buyer.ask(ME)["me"]["username"] == "li"


# --- Which tokens are good -------------------------------------------------------------------------------------------


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def codes(header):
    shopper = Shopper()
    headers = {"authorization": header}
    answer = shopper.http.post("/graphql", json.dumps({"query": ME}), "application/json", headers=headers).json()
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


@pytest.fixture
def token(user):
    return issue_token(user).text


def forgeries(settings):
    key = settings.SECRET_KEY
    now = datetime.now(UTC)
    far = int((now + timedelta(days=1)).timestamp())
    return {
        "another secret": lambda c: jwt.encode(c, key + "x", algorithm="HS256"),
        "the secret's beginning": lambda c: jwt.encode(c, key[:32], algorithm="HS256"),
        "alg none": lambda c: jwt.encode(c, None, algorithm="none"),
        "HS512": lambda c: jwt.encode(c, key, algorithm="HS512"),
        "another issuer": lambda c: jwt.encode(c | {"iss": "elsewhere"}, key, algorithm="HS256"),
        "no issuer": lambda c: jwt.encode({n: v for n, v in c.items() if n != "iss"}, key, algorithm="HS256"),
        "expired": lambda c: jwt.encode(c | {"exp": int(now.timestamp()) - 1}, key, algorithm="HS256"),
        "no end": lambda c: jwt.encode({n: v for n, v in c.items() if n != "exp"}, key, algorithm="HS256"),
        "not yet": lambda c: jwt.encode(c | {"nbf": far}, key, algorithm="HS256"),
        "another's": lambda c: jwt.encode(c | {"sub": str(int(c["sub"]) + 1)}, key, algorithm="HS256"),
        "no subject": lambda c: jwt.encode({n: v for n, v in c.items() if n != "sub"}, key, algorithm="HS256"),
        "unknown id": lambda c: jwt.encode(c | {"jti": "x" * 22}, key, algorithm="HS256"),
        "no id": lambda c: jwt.encode({n: v for n, v in c.items() if n != "jti"}, key, algorithm="HS256"),
        "old epoch": lambda c: jwt.encode(c | {"epoch": "x" * 22}, key, algorithm="HS256"),
        "no epoch": lambda c: jwt.encode({n: v for n, v in c.items() if n != "epoch"}, key, algorithm="HS256"),
        "a list of subjects": lambda c: jwt.encode(c | {"sub": 1}, key, algorithm="HS256"),
    }


FORGERIES = [
    "another secret", "the secret's beginning", "alg none", "HS512", "another issuer", "no issuer", "expired", "no end",
    "not yet", "another's", "no subject", "unknown id", "no id", "old epoch", "no epoch",
    "a list of subjects",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forged_token_is_refused(token, settings, kind):
    forged = forgeries(settings)[kind](claims_of(token))
    assert codes(f"Bearer {forged}") == ["UNAUTHENTICATED"]


def test_the_forgeries_start_from_a_token_that_is_good(token, settings):
    assert set(forgeries(settings)) == set(FORGERIES)
    assert codes("Bearer " + jwt.encode(claims_of(token), settings.SECRET_KEY, algorithm="HS256")) == []


@pytest.mark.parametrize(
    "header",
    ["garbage", "Bearer", "Bearer ", " ", "Bearer garbage", "Bearer a.b.c", "Bearer ..", "Bearer " + "A" * 5000,
     "Basic bGk6eA==", "Bearer \xe9\xff", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer null"],
    ids=lambda header: ascii(header[:30]),
)  # fmt: skip
def test_garbage_is_refused(db, header):
    assert codes(header) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_one_changed_character_is_refused(token, part):
    parts = token.split(".")
    middle = len(parts[part]) // 2
    other = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
    assert codes("Bearer " + ".".join(parts)) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize(("scheme", "found"), [("Bearer", []), ("bearer", []), ("luffy", []), ("Luffy", [])])
def test_the_schemes_of_old_and_new_front_ends(token, scheme, found):
    assert codes(f"{scheme} {token}") == found


@pytest.mark.parametrize("scheme", ["Token", "JWT", "Basic", ""])
def test_no_other_scheme_is_taken(token, scheme):
    assert codes(f"{scheme} {token}") == ["UNAUTHENTICATED"]


def test_a_token_is_good_until_its_last_second(user, settings):
    settings.TOKEN_TTL_SECONDS = 600
    with time_machine.travel("2026-11-22T04:00:00+00:00", tick=False) as clock:
        issued = issue_token(user)
        assert issued.expires_at == datetime(2026, 11, 22, 4, 10, tzinfo=UTC)
        clock.shift(timedelta(seconds=599))
        assert codes(f"Bearer {issued.text}") == []
        clock.shift(timedelta(seconds=1))
        assert codes(f"Bearer {issued.text}") == ["UNAUTHENTICATED"]


def test_a_token_says_nothing_of_the_password(user, token):
    head, body, _ = token.split(".")
    read = base64.urlsafe_b64decode(head + "==") + base64.urlsafe_b64decode(body + "==")
    assert set(claims_of(token)) == {"iss", "sub", "jti", "epoch", "exp"}
    _, salt, digest = user.password.split("$")
    for secret in (user.password, salt, digest, "correct horse"):
        assert secret.encode() not in read


# --- What ends a token -----------------------------------------------------------------------------------------------


def test_logout_ends_this_token_and_no_other(user, stranger):
    first, second = Shopper.signed_in(user), Shopper.signed_in(user)
    assert first.ask(LOGOUT) == {"logout": True}
    assert first.errors(ME) == ["UNAUTHENTICATED"]
    assert first.errors(LOGOUT) == ["UNAUTHENTICATED"]
    assert second.ask(ME)["me"]["username"] == "li"
    assert stranger.ask(ME)["me"]["username"] == "wang"


def test_a_password_change_ends_all_tokens_of_the_user_and_of_no_other(user, stranger):
    both = [Shopper.signed_in(user), Shopper.signed_in(user)]
    user.set_password("another one")
    user.save()
    assert [shopper.errors(ME) for shopper in both] == [["UNAUTHENTICATED"]] * 2
    assert stranger.ask(ME)["me"]["username"] == "wang"
    fresh = log_in(Shopper(), "li", "another one")
    assert Shopper(token=fresh["token"]).ask(ME)["me"]["username"] == "li"


def test_saving_a_user_otherwise_ends_no_token(user, buyer):
    user.first_name = "Li"
    user.save()
    assert buyer.ask(ME)["me"]["username"] == "li"


def test_a_user_made_inactive_is_out_at_once(user, buyer):
    user.is_active = False
    user.save()
    assert buyer.errors(ME) == ["UNAUTHENTICATED"]


def test_a_rehash_at_sign_in_ends_no_token(user, buyer, settings):
    old = user.password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    answer = log_in(Shopper(), "li", "correct horse")
    user.refresh_from_db()
    assert old.startswith("md5$")
    assert user.password.startswith("scrypt$")
    assert Shopper(token=answer["token"]).ask(ME)["me"]["username"] == "li"
    assert buyer.ask(ME)["me"]["username"] == "li"


def test_a_deleted_row_is_a_dead_token(buyer):
    AccessToken.objects.all().delete()
    assert buyer.errors(ME) == ["UNAUTHENTICATED"]
