"""T11 sees a shop that believes what nobody signed."""

import pytest

from backend.payments.providers.alipay_client import AlipayClient
from tests.lifecycle.world import CLOSE, METHODS
from torture.trial import Tally
from torture.trials import gateway_answers

pytestmark = pytest.mark.django_db
FOUR = [gateway_answers.MATRIX.index((method, "bad_signature")) for method in METHODS]


def test_one_answer_to_every_call_is_no_violation():
    tally = Tally()
    gateway_answers.run(FOUR, 7, tally)
    assert tally.violations == []
    assert tally.done == 4
    assert tally.counts["calls of the shop"] >= 8


def test_control_a_shop_that_does_not_verify_is_found_out(monkeypatch):
    monkeypatch.setattr(AlipayClient, "verify_bytes", lambda self, content, signature: True)
    tally = Tally()
    gateway_answers.run([gateway_answers.MATRIX.index((CLOSE, "wrong_key"))], 7, tally)
    assert "nothing is known, so nothing may change" in tally.violations[0]
