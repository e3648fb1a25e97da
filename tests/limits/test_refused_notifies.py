"""What is kept and logged of messages that anybody can send."""

import logging

import pytest
from django.test import Client

from backend.limits.throttle import Limit
from backend.payments import notifications
from backend.payments.models import Notification
from tests.api.helpers import nothing_changes, stored
from tests.shop import post_notify


@pytest.fixture
def two_of_a_sender(monkeypatch):
    own = notifications.REFUSALS_OF_SENDER
    assert (own.times, own.seconds) == (200, 3600)
    monkeypatch.setattr(notifications, "REFUSALS_OF_SENDER", Limit("refusals-of-sender", times=2, seconds=3600))


def forge(alipay, payment, count, sender="192.0.2.1"):
    """Messages with another amount than the one that was signed; the answers."""
    client = Client(REMOTE_ADDR=sender)
    signed = [alipay.paid_notify(payment, notify_id=f"{sender} {n}") for n in range(count)]
    forged = [body.replace("total_amount=156.00", "total_amount=155.00") for body in signed]
    return [post_notify(body, client).content for body in forged]


def test_of_one_sender_only_so_many_are_kept_and_logged(alipay, payment, two_of_a_sender, caplog):
    with caplog.at_level(logging.WARNING, "coursepay.notifications"), nothing_changes():
        assert forge(alipay, payment, 5) == [b"fail"] * 5
    assert [reason for _, reason, _ in stored()] == ["bad_signature"] * 2
    assert caplog.text.count("refused: bad_signature") == 2


def test_another_senders_are_kept_all_the_same(alipay, payment, two_of_a_sender):
    forge(alipay, payment, 5)
    forge(alipay, payment, 1, sender="192.0.2.2")
    assert Notification.objects.filter(sender="192.0.2.2").count() == 1


def test_one_sender_does_not_use_up_the_share_of_all(alipay, payment, two_of_a_sender, monkeypatch):
    monkeypatch.setattr(notifications, "REFUSALS_KEPT", Limit("refusals-kept", times=3, seconds=3600))
    forge(alipay, payment, 9)
    forge(alipay, payment, 2, sender="192.0.2.2")
    assert list(Notification.objects.order_by("pk").values_list("sender", flat=True)) == [
        "192.0.2.1",
        "192.0.2.1",
        "192.0.2.2",
    ]


def test_an_invented_address_is_not_another_sender(alipay, payment, two_of_a_sender):
    for n in range(4):
        body = alipay.paid_notify(payment, notify_id=str(n)).replace("total_amount=156.00", "total_amount=155.00")
        post_notify(body, Client(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}"))
    assert Notification.objects.count() == 2


def test_a_genuine_notify_from_a_limited_sender_is_taken(alipay, payment, two_of_a_sender):
    forge(alipay, payment, 5)
    assert post_notify(alipay.paid_notify(payment), Client(REMOTE_ADDR="192.0.2.1")).content == b"success"
    payment.refresh_from_db()
    assert payment.status == "PAID"


def test_what_is_signed_and_refused_is_kept_without_a_cap(alipay, payment, two_of_a_sender):
    forge(alipay, payment, 5)
    client = Client(REMOTE_ADDR="192.0.2.1")
    for n in range(4):
        post_notify(alipay.paid_notify(payment, notify_id=str(n), seller_id="2088199999999999"), client)
    kept = Notification.objects.filter(verified=True).values_list("reason", flat=True)
    assert [reason.partition(":")[0] for reason in kept] == ["wrong_seller"] * 4
