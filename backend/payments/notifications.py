"""The inbox of notifies: keep the message, then act on it, then say so.

A verified notify is committed before its effect is tried, so it survives whatever the handler meets; its verdict is
written in the transaction of the effect. ``success`` is the answer only when the effect is committed, or was already.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils import timezone

from backend.limits.throttle import Limit, allows
from backend.monitoring.meters import count_notify
from backend.payments.models import Notification, Verdict
from backend.payments.providers.base import MessageRefused, Notice
from backend.payments.registry import get_provider
from backend.payments.trades import TradeRefused, apply_trade
from backend.stored import insert, update

logger = logging.getLogger("coursepay.notifications")

REFUSALS_KEPT = Limit("refusals-kept", times=1000, seconds=3600)
REFUSALS_OF_SENDER = Limit("refusals-of-sender", times=200, seconds=3600)
"""How many unverified messages an hour are kept, of all and of one address: anyone can send them. It bounds the store
and the log, never what is verified."""
LEFT_AFTER = timedelta(minutes=1)
"""Longer than any handler of a notify takes."""
MOST_AT_ONCE = 100
A_REPEAT = (
    "ON CONFLICT (body_sha256) DO UPDATE SET times_received = payments_notification.times_received + 1,"
    " verified = payments_notification.verified OR EXCLUDED.verified"
)


def receive_notification(
    *, provider: str, body: bytes, headers: Mapping[str, str], sender: str, length: int | None = None
) -> bool:
    """Take a notify in. True: its effect is committed, answer ``success``. False: refused and kept, answer ``fail``.

    ``length`` is the whole body's, where only its beginning was read. Raises only where our own store is down: then the
    sender must be told to come again.
    """
    try:
        notice = get_provider(provider).parse_notification(body, headers)
    except MessageRefused as refusal:
        keep_refusal(provider, body, sender, refusal, length or len(body))
        return False
    kept = keep_verified(provider, body, sender, notice)
    return handle(kept, notice)


def keep_refusal(provider: str, body: bytes, sender: str, refusal: MessageRefused, length: int) -> None:
    """Store and log it with the reason; of what anybody could send, over an hour's worth is only counted."""
    count_notify("refused", refusal.reason)
    if not refusal.is_signed and not (allows(REFUSALS_OF_SENDER, sender) and allows(REFUSALS_KEPT, provider)):
        return
    logger.warning("notify from %s refused: %s", sender, refusal.reason)
    too_large = refusal.reason == MessageRefused.TOO_LARGE
    upsert(
        Notification(
            provider=provider,
            body="" if too_large else as_text(body),
            out_trade_no=as_text(refusal.fields.get("out_trade_no", ""))[:64],
            notify_id=as_text(refusal.fields.get("notify_id", ""))[:128],
            trade_status=as_text(refusal.fields.get("trade_status", ""))[:32],
            verdict=Verdict.REFUSED,
            verified=refusal.is_signed,
            reason=as_text(str(refusal))[:200],
            handled_at=timezone.now(),
            **{**common(body, sender), "body_length": length},
        )
    )


def keep_verified(provider: str, body: bytes, sender: str, notice: Notice) -> Notification:
    """Commit the message before anything is done about it."""
    return upsert(
        Notification(
            provider=provider,
            body=as_text(body),
            out_trade_no=notice.trade.out_trade_no[:64],
            notify_id=notice.notify_id[:128],
            trade_status=notice.trade_status[:32],
            verdict=Verdict.RECEIVED,
            verified=True,
            **common(body, sender),
        )
    )


def handle(kept: Notification, notice: Notice) -> bool:
    """Apply a kept notice; whether its effect is committed."""
    try:
        apply_trade(notice.trade, together_with=lambda effect: mark(kept, Verdict.APPLIED, effect.value))
    except TradeRefused as refusal:
        # Genuine, and yet not to be applied: real money may be in it. Kept without a cap, for people to look at.
        logger.error("notify %s for %s refused: %s", notice.notify_id, notice.trade.out_trade_no, refusal.reason)
        mark(kept, Verdict.REFUSED, refusal.reason)
        count_notify("not_applied")
        return False
    count_notify("applied")
    return True


def mark(kept: Notification, verdict: Verdict, reason: str) -> None:
    """Write the verdict. What was applied once stays applied, whatever a later repeat meets."""
    changes = {"verdict": verdict, "reason": reason[:200], "handled_at": timezone.now()}
    if verdict == Verdict.APPLIED:
        # Verified now, even if it was refused when it first came: Alipay's new key may have been set up since.
        update(Notification, {**changes, "verified": True}, pk=kept.pk)
    else:
        Notification.objects.filter(pk=kept.pk).exclude(verdict=Verdict.APPLIED).update(**changes)


def unhandled() -> list[Notification]:
    """Verified messages whose effect is not committed: the handler failed, or the order was not there yet."""
    return list(Notification.objects.filter(verified=True).exclude(verdict=Verdict.APPLIED).order_by("received_at"))


def take_up_what_was_left() -> int:
    """Apply the messages whose handler died between keeping and applying; how many have a verdict now.

    Alipay comes again with other bytes: the money is taken in by that copy, and this row would wait for ever.
    """
    left = Notification.objects.filter(verdict=Verdict.RECEIVED, received_at__lt=timezone.now() - LEFT_AFTER)
    return sum(_taken_up(kept) for kept in left.order_by("received_at")[:MOST_AT_ONCE])


def _taken_up(kept: Notification) -> bool:
    try:
        replay(kept)
    except Exception:
        logger.exception("notify %s could not be applied; it is tried again", kept.notify_id)
        return False
    return True


def replay(kept: Notification) -> bool:
    """Verify a kept message again, from its bytes, and apply it. Safe to repeat."""
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    try:
        notice = get_provider(kept.provider).parse_notification(kept.body.encode(), headers)
    except MessageRefused as refusal:
        mark(kept, Verdict.REFUSED, str(refusal))
        return False
    return handle(kept, notice)


def upsert(message: Notification) -> Notification:
    """Store a message once for its bytes; a repeat counts, and keeps the verdict. One statement."""
    return insert(message, on_conflict=A_REPEAT)


def common(body: bytes, sender: str) -> dict[str, str | int | datetime]:
    return {
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "body_length": len(body),
        "sender": sender[:45],
        "received_at": timezone.now(),
    }


def as_text(raw: bytes | str) -> str:
    """Text that every database stores: bad UTF-8, NUL and lone surrogates written out."""
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
