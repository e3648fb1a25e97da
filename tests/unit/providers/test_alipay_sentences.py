"""What people read when something is refused: whole sentences, in the log, in the inbox and at start-up."""

import inspect
import logging
import re
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace

import pytest
from alipay_world import PEM, PKCS1, SPKI, build, form, http, key, make, notice, one_line, private_text, public_text
from bill_world import DETAIL, SAMPLE, bill_line, bill_lines, packed
from cryptography.hazmat.primitives.asymmetric import ec

from backend.payments.providers import alipay_client, alipay_http
from backend.payments.providers.alipay import Alipay
from backend.payments.providers.alipay_answer import (
    check_bound,
    check_names_trade,
    check_success,
    open_answer,
    plain_words,
    read_amount,
)
from backend.payments.providers.alipay_bill import bill_url, check_bill
from backend.payments.providers.alipay_bill_file import read_lines
from backend.payments.providers.alipay_bill_table import read_rows
from backend.payments.providers.alipay_keys import load_private_key, load_public_key, load_public_keys
from backend.payments.providers.alipay_options import check_ids, check_urls
from backend.payments.providers.alipay_refund import found_refund, refund_content, refund_numbers, refunded
from backend.payments.providers.alipay_refusals import refused_refund
from backend.payments.providers.alipay_trades import queried_trade, trade_number
from backend.payments.providers.alipay_values import beijing_text
from backend.payments.providers.base import (
    BillUnreadable,
    MessageRefused,
    PayRequest,
    Provider,
    ProviderRejected,
    ProviderUnavailable,
    RefundRequest,
    TradeNotFound,
)
from backend.payments.providers.bill import BillKind
from tests.shop import params_of

OURS = RefundRequest("o1", "r1", 1000)
DONE = {"refund_status": "REFUND_SUCCESS", "out_trade_no": "o1", "out_request_no": "r1", "refund_amount": "10.00"}
NEEDED = "业务类型, 支付宝交易号, 商户订单号, 退款批次号/请求号, 订单金额(元), 服务费(元), 完成时间"
MOVED = {"out_trade_no": "o1", "fund_change": "Y"}


def sentence(kind, work):
    with pytest.raises(kind) as refusal:
        work()
    assert type(refusal.value) is kind
    return str(refusal.value)


# --- Start-up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "the app's private key cannot be read: give an RSA key as PEM, or as the base64 line of Alipay's key tool",
        ),
        ("钥", "the app's private key is neither PEM nor one line of base64: copy it again, whole"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            "the app's private key is protected by a passphrase: store it without one, readable by the shop alone",
        ),
        (
            "-----BEGIN PRIVATE KEY-----",
            "the app's private key must be exactly one PEM block, with its BEGIN and END lines: one key in each file",
        ),
        (
            "-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----",
            "the app's private key is a certificate: this adapter speaks the public-key mode, give the key itself",
        ),
    ],
)
def test_a_private_key(text, said):
    assert sentence(ValueError, lambda: load_private_key(text)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            (
                "Alipay's public key cannot be read: copy it whole from the app's page in the open platform, as PEM or"
                " as one base64 line"
            ),
        ),
        ("钥", "Alipay's public key is neither PEM nor one line of base64: copy it again, whole"),
        (
            "-----BEGIN PUBLIC KEY-----",
            "Alipay's public key must be exactly one PEM block, with its BEGIN and END lines: one key in each file",
        ),
    ],
)
def test_a_public_key(text, said):
    assert sentence(ValueError, lambda: load_public_key(text)) == said


def test_keys_that_are_in_each_others_place_or_too_short():
    assert sentence(ValueError, lambda: load_private_key(public_text())) == (
        "a public key stands where the app's private key belongs: give the private key of the pair"
    )
    assert sentence(ValueError, lambda: load_public_key(one_line(private_text(shape=PKCS1)))) == (
        "a private key stands where Alipay's public key belongs: copy Alipay's public key from the app's page in the"
        " open platform"
    )
    assert sentence(ValueError, lambda: load_private_key(private_text("short"))) == (
        "the app's private key has 1024 bits: make a pair of at least 2048 bits and upload it anew"
    )
    assert sentence(ValueError, lambda: load_public_key(public_text("short"))) == (
        "Alipay's public key has 1024 bits: make a pair of at least 2048 bits and upload it anew"
    )
    assert sentence(ValueError, lambda: load_public_keys([public_text("app")], key("app"))) == (
        "the app's own public key is configured as Alipay's: no answer would ever verify. The open platform shows both;"
        " copy the one named Alipay public key"
    )
    assert sentence(ValueError, lambda: load_public_keys([], key("app"))) == (
        "alipay_public_keys is a list of one or more keys, each the text of one key"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://x.test/", "u must be an absolute http or https URL"),
        ("http://", "u must be an absolute http or https URL"),
        ("http://a@x.test/", "u must be an absolute http or https URL"),
        ("http://x.test:0/", "u must be an absolute http or https URL"),
        (
            "http://x.test/?a",
            "u must be plain ASCII without a query or fragment: Alipay adds its own parameters",
        ),
        ("http://x.test/" + "a" * 243, "u has 257 characters, Alipay takes 256"),
    ],
)
def test_a_url(url, said):
    assert sentence(ValueError, lambda: check_urls(u=url)) == said


def test_urls_and_ids_that_are_good():
    check_urls(a="http://x.test/" + "a" * 242, b="https://x.test:8443/pay")
    check_ids(app_id="1")
    assert sentence(ValueError, lambda: check_ids(app_id="1a")) == (
        "app_id must be digits only: copy it from the app's page in the open platform"
    )


def test_a_line_of_base64_is_read_strictly_but_for_what_editors_put_around_it():
    line = one_line(public_text())
    assert load_public_key(f"\ufeff {line}\r\n").public_numbers() == key("alipay").public_key().public_numbers()
    assert sentence(ValueError, lambda: load_public_key(line[:50] + "!" + line[50:])) == (
        "Alipay's public key is neither PEM nor one line of base64: copy it again, whole"
    )


def test_a_public_key_of_another_kind():
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = other.public_bytes(PEM, SPKI).decode()
    assert sentence(ValueError, lambda: load_public_key(text)).startswith("Alipay's public key cannot be read")


# --- Before a call ----------------------------------------------------------------------------------------------------


def test_what_is_not_asked():
    assert sentence(ProviderUnavailable, lambda: trade_number("a-b")) == "not asked: no number of ours looks like this"
    assert sentence(ProviderUnavailable, lambda: refund_numbers(RefundRequest("o1", "a-b", 1))) == (
        "not asked: no refund number of ours looks like this"
    )
    assert sentence(ProviderUnavailable, lambda: refund_content(RefundRequest("o1", "r1", 0))) == (
        "not asked: a refund is 1 fen or more"
    )
    assert sentence(ProviderUnavailable, lambda: refund_content(RefundRequest("o1", "r1", 10**11))) == (
        "not asked: more than any trade of Alipay's"
    )
    assert sentence(ValueError, lambda: beijing_text(datetime(2026, 1, 1))) == (  # noqa: DTZ001
        "a time without an offset cannot be told to Alipay"
    )


@pytest.mark.parametrize(
    ("number", "fen", "said"),
    [
        ("a-b", 1, "out_trade_no must be 1 to 32 ASCII letters, digits or underscores"),
        ("o1", 0, "Alipay takes no payment under 1 fen"),
    ],
)
def test_what_no_url_is_signed_for(number, fen, said):
    request = PayRequest(number, fen, "x", datetime(2026, 1, 31, tzinfo=UTC))
    assert sentence(ValueError, lambda: make().pay(request)) == said


# --- Answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"trade_no": "", "trade_status": "x"}, "an answer without a trade number or a status"),
        ({"trade_no": "t" * 65, "trade_status": "x"}, "an answer without a trade number or a status"),
        ({"trade_no": "t"}, "an answer without a trade number or a status"),
        ({"trade_no": "t", "trade_status": "x"}, "an answer without a readable amount"),
    ],
)
def test_of_a_trade(node, said):
    assert sentence(ProviderUnavailable, lambda: queried_trade({"out_trade_no": "o1"} | node, "o1")) == said


@pytest.mark.parametrize("trade_no", ["t", "t" * 64])
def test_a_trade_number_of_1_to_64_characters(trade_no):
    node = {"out_trade_no": "o1", "trade_no": trade_no, "trade_status": "TRADE_SUCCESS", "total_amount": "0.01"}
    assert queried_trade(node, "o1").trade_no == trade_no


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"refund_status": "?"}, "an answer with a status of refunds that we do not know"),
        ({"out_trade_no": "o2"}, "an answer that does not say which trade it is about"),
        ({"out_request_no": "r2"}, "an answer that does not say which refund it is about"),
        ({"refund_amount": "10.01"}, "an answer about a refund of another amount"),
    ],
)
def test_of_a_refund_that_was_asked_about(change, said):
    assert sentence(ProviderUnavailable, lambda: found_refund(DONE | change, OURS)) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fund_change": "?"}, "an answer that does not say whether the money moved"),
        ({"refund_fee": "9.99"}, "an answer in which less is refunded in all than this refund"),
    ],
)
def test_of_a_refund(change, said):
    assert sentence(ProviderUnavailable, lambda: refunded(MOVED | change, OURS)) == said


def test_of_a_refusal():
    refusal = ProviderRejected("ACQ.NEW_WORD", "m")
    assert sentence(ProviderUnavailable, lambda: refused_refund(refusal)) == (
        "a refusal that does not settle the refund: ACQ.NEW_WORD"
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff", "not an answer: UnicodeDecodeError"),
        (b"<html>", "not an answer: ValueError"),
        (b'{"m_response":{}}', "an unsigned answer, which proves nothing"),
        (b'{"m_response":{},"sign":""}', "an unsigned answer, which proves nothing"),
        (b'{"m_response":[],"sign":"s"}', "an unsigned answer, which proves nothing"),
        (b'{"sign":"s"}', "an unsigned answer, which proves nothing"),
        (
            b'{"error_response":{"code":"40002","sub_code":"isv.invalid-app-id"}}',
            "an unsigned answer, which proves nothing (40002 isv.invalid-app-id)",
        ),
        (b'{"m_response":{},"sign":"s"}', "the answer's signature is wrong"),
        (b'{"m_response":{"a":123456789012345678},"sign":"s"}', "the answer's signature is wrong"),
        (b'{"m_response":{"a":1234567890123456789},"sign":"s"}', "not an answer: ValueError"),
        (b'{"m_response":{},"sign":"s"}x', "not an answer: ValueError"),
    ],
)
def test_of_an_answer_that_proves_nothing(raw, said):
    assert sentence(ProviderUnavailable, lambda: open_answer(raw, "m", lambda *_: False)) == said


def test_of_an_answer_to_another():
    assert sentence(ProviderUnavailable, lambda: check_bound({"out_trade_no": "a"}, {"out_trade_no": "b"})) == (
        "an answer to another request: its out_trade_no is not ours"
    )
    assert sentence(ProviderUnavailable, lambda: check_names_trade({}, "o1")) == (
        "an answer that does not say which trade it is about"
    )
    assert sentence(ProviderUnavailable, lambda: read_amount({"a": "1"}, "a")) == "an answer without a readable amount"


@pytest.mark.parametrize(
    ("node", "kind", "said"),
    [
        ({"code": "20000", "sub_code": "isp.x"}, ProviderUnavailable, "no definite answer: 20000 isp.x"),
        ({"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}, ProviderUnavailable,
         "no definite answer: 40004 ACQ.SYSTEM_ERROR"),
        ({}, ProviderUnavailable, "no definite answer: "),
        ({"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST", "sub_msg": "没有"}, TradeNotFound,
         "ACQ.TRADE_NOT_EXIST: 没有"),
        ({"code": "40004", "msg": "Business Failed"}, ProviderRejected, "40004: Business Failed"),
        ({"code": "40006", "sub_code": "isv.no", "msg": "M", "sub_msg": "S"}, ProviderRejected, "isv.no: S"),
    ],
)  # fmt: skip
def test_of_an_answer_that_is_no_success(node, kind, said):
    assert sentence(kind, lambda: check_success(node)) == said


def test_only_words_that_look_like_codes_stand_in_a_log():
    assert plain_words("a.B-1_", None, "no\nline", "", "x" * 64, "x" * 65, 7) == f"a.B-1_ {'x' * 64}"


def test_of_a_bill():
    assert sentence(ProviderUnavailable, lambda: bill_url({})) == "an answer without the bill's URL"
    assert sentence(ProviderRejected, lambda: check_bill({"code": "40006", "sub_code": "isv.no", "sub_msg": "S"})) == (
        "isv.no: S"
    )


def rows_of(*rows, **how):
    return list(read_rows([bill_lines(*rows, **how)]))


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: rows_of(SAMPLE, end=None), "the table stops before its end"),
        (lambda: list(read_rows([["#"]])), "the table has no names of columns"),
        (lambda: list(read_rows([["a,b"]])), f"line 1: not one column each of {NEEDED}"),
        (lambda: rows_of(bill_line(订单金额="-0.01")), "line 6: a payment below zero"),
        (lambda: rows_of(bill_line(支付宝交易号="1" * 193)), "line 6: no number of a trade or refund looks like this"),
        (lambda: list(read_lines(BytesIO(packed([(DETAIL, b"x")], zipfile.ZIP_LZMA)))),
         "the table is packed in a way that bills are not"),
        (lambda: list(read_lines(BytesIO(packed([(DETAIL, b"x" * 200_000)])))), "a line is too long"),
        (lambda: list(read_lines(BytesIO(packed([(DETAIL, b"\xff\n")])))), "line 1: not GBK"),
        (lambda: list(read_lines(BytesIO(packed([])))), "the zip has 0 tables of trades, not one"),
    ],
)  # fmt: skip
def test_of_a_bill_that_cannot_be_read(work, said):
    assert sentence(BillUnreadable, work) == said


def test_a_payment_of_nothing_is_a_row():
    (row,) = rows_of(bill_line(订单金额="0.00"))
    assert (row.kind, row.amount_fen) == (BillKind.PAYMENT, 0)


# --- The wire ---------------------------------------------------------------------------------------------------------


def test_of_a_call_that_fails(monkeypatch):
    def failing(error):
        def post(*args, **more):
            raise error

        monkeypatch.setattr(alipay_http, "post", post)
        return sentence(ProviderUnavailable, lambda: alipay_http.post_form("http://x.test/", "a=b", deadline=1))

    assert failing(TimeoutError()) == "no whole answer in time"
    assert failing(alipay_http.HttpError("cut")) == "the call failed: cut"
    assert failing(ConnectionRefusedError("x")) == "the call failed: ConnectionRefusedError"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (http(b"{}", status="500 Internal Server Error"), "HTTP 500"),
        (http(b"x" * (64 * 1024 + 1)), "the answer is too large"),
    ],
    ids=["a status", "its size"],
)
def test_of_an_answer_that_is_none(gateway, script, said):
    gateway.script = script
    assert sentence(ProviderUnavailable, lambda: alipay_http.post_form(gateway.url, "a=b", deadline=5)) == said


def test_an_answer_of_64_kib_is_taken(gateway):
    gateway.script = http(b"x" * (64 * 1024))
    assert len(alipay_http.post_form(gateway.url, "a=b", deadline=5)) == 64 * 1024


# --- What goes along with a refusal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"trade_status": "S" * 99}, "unknown_status", "S" * 32),
        ({"seller_id": "2088"}, "wrong_seller", ""),
        ({"app_id": "1"}, "wrong_app", ""),
        ({"subject": "&a=b"}, "foreign_text", "a field carries another's text"),
        ({"total_amount": "1e2"}, "bad_amount", "total_amount"),
        ({"refund_fee": "1"}, "bad_amount", "refund_fee"),
        ({"notify_type": "x"}, "wrong_type", "notify_type is not trade_status_sync"),
        ({"notify_id": None}, "missing_field", "notify_id"),
        ({"notify_id": "n" * 129}, "malformed", "notify_id is longer than 128"),
        ({"charset": "gbk"}, "malformed", "a charset other than utf-8"),
    ],
)
def test_a_refused_notify_names_its_fault_and_brings_its_fields(alipay, change, reason, detail):
    fields = notice(**change)
    with pytest.raises(MessageRefused) as refusal:
        alipay.parse_notification(form(fields), {})
    assert (refusal.value.reason, refusal.value.detail) == (reason, detail)
    assert refusal.value.fields == fields


def test_a_notify_signed_in_another_way_brings_its_fields_too(alipay):
    fields = notice() | {"sign_type": "RSA"}
    with pytest.raises(MessageRefused) as refusal:
        alipay.parse_notification(form(fields), {})
    assert (refusal.value.detail, refusal.value.fields) == ("sign_type is not RSA2", fields)


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        (b"x" * (16 * 1024 + 1), "too_large", "16385 bytes"),
        (b"a=%zz", "malformed", "ValueError"),
        (b"a=\xff", "malformed", "UnicodeDecodeError"),
        (b"a=%00", "malformed", "a control character"),
        (b"a=1&a=1", "duplicate_field", ""),
    ],
)
def test_a_body_that_is_no_form(alipay, body, reason, detail):
    with pytest.raises(MessageRefused) as refusal:
        alipay.parse_notification(body, {})
    assert (refusal.value.reason, refusal.value.detail, refusal.value.fields) == (reason, detail, {})


@pytest.mark.parametrize(("count", "reason"), [(100, "missing_field"), (101, "malformed")])
def test_a_form_has_a_hundred_fields_at_the_most(alipay, count, reason):
    with pytest.raises(MessageRefused) as refusal:
        alipay.parse_notification("&".join(f"f{n}=1" for n in range(count)).encode(), {})
    assert refusal.value.reason == reason


@pytest.mark.parametrize("header", ["text/html; CHARSET=GBK", 'x; charset="gbk"', "x; Charset = gb2312"])
def test_a_charset_in_any_spelling_of_the_word_is_seen(alipay, header):
    with pytest.raises(MessageRefused, match="a charset other than utf-8"):
        alipay.parse_notification(form(notice()), {"Content-Type": header})


@pytest.mark.parametrize("charset", ["UTF-8", "utf8", "utf-8"])
def test_every_spelling_of_utf_8_is_taken(alipay, charset):
    body = form(notice(charset=charset))
    assert alipay.parse_notification(body, {"content-type": f"x; charset={charset}"}).trade.amount_fen == 11700


def test_escapes_in_small_letters_and_names_in_capitals_are_taken(alipay):
    fields = notice(Extra_Field="1", subject="课程")
    small = re.sub(rb"%[0-9A-F]{2}", lambda match: match[0].lower(), form(fields))
    assert small != form(fields)
    assert alipay.parse_notification(small, {}).trade.amount_fen == 11700


def test_a_refund_is_known_by_its_sum_alone(alipay):
    trade = alipay.parse_notification(form(notice(refund_fee="1.00", out_biz_no="r1")), {}).trade
    assert (trade.refunded_fen, trade.refund_request_no) == (100, "r1")


# --- What it is set up with -------------------------------------------------------------------------------------------


def test_both_addresses_of_the_shop_are_in_the_url():
    shop = build(notify_url="http://shop.test/n", return_url="http://shop.test/r")
    request = PayRequest("o1", 1, "x", datetime(2026, 1, 31, tzinfo=UTC))
    params = params_of(shop.pay(request))
    assert (params["notify_url"], params["return_url"]) == ("http://shop.test/n", "http://shop.test/r")
    assert shop.name == "alipay"


@pytest.mark.parametrize(
    ("call", "seconds"), [("query", 10), ("close", 10), ("refund", 10), ("query_refund", 10), ("bill", 600)]
)
def test_a_call_is_given_the_time_that_the_contract_says(call, seconds):
    """The leases of the jobs are reckoned from it."""
    for of in (Alipay, Provider):
        assert inspect.signature(getattr(of, call)).parameters["deadline"].default == seconds


def test_the_log_tells_how_long_a_call_took(alipay, monkeypatch, caplog):
    times = iter([100.0, 104.0])
    monkeypatch.setattr("backend.payments.providers.alipay.time", SimpleNamespace(monotonic=lambda: next(times)))
    monkeypatch.setattr(alipay, "_ask", lambda *args: 1 / 0)
    with caplog.at_level("INFO"), pytest.raises(ProviderUnavailable, match=r"^the call broke off: ZeroDivisionError$"):
        alipay.query("o1")
    assert caplog.messages == ["alipay.trade.query o1: unknown, ZeroDivisionError (4000 ms)"]
    assert [record.name for record in caplog.records] == ["coursepay.alipay"]


def test_the_sdk_logs_nothing_of_its_own():
    """Its debug lines are whole signed strings."""
    log = alipay_client._sdk_log
    assert (log.name, log.handlers, log.level) == ("python-alipay-sdk", [], logging.WARNING)
