"""The daily bill as Alipay writes it: when it can be had, the 30 seconds, the zip and every column (protocol 5.6)."""

import csv
import io
import re
import zipfile
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from alipay_simulator import bill_entries
from alipay_simulator.__main__ import parser
from alipay_simulator.bill_period import named_period, parse_period
from alipay_simulator.simulator import BadStatus
from tests.simulator.bills import ACCOUNT, STEM, TODAY, TOO_LATE, ask, download, refused, rows, texts, told
from tests.simulator.lab import NOON

NINE_TOMORROW = 21 * 3600 - 0.25
"""Seconds from the lab's noon to 09:00 of the next day."""
COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,"
    "券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)


# When there is one.


def test_a_bill_can_be_had_at_nine_of_the_next_morning(lab):
    lab.buy("order_1")
    assert refused(lab) == "isp.bill_not_exist"
    lab.simulator.advance(NINE_TOMORROW - 1)
    assert refused(lab) == "isp.bill_not_exist"
    lab.simulator.advance(1)
    assert told(download(lab)) == [("order_1", "交易", "117.00", "")]


def test_a_months_bill_can_be_had_on_the_third(lab):
    lab.buy("order_1")
    lab.simulator.advance(86400)
    lab.buy("order_2")
    lab.simulator.advance(31 * 86400 + 21 * 3600 - 1.25)  # 08:59:59 on the 3rd of February
    assert refused(lab, "2026-01") == "isp.bill_not_exist"
    lab.simulator.advance(1)
    raw = download(lab, "2026-01")
    name, text = next(iter(texts(raw).items()))
    assert name == f"{ACCOUNT}_202601_业务明细.csv"
    assert "#起始日期：[2026年01月01日 00:00:00]   终止日期：[2026年02月01日 00:00:00]\r\n" in text
    assert [line.split("\t,")[1] for line in text.splitlines() if line.startswith("2026")] == ["order_1", "order_2"]


def test_at_once_is_a_rule_and_an_option(new_lab):
    lab = new_lab(bill_at_once=True)
    lab.buy("order_1")
    assert "bill_download_url" in ask(lab)
    lab.simulator.rules.change({"bill_at_once": False})
    assert refused(lab) == "isp.bill_not_exist"
    assert parser().parse_args(["--bill-at-once"]).bill_at_once is True


def test_a_day_without_money_has_no_bill(day):
    day.open("order_3")
    for empty in ("2025-12-31", "2026-01-02", "2025-12"):
        assert refused(day, empty) == "isp.bill_not_exist"
    assert "bill_download_url" in ask(day, "2026-01")


@pytest.mark.parametrize(
    ("asked", "wire", "listed"),
    [
        (("2026-01-02",), "isp.bill_not_exist", "BILL_NOT_EXIST"),
        (("2026-02-30",), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        (("2026-13",), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        (("20260101",), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        (("2026-01-01 00:00:00",), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        (("9999-12-31",), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        (("٢٠٢٦-01-01",), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        ((20260101,), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        ((None,), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        ((TODAY, "TRADE"), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        ((TODAY, ["trade"]), "isv.invalid_arguments", "INVAILID_ARGUMENTS"),
        ((TODAY, "settlementMerge"), "TYPE_NOT_SUPPORTED", "TYPE_NOT_SUPPORTED"),
        ((TODAY, "trade_zft_merchant"), "TYPE_NOT_SUPPORTED", "TYPE_NOT_SUPPORTED"),
    ],
)
def test_refusals_have_two_spellings(day, asked, wire, listed):
    assert refused(day, *asked) == wire
    day.simulator.rules.change({"bill_codes": "listed"})
    assert refused(day, *asked) == listed


def test_a_period_is_of_beijing():
    day = parse_period(TODAY)
    assert (day.end - day.start, day.ready_at - day.end) == (86400, 9 * 3600)
    assert day.start <= NOON < day.end
    assert NOON - day.start == 12 * 3600 + 0.25
    leap = parse_period("2028-02")
    assert (leap.name, leap.end - leap.start, leap.ready_at - leap.end) == ("202802", 29 * 86400, 57 * 3600)
    assert [named_period(one.name) for one in (day, leap)] == [day, leap]


# The address.


def test_the_address_has_the_parameters_of_alipays(day):
    parts = urlsplit(ask(day)["bill_download_url"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://127.0.0.1:8001/downloadBillFile.resource"
    query = dict(parse_qsl(parts.query))
    assert re.fullmatch("[0-9a-f]{32}", query.pop("token"))
    assert query == {
        "bizType": "trade",
        "userId": ACCOUNT,
        "fileType": "csv.zip",
        "bizDates": "20260101",
        "downloadFileName": f"{STEM}.csv.zip",
        "fileId": f"/trade/{ACCOUNT}/20260101.csv.zip",
        "timestamp": str(int(NOON + 240)),
    }
    assert "fileId=%2Ftrade%2F" in parts.query
    assert "bizType=fnd" in ask(day, TODAY, "signcustomer")["bill_download_url"]


def test_an_address_lives_thirty_seconds_and_can_be_used_again_in_them(day):
    url = ask(day)["bill_download_url"]
    day.simulator.advance(29)
    assert told(day.simulator.download(url)) == told(day.simulator.download(url))
    day.simulator.advance(1)
    late = day.simulator.download(url)
    assert TOO_LATE in late.decode()
    assert not zipfile.is_zipfile(io.BytesIO(late))
    assert len(told(download(day))) == 4


@pytest.mark.parametrize(
    "change",
    [{"token": "0" * 32}, {"token": None}, {"bizDates": "20260102"}, {"timestamp": "1999999999"}, {"more": "1"}],
)
def test_an_address_that_was_changed_leads_nowhere(day, change):
    url = ask(day)["bill_download_url"]
    query = {name: text for name, text in {**dict(parse_qsl(urlsplit(url).query)), **change}.items() if text}
    with pytest.raises(BadStatus, match="403"):
        day.simulator.download(f"{url.partition('?')[0]}?{urlencode(query)}")
    assert "bill.answered" not in day.kinds()


# The file, byte by byte.


def test_names_are_gbk_and_do_not_say_utf8(day):
    raw = download(day)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert [info.flag_bits & 0x800 for info in archive.infolist()] == [0, 0]
        assert archive.testzip() is None
    names = [f"{STEM}_业务明细.csv", f"{STEM}_业务明细(汇总).csv"]
    assert list(texts(raw)) == names
    for name in names:
        assert raw.count(name.encode("gbk")) == 2  # at the file itself and in the directory
        assert name.encode() not in raw
    local_flags = [int.from_bytes(raw[at + 6 : at + 8], "little") for at in find_all(raw, b"PK\x03\x04")]
    assert [flags & 0x800 for flags in local_flags] == [0, 0]


def find_all(raw, mark):
    return [match.start() for match in re.finditer(re.escape(mark), raw)]


def test_the_detail_is_as_published(day):
    trades = {number: day.call("query", out_trade_no=number)["trade_no"] for number in ("order_1", "order_2")}
    [r2] = [one["out_request_no"] for one in day.simulator.money()["order_2"]["refunds"]]
    zeros = "0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00"
    end = "0.00,0.00"
    buyer = "\t,\t,\t,\t,*箱环境(buy***@example.com)\t"
    one, two = f"{trades['order_1']}\t,order_1\t", f"{trades['order_2']}\t,order_2\t"
    expected = [
        "#支付宝业务明细查询",
        f"#账号：[{ACCOUNT}]",
        "#起始日期：[2026年01月01日 00:00:00]   终止日期：[2026年01月02日 00:00:00]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        COLUMNS,
        f"{one},交易\t,课程,2026-01-01 12:00:00,2026-01-01 12:01:00,{buyer},117.00,117.00,{zeros},\t,{end},备注文字",
        f"{two},交易\t,Vue 课程,2026-01-01 12:02:00,2026-01-01 12:02:00,{buyer},39.05,39.05,{zeros},\t,{end},",
        f"{one},退款\t,课程,2026-01-01 12:00:00,2026-01-01 12:03:00,{buyer},-17.00,-17.00,{zeros},r1\t,{end},备注文字",
        f"{two},退款\t,Vue 课程,2026-01-01 12:02:00,2026-01-01 12:04:00,{buyer},-39.05,-39.05,{zeros},{r2}\t,{end},",
        "#-----------------------------------------业务明细列表结束------------------------------------",
        "#交易合计：2笔，商家实收共156.05元，商家优惠共0.00元",
        "#退款合计：2笔，商家实收退款共-56.05元，商家优惠退款共0.00元",
        "#导出时间：[2026年01月01日 12:04:00]",
    ]
    with zipfile.ZipFile(io.BytesIO(download(day)), metadata_encoding="gbk") as archive:
        assert archive.read(f"{STEM}_业务明细.csv") == "".join(f"{line}\r\n" for line in expected).encode("gbk")
    assert [len(line.split(",")) for line in expected[4:9]] == [25] * 5


def test_the_summary_adds_up(day):
    text = texts(download(day))[f"{STEM}_业务明细(汇总).csv"]
    lines = text.split("\r\n")
    assert lines[0] == "#支付宝业务汇总查询"
    assert lines[-1] == ""
    [names, *found] = [line.split(",") for line in lines if line and not line.startswith("#")]
    assert [row[0] for row in found] == ["\t", "合计\t"]
    total = dict(zip(names, found[-1], strict=True))
    counts = (total["交易订单总笔数"], total["退款订单总笔数"])
    assert (*counts, total["订单金额（元）"], total["实收净额（元）"]) == ("2", "2", "100.00", "100.00")


def test_the_money_of_a_bill_is_the_money_of_the_book(day):
    kept = sum(one["paid_fen"] - one["refunded_fen"] for one in day.simulator.money().values())
    assert round(sum(float(row["商家实收（元）"]) for row in rows(download(day))) * 100) == kept == 10000


def test_a_refund_stands_in_the_bill_of_its_own_day(day):
    day.simulator.advance(86400)
    day.refund("order_1", "1.00", "r2")
    assert len(told(download(day))) == 4
    tomorrow = texts(download(day, "2026-01-02"))[f"{ACCOUNT}_20260102_业务明细.csv"]
    assert "r2\t" in tomorrow
    assert "#交易合计：0笔，商家实收共0.00元" in tomorrow
    assert "#退款合计：1笔，商家实收退款共-1.00元" in tomorrow


def test_midnight_belongs_to_the_new_day(lab):
    lab.simulator.rules.change({"bill_at_once": True})
    lab.simulator.advance(12 * 3600 - 0.25 - 0.5)
    lab.buy("last")
    lab.simulator.advance(0.5)
    lab.buy("first")
    assert [row[0] for row in told(download(lab))] == ["last"]
    assert "first\t" in texts(download(lab, "2026-01-02"))[f"{ACCOUNT}_20260102_业务明细.csv"]


def test_a_long_bill_is_read_in_pages_and_loses_no_row_between_them(lab, monkeypatch):
    monkeypatch.setattr(bill_entries, "PAGE", 2)
    lab.simulator.rules.change({"bill_at_once": True})
    numbers = [f"order_{count}" for count in range(7)]  # all in one moment: the order of the journal decides
    for number in numbers:
        lab.buy(number)
    assert [row[0] for row in told(download(lab))] == numbers


def test_a_bill_is_found_by_its_time(lab):
    """However long the book has become."""
    plan = lab.simulator.book.all(f"EXPLAIN QUERY PLAN {bill_entries.MOVES}", 0, 0, 1, 1)
    details = [row["detail"] for row in plan]
    assert details[0].startswith("SEARCH events USING INDEX events_money (at>? AND at<?)")
    assert not any("SCAN" in detail or "TEMP B-TREE" in detail for detail in details)


@pytest.mark.parametrize(("quotes", "fields"), [(False, 26), (True, 25)])
def test_whether_a_comma_is_quoted_is_a_rule(lab, quotes, fields):
    lab.simulator.rules.change({"bill_at_once": True, "bill_quotes": quotes})
    lab.buy("order_1", subject='Vue, "GraphQL"')
    text = texts(download(lab))[f"{STEM}_业务明细.csv"]
    [row] = [row for row in csv.reader(io.StringIO(text, newline="")) if row[0].startswith("2026")]
    assert len(row) == fields
    assert ('Vue, "GraphQL"' in row) == quotes


def test_no_text_leaves_its_line_or_its_character_set(lab):
    lab.simulator.rules.change({"bill_at_once": True})
    lab.buy("order_1", subject="课程 🚀", body="one\r\ntwo\tthree")
    [row] = rows(download(lab))
    assert (row["商品名称"], row["备注"]) == ("课程 ?", "one  two three")


def test_the_account_bill_has_the_balance_after_each_row(day):
    text = texts(download(day, TODAY, "signcustomer"))[f"{STEM}_账务明细.csv"]
    lines = text.split("\r\n")
    assert lines[0] == "#支付宝账务明细查询"
    assert lines[4] == (
        "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"
    )
    found = [line.split(",") for line in lines[5:9]]
    assert [len(row) for row in found] == [12] * 4
    assert [(row[2].strip("\t"), *row[6:9], row[10]) for row in found] == [
        ("order_1", "117.00", "0.00", "117.00", "在线支付"),
        ("order_2", "39.05", "0.00", "156.05", "在线支付"),
        ("order_1", "0.00", "-17.00", "139.05", "交易退款"),
        ("order_2", "0.00", "-39.05", "100.00", "交易退款"),
    ]
    assert lines[10:12] == ["#支出合计：2笔，共-56.05元", "#收入合计：2笔，共156.05元"]
    day.simulator.advance(86400)
    day.buy("order_3", total="0.01")
    tomorrow = texts(download(day, "2026-01-02", "signcustomer"))[f"{ACCOUNT}_20260102_账务明细.csv"]
    assert "0.01,0.00,100.01," in tomorrow
