"""T7 sees a shop that believes what it should not; and that ours believes none of a hundred."""

import pytest

from backend.payments.providers import alipay
from backend.payments.providers.alipay_client import AlipayClient
from torture.forgeries import same_message
from torture.forging import KINDS
from torture.trial import Tally
from torture.trials import forged

pytestmark = pytest.mark.django_db


def test_a_hundred_forged_messages_change_nothing():
    tally = Tally()
    forged.run(range(100), 7, tally)
    assert tally.violations == []
    assert tally.done == 100
    assert len(set(tally.counts) - {"messages"}) >= len(KINDS) - 2


def test_some_bits_of_every_byte_and_some_divisions():
    tally = Tally()
    forged.run_systematically(range(0, forged.BYTES, 25), 7, tally)
    assert tally.violations == []
    assert tally.counts["a bit flipped"] >= 30
    assert tally.counts["divided anew"] >= 10


def test_every_byte_has_its_case(payment, alipay):
    assert 800 < len(alipay.paid_notify(payment)) < forged.BYTES


def test_another_spelling_is_no_forgery_and_another_value_is(payment, alipay):
    form = alipay.paid_fields(payment, subject="a b")
    assert same_message(b"b=1&a=%2f&c=", {"a": "/", "b": "1"})
    for other in (b"a=%2f&b=2", b"a=%2f", b"a=%2f&b=1&b=1", b"a=%2f&b=1&c=2", b"\xff"):
        assert not same_message(other, {"a": "/", "b": "1"})
    assert same_message(alipay.signed(form).encode(), {**form, "sign_type": "RSA2", "sign": alipay.sign(form)})


def test_control_a_shop_that_does_not_verify_is_found_out(monkeypatch):
    monkeypatch.setattr(AlipayClient, "verify_bytes", lambda self, content, signature: True)
    tally = Tally()
    forged.run(range(40), 7, tally)
    assert [wrong for wrong in tally.violations if "success" in wrong]
    assert [wrong for wrong in tally.violations if "the books have changed" in wrong]


def test_control_a_shop_that_takes_any_division_is_found_out(monkeypatch):
    monkeypatch.setattr(alipay, "check_one_reading", lambda fields: None)
    tally = Tally()
    forged.run_systematically(range(60), 7, tally)
    assert [wrong for wrong in tally.violations if "divided anew" in wrong and "success" in wrong]


def test_a_case_alone_is_what_it_is_among_others(monkeypatch):
    seen = {}

    def keep(shop, message, case, tally):
        seen.setdefault(case, []).append(message.kind)

    monkeypatch.setattr(forged, "send", keep)
    for cases in (range(5, 15), [12], [7]):
        forged.run(cases, 7, Tally())
    assert {len(set(kinds)) for kinds in seen.values()} == {1}
    assert len(seen[12]) == len(seen[7]) == 2
