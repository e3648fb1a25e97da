"""A provider whose answers the test scripts, in place of Alipay: what the jobs make of each answer."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from backend.payments import refunding, watch
from backend.payments.jobs import run_everything_due
from backend.payments.models import Payment
from backend.payments.providers.base import ProviderUnavailable, Trade, TradeState


@dataclass
class ScriptedProvider:
    """Gives the scripted answers in turn, the last one for ever; raises exceptions. Notes what it was asked."""

    script: dict[str, list] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answers(self, call: str, *answers) -> None:
        self.script[call] = list(answers)

    def _answer(self, call: str, number: str):
        self.asked.append((call, number))
        answers = self.script[call] or [ProviderUnavailable("nothing scripted")]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def query(self, out_trade_no, *, deadline=10.0):
        return self._answer("query", out_trade_no)

    def close(self, out_trade_no, *, deadline=10.0):
        return self._answer("close", out_trade_no)

    def refund(self, request, *, deadline=10.0):
        return self._answer("refund", request.out_request_no)

    def query_refund(self, request, *, deadline=10.0):
        return self._answer("query_refund", request.out_request_no)

    def calls(self) -> list[str]:
        return [call for call, _ in self.asked]


@pytest.fixture
def provider(monkeypatch):
    scripted = ScriptedProvider()
    for module in (watch, refunding):
        monkeypatch.setattr(module, "get_provider", lambda name: scripted)
    return scripted


@pytest.fixture
def clock():
    """A clock that the test moves."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def later(clock):
    """Let time pass, then run every job that is due."""

    def run(seconds: float) -> int:
        clock.shift(timedelta(seconds=seconds))
        return run_everything_due()

    return run


def trade_of(payment: Payment, state: TradeState, **more) -> Trade:
    """What the provider would say of this payment."""
    return Trade(
        **{
            "provider": "alipay",
            "out_trade_no": payment.out_trade_no,
            "trade_no": f"T{payment.pk}",
            "state": state,
            "amount_fen": payment.amount_fen,
            "paid_at": timezone.now() if state == TradeState.PAID else None,
            **more,
        }
    )
