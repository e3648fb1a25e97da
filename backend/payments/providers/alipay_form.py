"""Notify bodies and return queries: urlencoded forms signed by Alipay, read so that each has only one reading.

The signed text joins ``name=value`` with ``&`` and escapes nothing, so ``subject=a&total_amount=9999.00`` may be one
field or two, and both verify. With names of letters, digits and underscores, and no value in which an ``=`` follows an
``&``, a signed text has exactly one division into fields; every other form is refused.

A field with a blank value counts as absent: Alipay sends none and signs none, and one that was added on the way must
not be taken for a statement (a blank ``refund_fee``).
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from backend.payments.providers.base import MessageRefused

MOST_FIELDS = 100

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"',]*)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_]+")
_FOREIGN = re.compile(r"&[^&=]*=")
_LENGTHS = {"out_trade_no": 64, "trade_no": 64, "out_biz_no": 64, "notify_id": 128}


def read_form(raw: bytes, *, most_bytes: int) -> dict[str, str]:
    """The fields of ``raw`` that have a value. Raises MessageRefused: too_large, malformed, duplicate_field."""
    if len(raw) > most_bytes:
        raise MessageRefused(MessageRefused.TOO_LARGE, f"{len(raw)} bytes")
    pairs = _pairs(raw)
    if len({name for name, _ in pairs}) != len(pairs):
        raise MessageRefused(MessageRefused.DUPLICATE_FIELD)
    fields = {name: value for name, value in pairs if value}
    _check_charset(fields.get("charset", ""), fields)
    return fields


def check_content_type(headers: Mapping[str, str]) -> None:
    """Raises MessageRefused (malformed) for a charset other than UTF-8; "…; text/html; charset=utf-8" is Alipay's."""
    for name, value in headers.items():
        if name.lower() == "content-type":
            for charset in _CHARSET.findall(value):
                _check_charset(charset, {})


def check_fields(fields: Mapping[str, str], required: Sequence[str], kind: tuple[str, str]) -> None:
    """Raises MessageRefused: missing_field, wrong_type, malformed. ``kind``: the field and word that mark this sort."""
    for name in required:
        if not fields.get(name, "").strip():
            raise MessageRefused(MessageRefused.MISSING_FIELD, name, fields=fields)
    name, word = kind
    if fields[name] != word:
        raise MessageRefused(MessageRefused.WRONG_TYPE, f"{name} is not {word}", fields=fields)
    for name, most in _LENGTHS.items():
        if len(fields.get(name, "")) > most:
            raise MessageRefused(MessageRefused.MALFORMED, f"{name} is longer than {most}", fields=fields)


def check_one_reading(fields: Mapping[str, str]) -> None:
    """Raises MessageRefused (foreign_text) unless the signed text divides into these fields and no others."""
    for name, value in fields.items():
        if not _NAME.fullmatch(name) or _FOREIGN.search(value):
            raise MessageRefused(MessageRefused.FOREIGN_TEXT, "a field carries another's text", fields=fields)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        text = raw.decode("utf-8")
        if _BAD_ESCAPE.search(text):
            raise ValueError("a % without two digits")
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise MessageRefused(MessageRefused.MALFORMED, type(error).__name__) from error
    # Alipay sends no control character, and a NUL that reached the database would be an error there.
    if any(_CONTROL.search(name) or _CONTROL.search(value) for name, value in pairs):
        raise MessageRefused(MessageRefused.MALFORMED, "a control character")
    return pairs


def _check_charset(charset: str, fields: Mapping[str, str]) -> None:
    if charset and charset.lower() not in {"utf-8", "utf8"}:
        raise MessageRefused(MessageRefused.MALFORMED, "a charset other than utf-8", fields=fields)
