"""Whatever the gateway answers to any of the four calls: see answers.py for what, and for what must be true then."""

import logging

import pytest

from backend.orders.models import Order
from backend.payments.models import Refund
from tests.lifecycle.answers import ANSWERS, SKEWS, answered, refund_asked_for, signed, strike, waiting_at_the_cashier
from tests.lifecycle.world import CLOSE, METHODS, REFUND

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_tracebacks(caplog):
    caplog.set_level(logging.WARNING)
    yield
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_answer_to_every_call(make_world, no_tracebacks, method, kind):
    world, witness = make_world(skew=SKEWS[method])
    answered(world, witness, method, kind)


def test_there_are_enough_answers():
    assert len(ANSWERS) == len(set(ANSWERS)) >= 25
    assert len(METHODS) == 4


@pytest.mark.parametrize(
    ("code", "status"),
    [("ACQ.REASON_TRADE_BEEN_FREEZEN", "FAILED"), ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "PENDING")],
)
def test_control_a_signed_refusal_that_is_documented_is_believed(make_world, code, status):
    world, witness = make_world()
    refund_asked_for(world, tried=False)
    answer = signed({"code": "40004", "msg": "x", "sub_code": code, "sub_msg": "y"})
    world.line.around = lambda call, carry_out: answer(world, call) if call.method == REFUND else carry_out()
    world.jobs()
    assert (Refund.objects.get().status, Refund.objects.get().provider_code) == (status, code)
    assert witness.look() == []


def test_control_a_shop_that_does_not_verify_is_found_out(make_world, monkeypatch):
    """With the signature unchecked, the stranger's answers would close the order."""
    from backend.payments.providers.alipay_client import AlipayClient

    monkeypatch.setattr(AlipayClient, "verify_bytes", lambda self, text, sign: True)
    world, _ = make_world(skew=-1000)
    waiting_at_the_cashier(world)
    strike(world, CLOSE, "wrong_key")
    world.jobs()
    assert Order.objects.first().status == "TIMED_OUT"
