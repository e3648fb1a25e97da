"""The zip around the bill: whatever is in it, what comes out is its lines or BillUnreadable, and memory stays small."""

import io
import tracemalloc
import zipfile
from itertools import chain, islice
from unittest.mock import patch

import pytest
from bill_world import COLUMNS, DETAIL, SAMPLE, SUMMARY, bill_line, bill_lines, bill_zip, packed, refund_line, table
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.payments.providers import alipay_bill_file
from backend.payments.providers.alipay_bill_file import read_lines
from backend.payments.providers.alipay_bill_table import read_rows
from backend.payments.providers.base import BillUnreadable

MEGABYTE = 1024**2


def lines_of(raw, progress=None):
    return [line for block in read_lines(io.BytesIO(raw), progress) for line in block]


@pytest.fixture
def peak_of():
    """The most memory, in bytes, that Python holds while ``work`` runs."""

    def measure(work):
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_the_lines_of_the_table_and_not_of_the_summary(newline):
    lines = lines_of(bill_zip(SAMPLE, refund_line(), newline=newline))
    assert [line.rstrip("\r") for line in lines] == bill_lines(SAMPLE, refund_line())
    assert len(list(read_rows([lines]))) == 2


def test_the_last_line_needs_no_end():
    raw = table(SAMPLE).removesuffix(b"\r\n")
    assert [line.rstrip("\r") for line in lines_of(packed([(DETAIL, raw)]))] == bill_lines(SAMPLE)


@pytest.mark.parametrize("folder", ["", "账单/", "/", "a\\"])
def test_a_table_in_a_folder_is_found(folder):
    raw = packed([(folder + SUMMARY, b"x"), (folder + DETAIL, b"#\n")])
    assert lines_of(raw) == ["#"]


def test_a_name_in_utf8_that_says_so_is_found_too():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(DETAIL, b"#\n")
    assert zipfile.ZipFile(file).infolist()[0].flag_bits & 0x800
    assert lines_of(file.getvalue()) == ["#"]


def test_a_stored_table_is_read_as_a_packed_one_is():
    assert lines_of(packed([(DETAIL, b"#\n")], zipfile.ZIP_STORED)) == ["#"]


@pytest.mark.parametrize("names", [[], [SUMMARY], [DETAIL, f"b/{DETAIL}"], ["x_账务明细.csv"]])
def test_not_one_table_is_refused(names):
    with pytest.raises(BillUnreadable, match=r"has [02] tables of trades"):
        lines_of(packed([(name, b"") for name in names]))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_bounds_is_refused(method):
    with pytest.raises(BillUnreadable, match="packed in a way"):
        lines_of(packed([(DETAIL, b"x")], method))


# Broken


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_zip_is_unreadable(keep):
    raw = bill_zip(*[SAMPLE] * 1000)
    with pytest.raises(BillUnreadable, match="the zip is broken"):
        lines_of(raw[: int(len(raw) * keep)])


def test_a_changed_byte_is_found_by_the_checksum():
    raw = bytearray(packed([(DETAIL, table(SAMPLE))], zipfile.ZIP_STORED))
    raw[raw.index(b"20.00,20.00")] ^= 1
    with pytest.raises(BillUnreadable, match="BadZipFile"):
        lines_of(bytes(raw))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_zip_is_the_same_bill_or_unreadable(data):
    raw = bytearray(bill_zip(SAMPLE))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = list(read_rows(read_lines(io.BytesIO(bytes(raw)))))
    except BillUnreadable:
        return
    assert rows == list(read_rows([bill_lines(SAMPLE)]))


def test_an_encrypted_table_is_unreadable():
    raw = bytearray(packed([(DETAIL, b"#\n")]))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + flags] |= 1
    with pytest.raises(BillUnreadable, match="RuntimeError"):
        lines_of(bytes(raw))


# GBK


def test_another_encoding_is_refused_with_the_line():
    rows = [SAMPLE] * 700 + [bill_line(商品名称="\x00\x01")] + [SAMPLE] * 700
    raw = table(*rows).replace(b"\x00\x01", b"\xff\xff")
    with pytest.raises(BillUnreadable, match=r"^line 706: not GBK$"):
        lines_of(packed([(DETAIL, raw)]))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "big5"])
def test_a_table_in_another_encoding_is_unreadable_as_a_whole(encoding):
    text = "".join(line + "\r\n" for line in bill_lines(SAMPLE)).encode(encoding, "replace")
    with pytest.raises(BillUnreadable):
        list(read_rows(read_lines(io.BytesIO(packed([(DETAIL, text)])))))


def test_rare_letters_that_gbk_lacks_are_read():
    assert lines_of(packed([(DETAIL, "#𠮷€\n".encode("gb18030"))])) == ["#𠮷€"]


# Bounded


def test_a_line_without_end_is_refused_in_little_memory(peak_of):
    raw = packed([(DETAIL, table(end=None) + b"x" * 64 * MEGABYTE)])

    def read():
        with pytest.raises(BillUnreadable, match="a line is too long"):
            lines_of(raw)

    assert peak_of(read) < 2 * MEGABYTE


def test_a_table_that_says_it_is_too_large_is_not_begun():
    with (
        patch.object(alipay_bill_file, "LARGEST_TABLE", 1000),
        pytest.raises(BillUnreadable, match="the table is too large"),
    ):
        next(read_lines(io.BytesIO(bill_zip(SAMPLE, SAMPLE, SAMPLE))))


def test_a_bomb_that_says_it_is_small_gives_no_more_than_it_says():
    bomb = packed([(DETAIL, b"#\n" * 10 * MEGABYTE)])
    said = (20 * MEGABYTE).to_bytes(4, "little")
    assert bomb.count(said) == 2
    lines = chain.from_iterable(read_lines(io.BytesIO(bomb.replace(said, (1000).to_bytes(4, "little")))))
    with pytest.raises(BillUnreadable, match="BadZipFile"):
        list(islice(lines, 501))


def test_a_list_of_entries_without_measure_is_not_read(peak_of):
    raw = packed([(f"{n:0200}", b"") for n in range(2000)] + [(DETAIL, b"#\n")])

    def read():
        with pytest.raises(BillUnreadable, match="list of entries is too long"):
            lines_of(raw)

    assert peak_of(read) < len(raw) + MEGABYTE


def test_memory_does_not_grow_with_the_bill(peak_of):
    def reading(rows):
        raw = bill_zip(*[SAMPLE] * rows)

        def read():
            assert sum(1 for _ in read_rows(read_lines(io.BytesIO(raw)))) == rows

        return read

    small, large = peak_of(reading(2_000)), peak_of(reading(40_000))
    assert large < small + MEGABYTE / 2


# Progress


def test_progress_goes_up_in_blocks_to_the_whole_and_follows_the_reader():
    raw = bill_zip(*[SAMPLE] * 3000)
    told = []
    rows = read_rows(read_lines(io.BytesIO(raw), lambda *numbers: told.append(numbers)))
    next(rows)
    assert told == []
    assert sum(1 for _ in rows) == 2999
    total = len(table(*[SAMPLE] * 3000))
    assert told[-1] == (total, total)
    assert told == sorted(told)
    assert 3 < len(told) < 30


def test_what_progress_raises_is_not_a_broken_bill():
    def broken_pipe(read, total):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        lines_of(bill_zip(SAMPLE), broken_pipe)


def test_the_header_of_the_protocol_has_25_columns():
    assert len(COLUMNS.split(",")) == len(SAMPLE.split(",")) == 25
