"""Every attack of the corpus: no 5xx, JSON with a code, nothing of ours in the answer, no row changed, bounded work."""

import json
import re

import pytest
from django.conf import settings
from django.test import Client

from backend.schema import guard
from tests.api.helpers import nothing_changes
from tests.edge.corpus import all_attacks

ATTACKS = all_attacks()
OURS = re.compile(
    r"Traceback|\.py\b|site-packages|Did you mean|\bsys\.|sqlite|psycopg|SELECT |INSERT |django|strawberry|graphql\."
    r"|backend\.|/root|/srv|/tmp|Exception|[a-z]Error\b|pbkdf2|md5\$"
)
MOST_VISITS = 1000
"""A selection takes one token at least."""


@pytest.fixture
def visits(monkeypatch):
    """How many selections the guard has looked at."""
    counted = []
    original = guard.Walk.selections

    def selections(self, node, parent):
        counted.append(len(node.selections))
        return original(self, node, parent)

    monkeypatch.setattr(guard.Walk, "selections", selections)
    return counted


def send(attack, **headers):
    path = f"/graphql?{attack.query_string}" if attack.query_string else "/graphql"
    return Client(raise_request_exception=False).generic(
        attack.method, path, attack.body, attack.content_type, headers={**attack.headers, **headers}
    )


def test_the_corpus_is_large():
    assert len(ATTACKS) >= 80


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack(name, user, courses, visits):
    attack = ATTACKS[name]
    with nothing_changes():
        response = send(attack)
    assert response.status_code < 500
    assert response["content-type"].startswith(("application/json", "application/graphql-response+json"))
    body = json.loads(response.content)
    errors = body.get("errors", [])
    assert [error["extensions"]["code"] for error in errors] == [attack.code or "BAD_REQUEST"] * len(errors)
    assert errors or attack.code is None
    if attack.code is not None:
        assert not any((body.get("data") or {}).values())
    leaked = OURS.search(response.content.decode())
    assert not leaked, leaked
    assert settings.SECRET_KEY not in response.content.decode()
    assert len(response.content) < 4000
    assert sum(visits) <= MOST_VISITS


@pytest.mark.parametrize("name", [name for name in ATTACKS if "bomb" in name or "circle" in name])
def test_a_refusal_says_the_figure_and_the_limit(name, db):
    for error in send(ATTACKS[name]).json().get("errors", []):
        if error["extensions"]["code"] == "QUERY_TOO_COMPLEX":
            figure, limit = error["extensions"]["figure"], error["extensions"]["limit"]
            assert figure > limit
            assert str(figure) in error["message"]
            assert str(limit) in error["message"]
