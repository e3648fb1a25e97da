"""The table in the bill: what its cells say, and what is refused. A row read wrongly is a false alarm about money."""

import re
from datetime import datetime
from itertools import islice

import pytest
from bill_world import COLUMNS, END, HEAD, SAMPLE, bill_line, bill_lines, refund_line
from hypothesis import example, given
from hypothesis import strategies as st

from backend.money import MAX_FEN
from backend.payments.providers.alipay_bill_table import LONGEST_RECORD, read_rows
from backend.payments.providers.alipay_values import BEIJING
from backend.payments.providers.base import BillUnreadable
from backend.payments.providers.bill import BillKind, BillRow

FINISHED = datetime(2017, 8, 31, 0, 6, 15, tzinfo=BEIJING)
PAID = BillRow(BillKind.PAYMENT, "2017083121001004720299453898", "cd6e6359684", "", 2000, 0, FINISHED, 6)
FIRST = len(HEAD) + 2


def rows_of(*rows, **how):
    return list(read_rows([bill_lines(*rows, **how)]))


def test_the_sample_line_of_the_protocol():
    assert rows_of(SAMPLE) == [PAID]


def test_a_refund_has_a_positive_amount_and_its_number():
    [row] = rows_of(refund_line())
    assert (row.kind, row.amount_fen, row.fee_fen) == (BillKind.REFUND, 1700, -10)
    assert (row.trade_no, row.out_trade_no, row.out_request_no) == (PAID.trade_no, "cd6e6359684", "R20170831_0001")


def test_a_refund_told_without_a_sign_is_the_same_refund():
    assert rows_of(refund_line(订单金额="17.00")) == rows_of(refund_line())


@pytest.mark.parametrize("word", ["转账", "交易分账", "", "交 易", "交易\u3000x", "trade"])
def test_another_kind_is_kept_and_not_guessed_at(word):
    [row] = rows_of(bill_line(业务类型=word, 订单金额="-20.00"))
    assert (row.kind, row.amount_fen, row.out_trade_no) == (BillKind.OTHER, 2000, "cd6e6359684")


def test_a_day_without_trades_has_no_rows():
    assert rows_of() == []


def test_lines_are_counted_from_one_over_comments_and_blank_lines():
    lines = rows_of(SAMPLE, "", "#a remark", "\r", SAMPLE)
    assert [row.line for row in lines] == [FIRST, FIRST + 4]


def test_blocks_are_one_table():
    lines = bill_lines(SAMPLE, refund_line(), SAMPLE)
    whole = list(read_rows([lines]))
    assert len(whole) == 3
    assert list(read_rows([line] for line in lines)) == whole
    assert list(read_rows([lines[:3], [], lines[3:7], lines[7:]])) == whole


@pytest.mark.parametrize(
    "line",
    [bill_line(商品名称="a,b"), bill_line(商品名称=",,"), SAMPLE + ",", SAMPLE + ",a,2017-08-31 00:06:14,b",
     bill_line(商品名称="a,2017,b") + ",c"],
)  # fmt: skip
def test_another_systems_commas_in_title_and_note_shift_nothing(line):
    assert rows_of(line) == [PAID]


def test_without_the_times_behind_the_title_a_comma_is_refused():
    names = COLUMNS.replace("商品名称", "别的")
    with pytest.raises(BillUnreadable, match="26 cells under 25 columns"):
        rows_of(bill_line(商品名称="a,b"), columns=names)


# Columns are found by name


def test_more_columns_and_another_order_do_no_harm():
    names, cells = COLUMNS.split(","), SAMPLE.split(",")
    for columns, line in (
        ([*names, "新列"], [*cells, "x"]),
        (["新列", *names], ["x", *cells]),
        (names[::-1], cells[::-1]),
    ):
        assert rows_of(",".join(line), columns=",".join(columns)) == [PAID]


def test_only_the_needed_columns_are_needed():
    keep = [0, 1, 2, 5, 11, 21, 22]
    names, cells = COLUMNS.split(","), SAMPLE.split(",")
    line, columns = ",".join(cells[i] for i in keep), ",".join(names[i] for i in keep)
    assert rows_of(line, columns=columns) == [PAID]


def test_half_width_brackets_and_tabs_in_names_are_the_same_names():
    assert rows_of(SAMPLE, columns=COLUMNS.replace("（", "(").replace("）", ")").replace(",", "\t,")) == [PAID]


@pytest.mark.parametrize(
    "name",
    ["支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额（元）", "退款批次号/请求号", "服务费（元）"],
)
def test_a_needed_column_that_is_missing_or_there_twice_is_refused(name):
    told = re.escape(name.replace("（", "(").replace("）", ")"))
    for columns in (COLUMNS.replace(name, "别的"), COLUMNS.replace("备注", name)):
        with pytest.raises(BillUnreadable, match=f"line {FIRST - 1}: not one column each of {told}"):
            rows_of(SAMPLE, columns=columns)


def test_a_table_without_names_is_refused():
    with pytest.raises(BillUnreadable, match="no names"):
        list(read_rows([[*HEAD, END]]))
    with pytest.raises(BillUnreadable, match="no names"):
        list(read_rows([]))
    with pytest.raises(BillUnreadable, match="line 5: not one column"):
        list(read_rows([[*HEAD, SAMPLE, END]]))


@pytest.mark.parametrize("line", [SAMPLE.rpartition(",")[0], "x", SAMPLE.replace("2017-08-31", "a,b")])
def test_a_line_with_another_number_of_cells_is_refused(line):
    with pytest.raises(BillUnreadable, match=rf"line {FIRST + 1}: \d+ cells under 25 columns"):
        rows_of(SAMPLE, line)


# Quotes


def quoted(line):
    return ",".join(f'"{cell}"' for cell in line.split(","))


@pytest.mark.parametrize(
    "line",
    [
        quoted(SAMPLE),
        quoted(SAMPLE) + "\r",
        bill_line(商品名称='"Python, 入门"'),
        bill_line(商品名称='"他说""好"", 就买"'),
        bill_line(商品名称='27" 显示器'),
        bill_line(商品名称='"特价"课程'),
        bill_line(备注='"#不是注释,"'),
        bill_line(商品名称="it's"),
    ],
)
def test_quotes_are_read_as_csv_has_them(line):
    assert rows_of(line) == [PAID]


def test_a_quoted_cell_may_span_lines_and_the_count_of_lines_goes_on():
    name = bill_line(商品名称='"第一行\r\n#第二行,\n三"').split("\n")
    assert [row.line for row in rows_of(*name, SAMPLE)] == [FIRST, FIRST + 3]
    assert rows_of(*name)[0] == PAID


def test_a_quote_that_is_not_closed_is_refused_and_not_kept_in_memory():
    endless = iter(lambda: "x" * 1000, None)
    taken = []
    lines = [*bill_lines(end=None), bill_line(商品名称='"abc').rpartition(",")[0]]
    feed = ([taken.append(line) or line] for line in (*lines, *islice(endless, 100_000)))
    with pytest.raises(BillUnreadable, match=f"line {FIRST}: a quoted cell that does not end"):
        list(read_rows(feed))
    assert sum(map(len, taken)) < LONGEST_RECORD + 2000
    with pytest.raises(BillUnreadable, match=f"line {FIRST}"):
        rows_of(bill_line(商品名称='"abc'))


def test_a_carriage_return_amid_a_line_with_quotes_is_refused():
    with pytest.raises(BillUnreadable, match=f"line {FIRST}: its quotes are wrong"):
        rows_of(bill_line(商品名称='27"\rx'))


# Amounts, times, numbers


def yuan(fen):
    return f"{'-' * (fen < 0)}{abs(fen) // 100}.{abs(fen) % 100:02}"


@given(fen=st.integers(1, MAX_FEN), back=st.integers(1, MAX_FEN), fee=st.integers(-MAX_FEN, MAX_FEN))
@example(fen=1, back=MAX_FEN, fee=-1)
def test_every_amount_comes_back_exactly(fen, back, fee):
    paid, refunded = rows_of(bill_line(订单金额=yuan(fen), 服务费=yuan(fee)), refund_line(订单金额=yuan(-back)))
    assert (paid.amount_fen, paid.fee_fen, refunded.amount_fen) == (fen, fee, back)


WRONG_AMOUNTS = [
    "",
    "20",
    "20.0",
    "20.000",
    "+20.00",
    "2e1",
    "NaN",
    "２０.00",
    "--20.00",
    "- 20.00",
    "-",
    "123456789.00",
]


@pytest.mark.parametrize("column", ["订单金额", "服务费"])
@pytest.mark.parametrize("text", WRONG_AMOUNTS)
def test_an_amount_in_another_spelling_is_refused_and_not_quoted(column, text):
    for line in (bill_line(**{column: text}), refund_line(**{column: text})):
        with pytest.raises(BillUnreadable, match=rf'^line {FIRST + 1}: an amount is a string.*, such as "117.00"$'):
            rows_of(SAMPLE, line)


def test_a_payment_below_zero_is_refused():
    with pytest.raises(BillUnreadable, match=f"line {FIRST}: a payment below zero"):
        rows_of(bill_line(订单金额="-20.00"))


@pytest.mark.parametrize(
    "text", ["", "2017-08-31", "2017/08/31 00:06:15", "2017-08-32 00:06:15", "20170831T00:06:15.00"]
)
def test_a_time_in_another_spelling_is_refused(text):
    with pytest.raises(BillUnreadable, match=f"line {FIRST}: a time"):
        rows_of(bill_line(完成时间=text))


@pytest.mark.parametrize("text", ["a\x00b", "a\tb", "a\u2028b", "x" * 193])
def test_a_number_that_none_can_be_is_refused(text):
    for column in ("支付宝交易号", "商户订单号", "退款批次号/请求号"):
        with pytest.raises(BillUnreadable, match=f"line {FIRST}: no number"):
            rows_of(refund_line(**{column: text}))


# The end


def test_without_its_end_a_bill_is_incomplete_and_what_came_before_is_given():
    rows = read_rows([bill_lines(SAMPLE, end=None)])
    assert next(rows) == PAID
    with pytest.raises(BillUnreadable, match="stops before its end"):
        next(rows)
    with pytest.raises(BillUnreadable, match="stops before its end"):
        rows_of(SAMPLE, end=END.replace("结束", ""))


def test_after_the_end_there_are_comments_only():
    assert rows_of(SAMPLE, end=f"{END}\r") == [PAID]
    lines = [*bill_lines(SAMPLE), "", SAMPLE]
    with pytest.raises(BillUnreadable, match=f"line {FIRST + 5}: a row after the end"):
        list(read_rows([lines]))
