"""Two workers find the same order due at the same moment: one of them asks Alipay. Without the lease, both do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

from backend import sweeps
from backend.orders.models import OrderEvent
from backend.payments.jobs import PAYMENTS
from backend.payments.models import Payment
from backend.payments.registry import get_provider
from tests.concurrency.conftest import nursery
from tests.concurrency.processes import CONTEXT, PATIENCE, race
from tests.engine.due import make_orders
from tests.engine.gateway import gateway

__all__ = ["nursery"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nursery")]


def sweep_once(gateway_url: str, make: Callable[[], Any] = nullcontext) -> int:
    """How many rows this worker held."""
    alipay = settings.PAYMENT_PROVIDERS["alipay"]
    there = {**alipay, "OPTIONS": {**alipay["OPTIONS"], "gateway_url": gateway_url}}
    with override_settings(PAYMENT_PROVIDERS={"alipay": there}), make():
        get_provider.cache_clear()
        return PAYMENTS.run()


@contextmanager
def no_lock(meeting: Any, *, compare: bool = True) -> Iterator[None]:
    """Rows are claimed without transaction and lock; both workers have seen what is due before either claims it."""
    lease = sweeps.lease

    def meet_and_lease(sweep, pk, seen, until):
        meeting.wait(PATIENCE)
        if compare:
            return lease(sweep, pk, seen, until)
        return Payment.objects.filter(pk=pk).update(**{sweep.due: until}) == 1

    with (
        patch.object(sweeps, "transaction", SimpleNamespace(atomic=nullcontext)),
        patch.object(connection.features, "has_select_for_update_skip_locked", new=False),
        patch.object(sweeps, "lease", meet_and_lease),
    ):
        yield


def test_of_two_workers_one_has_the_row():
    make_orders(1)
    with gateway(lambda: None) as alipay:
        assert sorted(race([partial(sweep_once, alipay.url)] * 2)) == [0, 1]
    assert len(alipay.asked) == 1
    assert OrderEvent.objects.filter(name="order.timed_out").count() == 1


def test_the_compare_and_set_is_enough_without_a_lock():
    make_orders(1)
    make = partial(no_lock, CONTEXT.Barrier(2))
    with gateway(lambda: None) as alipay:
        assert sorted(race([partial(sweep_once, alipay.url, make)] * 2)) == [0, 1]
    assert len(alipay.asked) == 1


def test_without_it_both_ask_and_the_order_still_ends_once():
    """The negative control of the two above; and what stands behind the lease: locks and guarded updates."""
    make_orders(1)
    make = partial(no_lock, CONTEXT.Barrier(2), compare=False)
    both = threading.Barrier(2)
    with gateway(lambda: both.wait(PATIENCE)) as alipay:
        assert race([partial(sweep_once, alipay.url, make)] * 2) == [1, 1]
    assert len(alipay.asked) == 2
    assert OrderEvent.objects.filter(name="order.timed_out").count() == 1
