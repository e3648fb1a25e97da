"""Fen (integers, in the book) and yuan (strings with two decimals, on the wire)."""

import re

YUAN = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,2}))?")
MIN_FEN = 1
MAX_FEN = 100_000_000_00


def parse_yuan(text: object) -> int:
    """Return the fen of "117", "117.5" or "117.00".

    Raises ValueError for anything that is not such a string: a number, a sign, an exponent, a third decimal.
    """
    match = YUAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not an amount in yuan")
    whole, cents = match.groups(default="0")
    return int(whole) * 100 + int(cents.ljust(2, "0"))


def yuan(fen: int) -> str:
    """Return "117.00" for 11700, "-17.00" for -1700; only a bill has amounts below zero."""
    return f"{'-' * (fen < 0)}{abs(fen) // 100}.{abs(fen) % 100:02d}"
