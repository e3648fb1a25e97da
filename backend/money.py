"""Fen and yuan: the only place that knows about two decimals.

Inside the shop an amount is an integer number of fen. At the GraphQL and Alipay edges it is a yuan string of exactly
one spelling, ``"117.00"``: ASCII digits, a point, two places. Everything else (``1e2``, ``NaN``, ``+1.00``, full-width
digits, a float) is refused, because two forms of one amount are two chances to read it differently.
"""

import re

MAX_FEN = 99_999_999_99
"""The largest amount there is: 99999999.99 yuan, the most that Alipay takes."""

_YUAN = re.compile(r"[0-9]{1,8}\.[0-9]{2}", re.ASCII)


def parse_yuan(text: object) -> int:
    """The fen in a yuan string such as ``"117.00"``. Raises ValueError for any other spelling or type."""
    if not isinstance(text, str) or not _YUAN.fullmatch(text):
        raise ValueError('an amount is a string of yuan with exactly two places, such as "117.00"')
    return int(text.replace(".", ""))


def format_yuan(fen: int) -> str:
    """``11700`` → ``"117.00"``. Raises ValueError below zero and above MAX_FEN."""
    if not 0 <= fen <= MAX_FEN:
        raise ValueError(f"{fen} fen is not between 0 and {MAX_FEN}")
    return f"{fen // 100}.{fen % 100:02d}"
