"""T14 sees a place where a trap ends in a 500, and a verdict that is another's on another database."""

import pytest

from backend.money import parse_yuan
from backend.payments.providers import alipay_trades
from torture.traps import SLICES, TEXTS, TRAPS, of_case, places
from torture.trial import Tally
from torture.trials import inputs

pytestmark = pytest.mark.django_db


def case_of(*place):
    return places().index(place)


@pytest.fixture
def alone(monkeypatch):
    """The other database says what this one says."""
    monkeypatch.setattr(inputs, "verdicts_elsewhere", lambda cases: inputs.verdicts(cases))


def test_every_argument_of_the_schema_has_its_place():
    found = places()
    assert ("GraphQL", "createOrder", "input", "courseIds", "[]") in found
    assert ("GraphQL", "orders", "status", "[]") in found
    assert ("notify", "total_amount") in found
    assert len(found) == len(set(found)) >= 60
    assert len(TRAPS) >= 100


def test_every_trap_has_its_turn_in_every_place():
    for number, place in enumerate(places()):
        rounds = [of_case(number + round_ * len(places())) for round_ in range(SLICES)]
        assert {found for found, _ in rounds} == {place}
        traps = [repr(trap) for _, some in rounds for trap in some]
        assert sorted(traps) == sorted(map(repr, TRAPS if place[0] == "GraphQL" else TEXTS))


def test_a_few_places_are_no_violation(alone):
    tally = Tally()
    cases = [case_of("GraphQL", "createOrder", "input", "totalAmount"), case_of("notify", "subject")]
    inputs.run(cases, 7, tally)
    assert tally.violations == []
    assert tally.counts["inputs"] >= 40
    assert tally.counts["inputs taken"] >= 10


def test_control_an_amount_that_is_read_without_a_net_is_found_out(alone, monkeypatch):
    monkeypatch.setattr(alipay_trades, "told_amount", lambda fields, name: parse_yuan(fields[name]))
    tally = Tally()
    case = case_of("notify", "total_amount")
    inputs.run([case + round_ * len(places()) for round_ in range(SLICES)], 7, tally)
    assert [wrong for wrong in tally.violations if "! 500" in wrong]


def test_control_another_verdict_on_another_database_is_found_out(monkeypatch):
    case = case_of("GraphQL", "course", "id")

    def elsewhere(cases):
        found = inputs.verdicts(cases)
        found[case][3] += " or not"
        return found

    monkeypatch.setattr(inputs, "verdicts_elsewhere", elsewhere)
    tally = Tally()
    inputs.run([case], 7, tally)
    assert len(tally.violations) == 1
    assert "on SQLite" in tally.violations[0]
