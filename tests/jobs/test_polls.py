"""A waiting buyer's polls make the jobs ask sooner; they never ask themselves."""

import pytest

from backend.payments.models import Payment
from backend.payments.providers.base import TradeState
from tests.jobs.conftest import trade_of

pytestmark = pytest.mark.django_db


def test_a_poll_moves_the_next_question_forward_and_no_call_leaves(clock, later, provider, buyer, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PAID))
    buyer.status(payment.out_trade_no)
    assert provider.calls() == []
    later(0)
    assert provider.calls() == ["query"]
    assert buyer.status(payment.out_trade_no) == "PAID"


def test_polls_make_us_ask_once_in_a_few_seconds(clock, later, provider, buyer, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PENDING))
    for _ in range(10):
        buyer.status(payment.out_trade_no)
        later(1)
    assert len(provider.calls()) == 2


def test_a_poll_of_an_order_that_has_ended_changes_nothing(clock, later, provider, buyer, order, payment):
    provider.answers("query", trade_of(payment, TradeState.PAID))
    later(61)
    buyer.status(payment.out_trade_no)
    assert Payment.objects.get().next_query_at is None


def test_a_stranger_moves_nothing(clock, later, provider, stranger, order, payment):
    assert stranger.status(payment.out_trade_no) is None
    assert later(1) == 0
