"""A notify whose handler died between keeping it and applying it is taken up by the jobs."""

from datetime import timedelta

import pytest

from backend.courses.models import Enrollment
from backend.orders.models import Order
from backend.payments import notifications
from backend.payments.jobs import INBOX
from backend.payments.models import Notification, Verdict
from tests.shop import post_notify


class Died(BaseException):
    """Past every handler, as a killed process is."""


@pytest.fixture
def left(clock, alipay, payment, monkeypatch):
    """A message that was kept, and no more."""

    def die(kept, notice):
        raise Died

    body = alipay.paid_notify(payment)
    with monkeypatch.context() as patch:
        patch.setattr(notifications, "handle", die)
        with pytest.raises(Died):
            post_notify(body)
    assert (Notification.objects.get().verdict, Order.objects.get().status) == (Verdict.RECEIVED, "UNPAID")
    return Notification.objects.get()


def test_it_is_applied_after_a_minute(left, clock):
    assert INBOX.run() == 0
    clock.shift(61)
    assert INBOX.run() == 1
    left.refresh_from_db()
    assert (left.verdict, left.reason, Order.objects.get().status) == (Verdict.APPLIED, "paid", "PAID")
    assert Enrollment.objects.count() == 2
    assert INBOX.run() == 0


def test_one_that_fails_is_tried_again_and_holds_up_no_other(left, clock, monkeypatch, caplog):
    other = Notification.objects.get()
    other.pk, other.body, other.body_sha256 = None, "no notify", "0" * 64
    other.received_at += timedelta(seconds=1)
    other.save()
    clock.shift(120)

    def fail(trade, *, together_with):
        raise RuntimeError("the store is down")

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "apply_trade", fail)
        assert INBOX.run() == 1
    assert "is tried again" in caplog.text
    other.refresh_from_db()
    assert other.verdict == Verdict.REFUSED
    assert INBOX.run() == 1
    assert Order.objects.get().status == "PAID"
