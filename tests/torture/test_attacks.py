"""T13 sees an attack that costs, one that gets through, and an answer that says too much."""

import time

import pytest
from django.http import HttpResponse, JsonResponse

from tests.edge.corpus import ask
from torture.trial import Tally
from torture.trials import attacks

pytestmark = pytest.mark.django_db


def case_of(name):
    return attacks.CORPUS.index((name, "a stranger"))


def test_some_attacks_and_a_block_of_documents_are_no_violation():
    tally = Tally()
    attacks.run([0, 60, 120, len(attacks.CORPUS) - 1, len(attacks.CORPUS)], 7, tally)
    assert tally.violations == []
    assert (tally.counts["attacks"], tally.counts["documents made up"]) == (4, attacks.BLOCK)


def test_control_work_without_end_is_found_out(monkeypatch):
    def work(*args, **kwargs):
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return JsonResponse({"errors": [{"message": "x", "extensions": {"code": "QUERY_TOO_COMPLEX"}}]})

    monkeypatch.setattr(attacks, "send", work)
    tally = Tally()
    attacks.run([case_of("a bomb of 20 levels")], 7, tally)
    assert "ms of processor time" in tally.violations[0]


def test_control_an_attack_that_is_answered_is_found_out(monkeypatch):
    monkeypatch.setitem(attacks.ATTACKS, "101 aliases", ask("{ __typename }", "QUERY_TOO_COMPLEX"))
    tally = Tally()
    attacks.run([case_of("101 aliases")], 7, tally)
    assert tally.violations == [f"case {case_of('101 aliases')}: 101 aliases: answered [], not QUERY_TOO_COMPLEX"]


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (HttpResponse("{}", status=500), "HTTP 500"),
        (HttpResponse("{}" + " " * 65_536), "bytes"),
        (HttpResponse("<html>"), "no JSON"),
        (JsonResponse({"errors": [{"message": "ValueError", "extensions": {"code": "BAD_REQUEST"}}]}), "of ours"),
        (JsonResponse({"errors": [{"message": "x", "extensions": {"code": "INTERNAL"}}]}), "INTERNAL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_control_a_bad_answer_is_found_out(answer, wrong):
    assert wrong in attacks.answer_wrong(answer)[0]


def test_what_the_client_wrote_itself_is_not_ours_but_anything_beside_it_is():
    document = '{ myCourses(first: "backend.urls") { totalCount } }'
    quoted = "Int cannot represent non-integer value: 'backend.urls'"

    def answered(message):
        return JsonResponse({"errors": [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]})

    assert attacks.answer_wrong(answered(quoted), document) == []
    assert attacks.answer_wrong(answered(quoted))
    assert "psycopg" in attacks.answer_wrong(answered(f"{quoted} psycopg"), document)[0]
