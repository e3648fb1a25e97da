"""What can go wrong with a bill: its rows, its files and its way; and how it leaves over HTTP."""

import io
import json
import re
import zipfile
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from alipay_simulator.bill_entries import read_entries, spoilt
from alipay_simulator.bill_period import parse_period
from alipay_simulator.clock import beijing
from alipay_simulator.control import Control
from alipay_simulator.faults import BILL_KINDS
from alipay_simulator.simulator import BadStatus
from tests.simulator.bills import ACCOUNT, NODE, QUERY, STEM, TODAY, TOO_LATE, ask, download, texts, told

# Rows, files and ways.

PAID = [("order_1", "交易", "117.00", ""), ("order_2", "交易", "39.05", "")]
R1 = ("order_1", "退款", "-17.00", "r1")


def strike(day, kind, **parameters):
    day.simulator.fault("bill", kind, **parameters)
    return told(download(day))


def test_rows_that_are_missing_twice_or_wrong(day):
    honest = told(download(day))
    assert honest[:3] == [*PAID, R1]
    last = honest[3]
    assert strike(day, "row_missing") == [PAID[1], R1, last]
    assert strike(day, "row_missing", out_trade_no="order_2") == [PAID[0], R1, last]
    assert strike(day, "refund_missing") == [*PAID, last]
    assert strike(day, "refund_missing", value=last[3]) == [*PAID, R1]
    assert strike(day, "duplicate_row", out_trade_no="order_2") == [PAID[0], PAID[1], PAID[1], R1, last]
    assert strike(day, "amount_changed") == [("order_1", "交易", "117.01", ""), PAID[1], R1, last]
    assert strike(day, "refund_changed", fen=-300)[2:] == [("order_1", "退款", "-14.00", "r1"), last]
    assert strike(day, "foreign_row") == [*honest, ("foreign_1", "交易", "117.00", "")]
    assert strike(day, "foreign_row", value="not_ours", fen=5)[-1] == ("not_ours", "交易", "0.05", "")
    assert day.simulator.faults.waiting() == []
    assert told(download(day)) == honest


def test_one_bill_can_suffer_everything_and_the_next_the_same(day):
    parameters = {"times": 2, "out_trade_no": "order_2"}
    day.simulator.fault("bill", "row_missing", times=2, out_trade_no="order_1")
    day.simulator.fault("bill", "amount_changed", **parameters)
    day.simulator.fault("bill", "refund_changed", **parameters)
    day.simulator.fault("bill", "foreign_row", times=2)
    first, second, third = (download(day) for _ in range(3))
    assert told(first) == told(second) != told(third)
    assert [row[:3] for row in told(first)] == [
        ("order_2", "交易", "39.06"),
        R1[:3],
        ("order_2", "退款", "-39.06"),
        ("foreign_1", "交易", "117.00"),
    ]
    assert "#交易合计：2笔，商家实收共156.06元" in texts(first)[f"{STEM}_业务明细.csv"]
    assert "#退款合计：2笔，商家实收退款共-56.06元" in texts(first)[f"{STEM}_业务明细.csv"]
    assert len(told(third)) == 4


def test_two_faults_of_a_kind_strike_two_rows(day):
    day.simulator.fault("bill", "row_missing")
    assert [row[0] for row in strike(day, "row_missing")] == ["order_1", "order_2"]


def test_a_rows_fault_waits_for_the_bill_with_its_row(day):
    day.simulator.fault("bill", "row_missing", out_trade_no="order_3")
    assert len(told(download(day))) == 4
    day.simulator.advance(86400)
    day.buy("order_3")
    day.buy("order_4")
    tomorrow = texts(download(day, "2026-01-02"))[f"{ACCOUNT}_20260102_业务明细.csv"]
    assert ("order_3" in tomorrow, "order_4" in tomorrow) == (False, True)


def test_faults_may_be_cleared_while_a_bill_is_written(day):
    faults, period = day.simulator.faults, parse_period(TODAY)
    day.simulator.fault("bill", "row_missing")
    day.simulator.fault("bill", "amount_changed", out_trade_no="order_2")

    def cleared(rows):
        for row in rows:
            faults.clear()
            yield row

    entries = spoilt(cleared(read_entries(day.simulator.book, period)), faults, period)
    assert [entry.amount_fen for entry in entries] == [3906, -1700, -3905]
    assert faults.waiting() == []


def test_a_bill_in_utf8(day):
    day.simulator.fault("bill", "utf8")
    with zipfile.ZipFile(io.BytesIO(download(day)), metadata_encoding="gbk") as archive:
        for name in (f"{STEM}_业务明细.csv", f"{STEM}_业务明细(汇总).csv"):
            assert archive.read(name).decode("utf-8").startswith("#支付宝业务")


def test_a_detail_without_its_footer_and_one_that_ends_in_a_row(day):
    day.simulator.fault("bill", "no_footer")
    detail = texts(download(day))[f"{STEM}_业务明细.csv"]
    assert detail.count("\r\n") == 9
    assert detail.endswith(",0.00,0.00,\r\n")
    day.simulator.fault("bill", "cut_csv")
    raw = download(day)
    cut = texts(raw)[f"{STEM}_业务明细.csv"]
    assert cut.count("\r\n") == 8
    assert detail.startswith(cut)
    assert 0 < len(cut.split("\r\n")[-1].split(",")) < 25
    assert "2,2," in texts(raw)[f"{STEM}_业务明细(汇总).csv"]


def test_half_a_zip_is_no_zip(day):
    whole = download(day)
    day.simulator.fault("bill", "truncated")
    half = download(day)
    assert half == whole[: len(whole) // 2]
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(half))


def test_an_address_that_is_dead_on_arrival_and_the_next_is_not(day):
    day.simulator.fault("bill", "expired")
    assert TOO_LATE in download(day).decode()
    assert len(told(download(day))) == 4


def test_downloads_that_are_no_bill(day):
    for kind, error in (("timeout_before", TimeoutError), ("stall", TimeoutError), ("http_500", BadStatus)):
        day.simulator.fault("bill", kind)
        with pytest.raises(error):
            download(day)
    day.simulator.fault("bill", "html_200")
    assert download(day).startswith(b"<!doctype html>")
    day.simulator.fault("bill", "empty")
    assert download(day) == b""
    day.simulator.fault("bill", "drip")
    assert len(told(download(day))) == 4


@pytest.mark.parametrize("kind", ["expired", "timeout_before", "stall", "truncated", "http_500", "html_200", "empty"])
def test_what_does_not_arrive_uses_no_other_fault_up(day, kind):
    day.simulator.fault("bill", "row_missing")
    day.simulator.fault("bill", "no_footer")
    day.simulator.fault("bill", kind)
    with suppress(OSError):
        download(day)
    assert [fault["kind"] for fault in day.simulator.faults.waiting()] == ["row_missing", "no_footer"]
    assert len(told(download(day))) == 3


def test_a_dead_address_uses_no_fault_up(day):
    url = ask(day)["bill_download_url"]
    day.simulator.advance(30)
    day.simulator.fault("bill", "http_500")
    assert TOO_LATE in day.simulator.download(url).decode()
    assert len(day.simulator.faults.waiting()) == 1


def test_the_journal_tells_of_downloads(day):
    day.simulator.fault("bill", "truncated")
    sizes = [len(download(day)), len(download(day))]
    found = [
        json.loads(row["data"]) for row in day.simulator.book.all("SELECT * FROM events WHERE kind = 'bill.answered'")
    ]
    assert [(one["name"], one["status"], one["size"], one["fault"]) for one in found] == [
        (f"{STEM}.csv.zip", 200, sizes[0], "truncated"),
        (f"{STEM}.csv.zip", 200, sizes[1], ""),
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "drop"},
        {"kind": "system_error"},
        {"kind": "row_missing", "fen": 5},
        {"kind": "amount_changed", "fen": 0.5},
        {"kind": "foreign_row", "fen": 0},
        {"kind": "html_200", "effect": True},
    ],
)
def test_faults_that_make_no_sense(lab, wanted):
    with pytest.raises(ValueError):
        lab.simulator.fault("bill", **wanted)
    assert lab.simulator.faults.waiting() == []


def test_any_method_means_the_query_and_not_the_download(day):
    url = ask(day)["bill_download_url"]
    day.simulator.fault("*", "code_20000")
    assert len(told(day.simulator.download(url))) == 4
    assert ask(day)["code"] == "20000"
    day.simulator.fault(QUERY, "http_502")
    with pytest.raises(BadStatus):
        ask(day)


def test_every_kind_of_bill_fault_is_known():
    assert len(BILL_KINDS) == 17


# Over HTTP.


@pytest.fixture
def shop(start, merchant_of):
    """A running simulator with one purchase, and its merchant."""
    sandbox = start(bill_at_once=True)
    merchant = merchant_of(sandbox)
    sandbox.buy(merchant.pay_url("order_1", subject="课程"))
    return sandbox, merchant


def paid_on(sandbox):
    return beijing(sandbox.trade("order_1")["paid_at"])[:10]


def bill_url(shop):
    sandbox, merchant = shop
    biz = {"bill_type": "trade", "bill_date": paid_on(sandbox)}
    reply = merchant.get(merchant.params(QUERY, biz)).json()
    return reply[NODE]["bill_download_url"]


def test_a_bill_over_http(shop):
    sandbox, _ = shop
    url = bill_url(shop)
    assert url.startswith(f"{sandbox.url}/downloadBillFile.resource?bizType=trade&")
    answer = sandbox.http.get(url)
    name = dict(parse_qsl(urlsplit(url).query))["downloadFileName"]
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    detail, _ = texts(answer.content).values()
    assert "order_1\t" in detail
    assert sandbox.http.get(f"{url}0").status_code == 403
    sandbox.clock(advance=30)
    late = sandbox.http.get(url)
    assert (late.status_code, late.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert TOO_LATE in late.text


def is_half(part, whole):
    """Two downloads are of two moments: a second later the archive's time is another, and its sheets' last digits."""
    name = slice(30, 70)  # after the time, the length and the checksum of the first file
    alike = part[:10] == whole[:10] and part[name] == whole[name]
    return alike and abs(len(whole) // 2 - len(part)) <= 8


def test_faults_of_a_download_over_http(shop):
    sandbox, _ = shop
    with Control(sandbox.url) as control:
        whole = sandbox.http.get(bill_url(shop)).content
        control.fault("bill", "http_500")
        assert sandbox.http.get(bill_url(shop)).status_code == 500
        control.fault("bill", "truncated")
        half = sandbox.http.get(bill_url(shop))
        assert is_half(half.content, whole)
        assert int(half.headers["content-length"]) == len(half.content)
        control.fault("bill", "drip", seconds=0)
        assert len(texts(sandbox.http.get(bill_url(shop)).content)) == 2
        control.fault("bill", "html_200")
        assert "系统维护中" in sandbox.http.get(bill_url(shop)).text
        assert control.faults() == []


def test_a_download_that_stalls_begins_and_is_broken_off(shop):
    sandbox, _ = shop
    whole = sandbox.http.get(bill_url(shop)).content
    sandbox.http.post("/api/faults", json={"target": "bill", "kind": "stall", "seconds": 0.05})
    received = []
    with sandbox.http.stream("GET", bill_url(shop)) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.TransportError):
            received.extend(answer.iter_raw())
    assert is_half(b"".join(received), whole)
    sandbox.http.post("/api/faults", json={"target": "bill", "kind": "timeout_before", "seconds": 0.05})
    with pytest.raises(httpx.TransportError):
        sandbox.http.get(bill_url(shop))


def test_the_console_gives_a_days_bill_to_a_browser(sandbox, merchant):
    sandbox.buy(merchant.pay_url("order_1", subject="课程"))
    today = paid_on(sandbox)
    page = sandbox.http.get("/console/controls", params={"lang": "en"}).text
    assert re.search('name="bill_date" inputmode="text" value="[0-9-]{10}"', page)
    assert "/console/controls#bill" in sandbox.http.get("/console").text
    for bill_type in ("trade", "signcustomer"):
        fields = {"bill_type": bill_type, "bill_date": today}
        answer = sandbox.http.get("/console/controls/bill", params=fields)
        assert (answer.status_code, answer.headers["location"][:10]) == (303, "/downloadB")
        detail, _ = texts(sandbox.http.get(answer.headers["location"]).content).values()
        assert "order_1\t" in detail
    wrong = sandbox.http.get("/console/controls/bill", params={"bill_type": "trade", "bill_date": "2020-01-01"})
    assert wrong.status_code == 409
    assert "isp.bill_not_exist" in wrong.text
    assert 'value="2020-01-01"' in wrong.text


def test_the_console_sets_faults_and_rules_of_bills(sandbox):
    with Control(sandbox.url) as control:
        sandbox.http.post(
            "/console/controls/fault", data={"fault": "bill amount_changed", "number": "-5", "times": "2"}
        )
        [fault] = control.faults()
        assert (fault["target"], fault["kind"], fault["fen"], fault["times"]) == ("bill", "amount_changed", -5, 2)
        sandbox.http.post("/console/controls/bill", data={"bill_at_once": "on", "bill_listed": "on"})
        rules = control.rules()
        assert (rules["bill_at_once"], rules["bill_codes"], rules["bill_quotes"]) == (True, "listed", False)
        sandbox.http.post("/console/controls/bill", data={})
        assert (control.rules()["bill_at_once"], control.rules()["bill_codes"]) == (False, "wire")
        for nonsense in ({"bill_at_once": 1}, {"bill_codes": "other"}, {"bill_quotes": "yes", "refund_window": 5}):
            before = control.rules()
            assert sandbox.http.post("/api/rules", json=nonsense).status_code == 400
            assert control.rules() == before
        control.rules(bill_quotes=True)
        control.reset()
        assert control.rules()["bill_quotes"] is False
