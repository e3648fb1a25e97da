"""Rows that are due are shared out: no two workers hold one, and what a dead worker held comes due again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend import sweeps
from backend.payments.jobs import PAYMENTS
from backend.payments.models import Payment

pytestmark = pytest.mark.django_db


def claim(batch):
    return sweeps.claim(PAYMENTS, batch, timezone.now() + sweeps.lease_time())


@pytest.fixture
def due(clock, buyer, courses):
    for course in courses[:3]:
        buyer.create_order([course])
    clock.shift(timedelta(seconds=61))
    return set(Payment.objects.values_list("pk", flat=True))


def test_each_row_is_claimed_once(due):
    first, second = claim(2), claim(2)
    assert (len(first), len(second)) == (2, 1)
    assert {*first, *second} == due
    assert claim(2) == []


def test_what_a_dead_worker_held_comes_due_again(due, clock):
    claim(10)
    clock.shift(sweeps.lease_time() - timedelta(seconds=1))
    assert claim(10) == []
    clock.shift(timedelta(seconds=2))
    assert set(claim(10)) == due


def test_of_two_that_saw_the_same_due_time_one_has_the_row(due):
    """Without a lock, as on SQLite: the second finds the time moved."""
    pk, seen = Payment.objects.values_list("pk", "next_query_at").first()
    until = timezone.now() + sweeps.lease_time()
    assert [sweeps.lease(PAYMENTS, pk, seen, until) for _ in range(2)] == [True, False]


def test_a_row_whose_work_fails_does_not_stop_the_others(due, monkeypatch):
    done = []

    def work(pk):
        done.append(pk)
        if len(done) == 1:
            raise RuntimeError("a bug")

    sweep = sweeps.Sweep("payments", PAYMENTS.due, PAYMENTS.rows, work)
    assert sweeps.run_due(sweep) == 3
    assert set(done) == due
