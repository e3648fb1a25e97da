"""T2 sees a life that goes wrong, with its transactions committed; and one that does not."""

import pytest
from django.db import transaction

from backend.orders.models import Order
from tests.concurrency import sabotage
from torture.trial import Tally
from torture.trials import api_machine

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_life_is_no_violation_and_is_really_committed(monkeypatch):
    monkeypatch.setattr(api_machine, "STEPS", 5)
    seen, live = [], api_machine.live

    def lived(*args):
        history = live(*args)
        seen.append((transaction.get_connection().in_atomic_block, Order.objects.count() > 0))
        return history

    monkeypatch.setattr(api_machine, "live", lived)
    tally = Tally()
    api_machine.run(range(1), 7, tally)
    assert tally.violations == []
    assert seen == [(False, True)] * 2
    assert Order.objects.count() == 0


def test_control_statuses_that_move_without_their_guard_are_found_out(monkeypatch):
    def all_paid(*changes):
        return sabotage.unguarded(*((model, {**written, "status": "PAID"}, where) for model, written, where in changes))

    monkeypatch.setattr("backend.status.update_together", all_paid)
    tally = Tally()
    api_machine.run(range(3), 7, tally)
    assert tally.violations
