"""Alipay's spelling of values: times, statuses, merchant numbers, subjects and reasons."""

import re
import unicodedata
from datetime import datetime, timedelta, timezone

from backend.payments.providers.base import TradeState

BEIJING = timezone(timedelta(hours=8), "Beijing")
"""All of Alipay's times, whatever the zone of this process. China has had no summer time since 1991."""

NAME = "alipay"

STATES = {
    "WAIT_BUYER_PAY": TradeState.PENDING,
    "TRADE_SUCCESS": TradeState.PAID,
    "TRADE_FINISHED": TradeState.PAID,  # paid, and the time for refunds is over
    "TRADE_CLOSED": TradeState.CLOSED,  # not paid in time, closed by us, or refunded in full
}

LONGEST_SUBJECT = 128
SUBJECT_FALLBACK = "课程"
LONGEST_REASON = 256

_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_]{1,32}")
_OUT_REQUEST_NO = re.compile(r"[A-Za-z0-9_]{1,64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.·\-\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?")


def is_out_trade_no(text: object) -> bool:
    """True for a merchant number of ours: 1 to 32 ASCII letters, digits and underscores."""
    return isinstance(text, str) and _OUT_TRADE_NO.fullmatch(text) is not None


def is_out_request_no(text: object) -> bool:
    """True for a refund number of ours: 1 to 64 ASCII letters, digits and underscores."""
    return isinstance(text, str) and _OUT_REQUEST_NO.fullmatch(text) is not None


def beijing_text(moment: datetime) -> str:
    """``2026-01-31 12:00:00`` in Beijing; parts of a second are cut off. Raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError("a time without an offset cannot be told to Alipay")
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def beijing_moment(text: object) -> datetime | None:
    """The aware time in Alipay's spelling, with or without milliseconds; None for no time or another spelling.

    A time that we cannot read is no reason to doubt the money that the same signed statement tells of.
    """
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=BEIJING)
    except ValueError:
        return None


def clean_subject(text: str) -> str:
    """``text`` in letters that are safe in every place a subject comes back: 1 to 128 characters.

    Chinese and Japanese letters, ASCII letters and digits, space and ``- _ . ·`` stay; each run of anything else is one
    space. So a subject cannot carry another field into the signed text of a notify (``&``, ``=``), cannot confuse who
    counts braces in an answer, and cannot break a line of the bill.
    """
    return _clean(text, LONGEST_SUBJECT) or SUBJECT_FALLBACK


def clean_reason(text: str) -> str:
    """``text`` in the letters of a subject, at most 256 characters: the buyer sees it. May be empty."""
    return _clean(text, LONGEST_REASON)


def _clean(text: str, most: int) -> str:
    words = _UNSAFE.sub(" ", unicodedata.normalize("NFKC", text))
    return words.strip()[:most].rstrip()
