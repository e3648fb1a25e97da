"""Fen and yuan: one spelling in, one spelling out."""

import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.money import MAX_FEN, format_yuan, parse_yuan

AMOUNTS = st.integers(0, MAX_FEN)
NEARLY = st.text("0123456789.eE+-_, \n\x00０１.٣²", max_size=14)


@given(AMOUNTS)
@example(0)
@example(1)
@example(MAX_FEN)
def test_what_is_written_is_read_back(fen):
    text = format_yuan(fen)
    assert parse_yuan(text) == fen
    assert re.fullmatch(r"(0|[1-9][0-9]{0,7})\.[0-9]{2}", text)


@given(AMOUNTS)
def test_an_amount_is_what_decimal_arithmetic_says(fen):
    assert Decimal(format_yuan(fen)) * 100 == fen


@given(st.one_of(st.text(), NEARLY, st.from_regex(r"[0-9]{1,10}\.[0-9]{1,3}", fullmatch=True)))
@example("1.00\n")
@example("１.００")
@example("1.0²")
def test_a_text_is_read_only_in_the_one_form(text):
    try:
        fen = parse_yuan(text)
    except ValueError:
        assert re.fullmatch(r"[0-9]{1,8}\.[0-9]{2}", text, re.ASCII) is None
    else:
        assert 0 <= fen <= MAX_FEN
        assert fen == Decimal(text) * 100
        assert re.fullmatch(r"[0-9]{1,8}\.[0-9]{2}", text, re.ASCII)


@pytest.mark.parametrize(
    ("text", "fen"),
    [("0.00", 0), ("0.01", 1), ("0.10", 10), ("1.00", 100), ("117.00", 11700), ("99999999.99", 9_999_999_999)],
)
def test_amounts(text, fen):
    assert parse_yuan(text) == fen
    assert format_yuan(fen) == text


@pytest.mark.parametrize(
    "value", [None, 1, 1.0, True, Decimal("1.00"), b"1.00", ["1.00"], float("nan"), "NaN", "1e2", "1", "1.0", "1.000"]
)
def test_no_other_value_is_an_amount(value):
    with pytest.raises(ValueError, match="exactly two places"):
        parse_yuan(value)


@pytest.mark.parametrize("fen", [-1, MAX_FEN + 1, 10**20])
def test_an_amount_out_of_range_is_not_written(fen):
    with pytest.raises(ValueError, match="is not between 0 and"):
        format_yuan(fen)
