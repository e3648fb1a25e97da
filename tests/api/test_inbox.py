"""What the inbox keeps of a notify, cut to what its columns hold, and what is logged and counted of it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from backend.limits.throttle import Limit
from backend.payments import notifications
from backend.payments.models import Notification
from backend.payments.notifications import keep_refusal, mark, unhandled
from backend.payments.providers.base import BadSignature, MessageRefused, Notice, TradeState
from tests.api.helpers import trade_of
from tests.shop import post_notify

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


@pytest.fixture
def counted(monkeypatch):
    """What was counted of notifies."""
    counts = []
    monkeypatch.setattr(notifications, "count_notify", lambda *of: counts.append(of))
    return counts


@pytest.fixture
def at_noon():
    with time_machine.travel(NOW, tick=False):
        yield


def refuse(refusal, body=b"body"):
    keep_refusal("alipay", body, "203.0.113.7", refusal, len(body))
    return Notification.objects.latest("id")


def test_a_verified_notify_is_kept_with_its_names(at_noon, alipay, payment, counted):
    body = alipay.paid_notify(payment)
    post_notify(body)
    row = Notification.objects.get()
    assert (row.provider, row.sender, row.body, row.body_length) == ("alipay", "127.0.0.1", body, len(body))
    assert (row.out_trade_no, row.notify_id) == (payment.out_trade_no, f"{payment.pk:034d}")
    assert (row.trade_status, row.verdict, row.verified) == ("TRADE_SUCCESS", "APPLIED", True)
    assert (row.received_at, row.handled_at, row.times_received) == (NOW, NOW, 1)
    assert counted == [("applied",)]


def test_it_is_received_and_not_applied_until_its_effect_is_committed(alipay, payment, monkeypatch):
    seen = []
    monkeypatch.setattr(notifications, "apply_trade", lambda *args, **more: seen.extend(Notification.objects.all()))
    post_notify(alipay.paid_notify(payment))
    (row,) = seen
    assert (row.verdict, row.verified, row.trade_status, row.handled_at) == ("RECEIVED", True, "TRADE_SUCCESS", None)
    assert row in unhandled()


def test_what_is_refused_is_kept_counted_and_logged(at_noon, payment, counted, caplog):
    fields = {"out_trade_no": payment.out_trade_no, "notify_id": "n1", "trade_status": "TRADE_SUCCESS"}
    row = refuse(BadSignature("sign_type is not RSA2", fields=fields))
    assert (row.out_trade_no, row.notify_id, row.trade_status) == (payment.out_trade_no, "n1", "TRADE_SUCCESS")
    assert (row.verdict, row.verified, row.reason) == ("REFUSED", False, "bad_signature: sign_type is not RSA2")
    assert (row.handled_at, row.body, row.body_length) == (NOW, "body", 4)
    assert counted == [("refused", "bad_signature")]
    assert caplog.messages == ["notify from 203.0.113.7 refused: bad_signature"]


def test_what_alipay_itself_has_signed_is_kept_as_that():
    row = refuse(MessageRefused(MessageRefused.WRONG_SELLER))
    assert (row.verdict, row.verified) == ("REFUSED", True)


def test_without_fields_their_columns_are_blank():
    row = refuse(MessageRefused(MessageRefused.MALFORMED))
    assert (row.out_trade_no, row.notify_id, row.trade_status) == ("", "", "")


def test_of_long_fields_is_kept_what_the_columns_hold():
    fields = dict.fromkeys(("out_trade_no", "notify_id", "trade_status"), "x" * 999)
    row = refuse(MessageRefused(MessageRefused.MALFORMED, "d" * 999, fields=fields))
    assert (row.out_trade_no, row.notify_id, row.trade_status) == ("x" * 64, "x" * 128, "x" * 32)
    assert row.reason == f"malformed: {'d' * 999}"[:200]


def test_of_a_verified_notify_too():
    trade = trade_of(type("P", (), {"provider": "alipay", "out_trade_no": "o" * 99, "pk": 1, "amount_fen": 1}))
    row = notifications.keep_verified("alipay", b"body", "s" * 99, Notice("n" * 999, "t" * 99, trade))
    row.refresh_from_db()
    assert (row.out_trade_no, row.notify_id, row.trade_status) == ("o" * 64, "n" * 128, "t" * 32)
    assert row.sender == "s" * 45


def test_a_long_reason_is_cut(alipay, payment):
    post_notify(alipay.paid_notify(payment, total_amount="0.01"))
    row = Notification.objects.get()
    mark(row, "REFUSED", "r" * 999)
    row.refresh_from_db()
    assert row.reason == "r" * 200


def test_money_that_is_not_applied_is_an_error_in_the_log_and_counted(alipay, payment, counted, caplog):
    post_notify(alipay.paid_notify(payment, notify_id="n1", total_amount="0.01"))
    said = f"notify n1 for {payment.out_trade_no} refused: wrong amount: 1 fen, not 15600"
    assert ("coursepay.notifications", "ERROR", said) in [
        (record.name, record.levelname, record.getMessage()) for record in caplog.records
    ]
    assert counted == [("not_applied",)]


def test_the_last_word_on_what_was_applied_stays(alipay, payment):
    post_notify(alipay.paid_notify(payment))
    row = Notification.objects.get()
    mark(row, "REFUSED", "later")
    row.refresh_from_db()
    assert (row.verdict, row.reason) == ("APPLIED", "paid")


def test_unhandled_messages_come_oldest_first_and_only_verified_ones(forger, alipay, payment):
    with time_machine.travel(NOW, tick=False) as clock:
        late = notifications.keep_verified("alipay", b"1", "s", Notice("a", "b", trade_of(payment, TradeState.PAID)))
        clock.shift(timedelta(minutes=-5))
        early = notifications.keep_verified("alipay", b"2", "s", Notice("a", "b", trade_of(payment, TradeState.PAID)))
    post_notify(forger.paid_notify(payment))
    assert unhandled() == [early, late]


def left(payment, alipay, minutes, **changes):
    """A message whose handler died so many minutes ago."""
    body = alipay.paid_notify(payment, **changes)
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=minutes), tick=False):
        trade = trade_of(payment, TradeState.PAID)
        return notifications.keep_verified("alipay", body.encode(), "s", Notice("n", "TRADE_SUCCESS", trade))


def test_what_a_dead_handler_left_is_taken_up_after_a_minute(alipay, payment):
    row = left(payment, alipay, 0.9)
    assert notifications.take_up_what_was_left() == 0
    Notification.objects.update(received_at=row.received_at - timedelta(seconds=10))
    assert notifications.take_up_what_was_left() == 1
    row.refresh_from_db()
    payment.refresh_from_db()
    assert (row.verdict, payment.status) == ("APPLIED", "PAID")
    assert notifications.take_up_what_was_left() == 0


def test_one_that_cannot_be_taken_up_is_logged_and_stops_no_other(alipay, payment, monkeypatch, caplog):
    broken, sound = left(payment, alipay, 5), left(payment, alipay, 4, notify_time="2026-11-23 09:00:00")
    replay = notifications.replay
    monkeypatch.setattr(notifications, "replay", lambda kept: 1 / 0 if kept == broken else replay(kept))
    assert notifications.take_up_what_was_left() == 1
    assert "notify n could not be applied; it is tried again" in caplog.messages
    broken.refresh_from_db()
    sound.refresh_from_db()
    assert (broken.verdict, sound.verdict) == ("RECEIVED", "APPLIED")


def test_the_oldest_are_taken_up_first_and_so_many_at_once(alipay, payment, monkeypatch):
    rows = [left(payment, alipay, minutes, notify_id=str(minutes)) for minutes in (2, 4, 3)]
    order = []
    monkeypatch.setattr(notifications, "replay", lambda kept: order.append(kept))
    assert notifications.MOST_AT_ONCE == 100
    monkeypatch.setattr(notifications, "MOST_AT_ONCE", 2)
    assert notifications.take_up_what_was_left() == 2
    assert order == [rows[1], rows[2]]


def test_a_replay_that_is_refused_says_why(payment):
    row = notifications.keep_verified("alipay", b"x=1", "s", Notice("a", "b", trade_of(payment)))
    row.body = "x=1"
    assert notifications.replay(row) is False
    row.refresh_from_db()
    assert (row.verdict, row.reason) == ("REFUSED", "missing_field: notify_type")


def test_the_hourly_rooms():
    """Their names are keys in Redis and in a table: two limits of one name would share their count."""
    assert Limit("refusals-kept", times=1000, seconds=3600) == notifications.REFUSALS_KEPT
    assert Limit("refusals-of-sender", times=200, seconds=3600) == notifications.REFUSALS_OF_SENDER


@pytest.mark.parametrize("room", ["REFUSALS_KEPT", "REFUSALS_OF_SENDER"])
def test_over_an_hours_worth_is_counted_alone(room, settings, monkeypatch, counted, caplog):
    settings.RATE_LIMITS = True
    monkeypatch.setattr(notifications, room, Limit(f"test-{room}", times=1, seconds=3600))
    refuse(MessageRefused(MessageRefused.MALFORMED), b"one")
    refuse(MessageRefused(MessageRefused.MALFORMED), b"two")
    assert Notification.objects.count() == 1
    assert len(caplog.messages) == 1
    assert counted == [("refused", "malformed")] * 2


def test_text_that_every_database_stores():
    assert notifications.as_text(b"a\x00b\xff") == "a\\x00b\\xff"
    assert notifications.as_text("a\ud800") == "a\\ud800"
