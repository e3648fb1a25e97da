"""The daily bill: asked for in a signed call, fetched at once, read as hints."""

import json
import logging
import tempfile
import time
from datetime import date
from itertools import repeat
from urllib.parse import parse_qsl

import pytest
from alipay_world import answer, http, make, refusal, serving, sign
from bill_world import SAMPLE, bill_zip, refund_line

from backend.payments.providers import alipay_bill
from backend.payments.providers.base import BillNotReady, BillUnreadable, ProviderRejected, ProviderUnavailable
from backend.payments.providers.bill import BillKind

DAY = date(2017, 8, 31)
NODE = "alipay_data_dataservice_bill_downloadurl_query_response"
PATH = "/downloadBillFile.resource?bizType=trade&fileId=%2Ftrade%2Fx&token=secret"
GONE = http("<html>下载超时，请重新下载</html>".encode(), headers="Content-Type: text/html\r\n")
BILL = http(bill_zip(SAMPLE, refund_line()))


def answered(node):
    return http(answer(node, name=NODE))


def serve(gateway, *files, node=None):
    """``gateway`` signs a URL of its own, and what lies there is each of ``files`` in turn."""
    url = gateway.url.replace("/gateway.do", PATH)
    said = answered(node or {"code": "10000", "msg": "Success", "bill_download_url": url})
    left = list(files)

    def play(caller):
        caller.read_request()
        posts = caller.server.requests[-1][0].startswith("POST")
        script = said if posts else left.pop(0)
        if callable(script):
            script(caller)
        else:
            caller.wfile.write(script)

    gateway.script = play


def rows_of(gateway, **how):
    return list(make(gateway_url=gateway.url).bill(DAY, **how))


def asked(gateway):
    """The first words of each request: which were posts to the gateway, which fetched a file."""
    return [head.split(" HTTP", 1)[0] for head, _ in gateway.requests]


def test_a_bill_is_asked_for_fetched_and_read(gateway):
    serve(gateway, BILL)
    told = []
    rows = rows_of(gateway, progress=lambda *numbers: told.append(numbers))
    assert [(row.kind, row.amount_fen, row.line) for row in rows] == [
        (BillKind.PAYMENT, 2000, 6),
        (BillKind.REFUND, 1700, 7),
    ]
    assert told[-1][0] == told[-1][1] > 500
    assert asked(gateway) == ["POST /gateway.do", f"GET {PATH}"]
    sent = dict(parse_qsl(gateway.requests[0][1], strict_parsing=True))
    signature = sent.pop("sign")
    assert signature == sign("&".join(f"{name}={sent[name]}" for name in sorted(sent)), by="app")
    assert sent["method"] == "alipay.data.dataservice.bill.downloadurl.query"
    assert json.loads(sent["biz_content"]) == {"bill_type": "trade", "bill_date": "2017-08-31"}


def test_nothing_is_asked_before_the_first_row_is_taken(gateway):
    serve(gateway, BILL)
    rows = make(gateway_url=gateway.url).bill(DAY)
    assert gateway.requests == []
    next(rows)
    assert len(gateway.requests) == 2
    rows.close()


# No bill


@pytest.mark.parametrize("word", ["isp.bill_not_exist", "BILL_NOT_EXIST", "NO_BILL_DATA", "isp.no_bill_data"])
@pytest.mark.parametrize("code", ["40004", "20000", "50000"])
def test_every_spelling_of_not_ready(gateway, word, code):
    for node in (refusal(code, word), {"code": word, "msg": "x"}):
        gateway.requests.clear()
        serve(gateway, node=node)
        with pytest.raises(BillNotReady) as caught:
            rows_of(gateway)
        assert caught.value.code == word
        assert asked(gateway) == ["POST /gateway.do"]


@pytest.mark.parametrize(
    "word", ["isv.invalid_arguments", "invalid_arguments", "INVAILID_ARGUMENTS", "BILL_DATE_BEFORE_REGISTRATION"]
)
def test_another_no_is_a_no(gateway, word):
    serve(gateway, node=refusal("40004", word))
    with pytest.raises(ProviderRejected) as caught:
        rows_of(gateway)
    assert (type(caught.value), caught.value.code) == (ProviderRejected, word)


@pytest.mark.parametrize(
    "node",
    [
        {"code": "10000", "msg": "Success"},
        {"code": "10000", "bill_download_url": ""},
        {"code": "10000", "bill_download_url": ["http://x/"]},
        {"code": "10000", "bill_download_url": "ftp://x/"},
        {"code": "10000", "bill_download_url": "/etc/passwd"},
        {"code": "10000", "bill_download_url": "file:///etc/passwd"},
        {"code": "10000", "bill_download_url": "http://a b/"},
        {"code": "10000", "bill_download_url": "http://127.0.0.1:9/课程"},
        refusal("40004", "isp.unknow-error"),
        refusal("20000", "UNKNOWN_ERROR"),
        {"sub_code": "x"},
    ],
)
def test_neither_a_url_nor_a_no_is_unknown(gateway, node):
    serve(gateway, node=node)
    with pytest.raises(ProviderUnavailable):
        rows_of(gateway)
    assert asked(gateway) == ["POST /gateway.do"]


def test_success_is_success_whatever_words_stand_beside_it(gateway):
    url = gateway.url.replace("/gateway.do", PATH)
    serve(gateway, BILL, node={"code": "10000", "sub_code": "isp.bill_not_exist", "bill_download_url": url})
    assert len(rows_of(gateway)) == 2


def test_a_url_that_is_not_signed_is_not_followed(gateway):
    url = gateway.url.replace("/gateway.do", PATH)
    gateway.script = http(answer({"code": "10000", "bill_download_url": url}, name=NODE, by="stranger"))
    with pytest.raises(ProviderUnavailable, match="signature is wrong"):
        rows_of(gateway)
    assert asked(gateway) == ["POST /gateway.do"]


# Fetching


ELSEWHERE = http(b"", status="302 Found", headers="Location: /elsewhere\r\n")
NOT_A_BILL = {
    "an expired page": GONE,
    "nothing": http(b""),
    "403": http(b"PK", status="403 Forbidden"),
    "a redirect": ELSEWHERE,
    "500": http(b"PK", status="500 Oops"),
}


@pytest.mark.parametrize("page", NOT_A_BILL.values(), ids=NOT_A_BILL)
def test_a_page_instead_of_the_file_asks_for_a_new_url_three_times_in_all(gateway, page):
    serve(gateway, page, page, BILL)
    assert len(rows_of(gateway)) == 2
    assert asked(gateway) == ["POST /gateway.do", f"GET {PATH}"] * 3
    gateway.requests.clear()
    serve(gateway, page, page, page, BILL)
    with pytest.raises(ProviderUnavailable, match="3 URLs for the bill, and no bill at any of them: HTTP "):
        rows_of(gateway)
    assert asked(gateway) == ["POST /gateway.do", f"GET {PATH}"] * 3


def test_of_a_longer_page_nothing_stays_in_the_file(gateway):
    serve(gateway, http(b"<html>" + b"x" * 100_000), BILL)
    assert len(rows_of(gateway)) == 2


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (http(b"x" * 5000).replace(b"5000", b"9000"), "the answer is cut short"),
        (http(b"x" * 100), "cut short"),
        (b"garbage\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_a_broken_transfer_is_unknown(gateway, script, reason):
    serve(gateway, script.replace(b"Content-Length: 100", b"Content-Length: 101"))
    with pytest.raises(ProviderUnavailable, match=reason) as caught:
        rows_of(gateway)
    assert not isinstance(caught.value, BillUnreadable)


def test_a_file_that_is_too_large_is_left(gateway, monkeypatch):
    monkeypatch.setattr(alipay_bill, "LARGEST_FILE", 500)
    serve(gateway, BILL)
    with pytest.raises(ProviderUnavailable, match="too large"):
        rows_of(gateway)


def drip(caller):
    caller.request.settimeout(60)
    caller.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\nPK")
    caller.send_until_caller_leaves(repeat(b"x", 200), pause=0.05)


def test_a_file_that_drips_is_left_at_the_deadline():
    with serving(b"") as gateway:
        serve(gateway, drip)
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match="no whole answer in time"):
            rows_of(gateway, deadline=0.5)
        assert time.monotonic() - began < 8
        assert gateway.caller_left.wait(20)


def test_no_time_at_all_is_no_call(gateway):
    serve(gateway, BILL)
    with pytest.raises(ProviderUnavailable, match="in time"):
        rows_of(gateway, deadline=0)
    assert gateway.requests == []


# What came


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (bill_zip(SAMPLE)[:-30], "the zip is broken"),
        (bill_zip(SAMPLE, end=None), "stops before its end"),
        (bill_zip(SAMPLE.replace("20.00", "20.0")), "line 6: an amount"),
        (b"PK\x05\x06" + b"\x00" * 18, "0 tables"),
    ],
)
def test_a_bill_that_cannot_be_read_is_unreadable_and_not_asked_for_again(gateway, file, reason):
    serve(gateway, http(file))
    with pytest.raises(BillUnreadable, match=reason):
        rows_of(gateway)
    assert len(gateway.requests) == 2


def test_the_file_is_gone_when_the_reader_stops(gateway, monkeypatch):
    files = []

    def noted(*args, **kwargs):
        files.append(tempfile.SpooledTemporaryFile(*args, **kwargs))  # noqa: SIM115
        return files[-1]

    monkeypatch.setattr(alipay_bill, "TemporaryFile", noted)
    serve(gateway, BILL)
    rows = make(gateway_url=gateway.url).bill(DAY)
    next(rows)
    assert [file.closed for file in files] == [False]
    rows.close()
    assert [file.closed for file in files] == [True]


def test_one_line_in_the_log_without_the_url(gateway, caplog):
    serve(gateway, BILL)
    with caplog.at_level(logging.DEBUG):
        rows_of(gateway)
    [line] = caplog.records
    assert line.getMessage().startswith("alipay.data.dataservice.bill.downloadurl.query 2017-08-31: ok (")


def test_codes_that_are_no_text_say_nothing_definite():
    with pytest.raises(ProviderUnavailable):
        alipay_bill.check_bill({"code": 40004, "sub_code": 7})
