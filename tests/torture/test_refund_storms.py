"""T10 sees money that went back twice; and in a small storm none does."""

from unittest.mock import patch
from uuid import uuid4

import pytest

from backend.payments import refunding
from torture.trial import Tally
from torture.trials import refund_storms

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_storm(monkeypatch):
    for name, value in {"PARTS": 4, "THREADS": 3, "REPEATS": 2, "STORM_ROUNDS": 4, "MOST_ROUNDS": 12}.items():
        monkeypatch.setattr(refund_storms, name, value)


def test_a_small_storm_ends_with_equal_books():
    tally = Tally()
    refund_storms.run(range(1), 7, tally)
    assert tally.violations == []
    assert (tally.done, tally.counts["refunds"]) == (1, 4)


def test_control_a_new_number_for_every_try_is_found_out(monkeypatch):
    """What was carried out and not heard of is asked for again, as if it were another refund."""
    monkeypatch.setattr(refund_storms, "TIMEOUTS", 0.8)
    asked = refunding.RefundRequest

    def with_a_new_number(**given):
        return asked(**{**given, "out_request_no": uuid4().hex})

    tally = Tally()
    with patch("backend.payments.refunding.RefundRequest", with_a_new_number):
        refund_storms.run(range(1), 7, tally)
    assert [wrong for wrong in tally.violations if wrong.startswith("case 0: numbers: ")]
