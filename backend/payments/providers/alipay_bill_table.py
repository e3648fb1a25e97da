"""The table in Alipay's bill: lines in, rows out.

- ``#`` lines are comments. Only the one that says 业务明细列表结束 tells that the table is all there.
- Columns are found by their names: there have been fewer of them and there may be more.
- Text cells end in a tab. Refunds have negative amounts.
- Whether Alipay quotes a cell with a comma in it is not known. Our own subjects have none (see ``clean_subject``), but
  another system's rows may be in the bill: the two times behind the title say where it ends, and the note is the last.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import NamedTuple
from unicodedata import normalize

from backend.money import parse_yuan
from backend.payments.providers.alipay_values import beijing_moment
from backend.payments.providers.base import BillUnreadable
from backend.payments.providers.bill import BillKind, BillRow

LONGEST_RECORD = 64 * 1024
"""Characters of one row, which spans lines when a quoted cell does."""

LONGEST_NUMBERS = 3 * 64
_END = "业务明细列表结束"
_KINDS = {"交易": BillKind.PAYMENT, "退款": BillKind.REFUND}
_TITLE_AND_TIMES = ("商品名称", "创建时间", "完成时间")
_NEEDED = ("业务类型", "支付宝交易号", "商户订单号", "退款批次号/请求号", "订单金额(元)", "服务费(元)", "完成时间")

Lines = Iterator[tuple[int, str]]


class Columns(NamedTuple):
    """How many cells a line has, where the title is, and where those are that we need, in the order of ``_NEEDED``."""

    width: int
    title: int | None
    pick: Callable[[list[str]], tuple[str, ...]]


def read_rows(blocks: Iterable[list[str]]) -> Iterator[BillRow]:
    """The rows in the table's lines. Raises BillUnreadable, which may come after rows: the end is seen last."""
    lines = enumerate(chain.from_iterable(blocks), 1)
    columns = _find_columns(lines)
    for number, line in lines:
        if line.startswith("#"):
            if _END in line:
                break
            continue
        cells = _cells(number, line, lines)
        if len(cells) > columns.width:
            cells = _realigned(cells, columns)
        if len(cells) == columns.width:
            yield _row(number, columns.pick(cells))
        elif line.strip():
            raise BillUnreadable(f"line {number}: {len(cells)} cells under {columns.width} columns")
    else:
        raise BillUnreadable("the table stops before its end")
    _check_end(lines)


def _find_columns(lines: Lines) -> Columns:
    for number, line in lines:
        if line.strip() and not line.startswith("#"):
            return _columns(number, [normalize("NFKC", cell).strip() for cell in _cells(number, line, lines)])
    raise BillUnreadable("the table has no names of columns")


def _columns(number: int, names: list[str]) -> Columns:
    if wrong := [name for name in _NEEDED if names.count(name) != 1]:
        raise BillUnreadable(f"line {number}: not one column each of {', '.join(wrong)}")
    titles = [place for place in range(len(names) - 2) if tuple(names[place : place + 3]) == _TITLE_AND_TIMES]
    return Columns(len(names), titles[0] if titles else None, itemgetter(*map(names.index, _NEEDED)))


def _check_end(lines: Lines) -> None:
    for number, line in lines:
        if line.strip() and not line.startswith("#"):
            raise BillUnreadable(f"line {number}: a row after the end")


def _cells(number: int, line: str, lines: Lines) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader(_record(number, line, lines)))
    except csv.Error as error:
        raise BillUnreadable(f"line {number}: its quotes are wrong") from error


def _realigned(cells: list[str], columns: Columns) -> list[str]:
    """The cells with the commas of title and note put back; as they are, where that makes no sense of them."""
    spare, width = len(cells) - columns.width, columns.width
    if columns.title is not None:
        for end in range(columns.title + 1, columns.title + 2 + spare):
            if all(beijing_moment(cell.strip()) for cell in cells[end : end + 2]):
                cells = [*cells[: columns.title], ",".join(cells[columns.title : end]), *cells[end:]]
                return [*cells[: width - 1], ",".join(cells[width - 1 :])]
    return cells


def _record(number: int, line: str, lines: Lines) -> Iterator[str]:
    size = 0
    for _, part in chain([(number, line)], lines):
        size += len(part) + 1
        if size > LONGEST_RECORD:
            raise BillUnreadable(f"line {number}: a quoted cell that does not end")
        yield part + "\n"


def _row(number: int, cells: tuple[str, ...]) -> BillRow:
    word, trade_no, out_trade_no, out_request_no, amount_cell, fee_cell, time_cell = map(str.strip, cells)
    kind = _KINDS.get(word, BillKind.OTHER)
    numbers = trade_no + out_trade_no + out_request_no
    if len(numbers) > LONGEST_NUMBERS or not numbers.isprintable():
        raise BillUnreadable(f"line {number}: no number of a trade or refund looks like this")
    try:
        amount, fee, finished = _fen(amount_cell), _fen(fee_cell), _moment(time_cell)
    except ValueError as error:
        raise BillUnreadable(f"line {number}: {error}") from error
    if kind is BillKind.PAYMENT and amount < 0:
        raise BillUnreadable(f"line {number}: a payment below zero")
    return BillRow(kind, trade_no, out_trade_no, out_request_no, abs(amount), fee, finished, number)


@lru_cache(4096)
def _fen(text: str) -> int:
    return -parse_yuan(text[1:]) if text.startswith("-") else parse_yuan(text)


@lru_cache(4096)
def _moment(text: str) -> datetime:
    moment = beijing_moment(text)
    if moment is None:
        raise ValueError("a time that we cannot read")
    return moment
