"""Close, refund and refund query: whatever the gateway does, only a signed word on our own is believed."""

import json
import logging
import re
import socket
import time
from contextlib import closing, suppress
from itertools import repeat
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from alipay_world import (
    APP_ID,
    CALLS,
    CLOSED,
    FOUND_REFUND,
    NUMBER,
    PAID,
    QUERY_NODE,
    REFUND_NO,
    REFUNDED,
    answer,
    changed,
    http,
    make,
    no_signed_answers,
    refusal,
    serving,
    sign,
)

from backend.payments import providers
from backend.payments.providers.base import ProviderError, ProviderRejected, ProviderUnavailable

OTHER = "C20260131A_0002"

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def say(gateway, call, script, **how):
    """The outcome of ``call`` when the gateway plays ``script``; a dict is a node that it signs."""
    gateway.script = http(answer(script, name=call.node)) if isinstance(script, dict) else script
    return call.ask(make(gateway_url=gateway.url), **how)


@every_call
def test_a_signed_yes_is_a_yes_and_was_asked_for_once(gateway, call):
    assert say(gateway, call, call.yes) == call.outcome
    [(head, form)] = gateway.requests
    assert head.startswith("POST /gateway.do HTTP/1.1\r\n")
    sent = dict(parse_qsl(form, strict_parsing=True))
    signature = sent.pop("sign")
    assert signature == sign("&".join(f"{name}={sent[name]}" for name in sorted(sent)), by="app")
    assert json.loads(sent.pop("biz_content"))["out_trade_no"] == NUMBER
    assert sent == {
        "app_id": APP_ID,
        "method": call.method,
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": "2026-01-31 12:00:00",
        "version": "1.0",
    }


def test_what_each_call_asks_for(gateway):
    asked = {}
    for name, call in CALLS.items():
        gateway.requests.clear()
        say(gateway, call, call.yes)
        asked[name] = json.loads(dict(parse_qsl(gateway.requests[0][1]))["biz_content"])
    assert asked == {
        "close": {"out_trade_no": NUMBER},
        "refund": {"out_trade_no": NUMBER, "out_request_no": REFUND_NO, "refund_amount": "17.00"},
        "query_refund": {"out_trade_no": NUMBER, "out_request_no": REFUND_NO},
    }


def test_the_call_that_refunds_paid_trades_on_the_way_is_nowhere():
    [folder] = providers.__path__
    sources = list(Path(folder).glob("*.py"))
    assert len(sources) > 10
    assert [source.name for source in sources if "trade.cancel" in source.read_text("utf-8")] == []


# Unknown: no signed answer

NO_ANSWERS = [
    pytest.param(call, http(body), id=f"{name}-{what}")
    for name, call in CALLS.items()
    for what, body in no_signed_answers(call.yes, call.node).items()
]


@pytest.mark.parametrize(("call", "script"), NO_ANSWERS)
def test_what_is_no_signed_answer_leaves_the_outcome_unknown(gateway, call, script):
    with pytest.raises(ProviderUnavailable):
        say(gateway, call, script)
    assert len(gateway.requests) == 1


@every_call
@pytest.mark.parametrize("status", ["201 Created", "302 Found", "500 Oops", "502 Bad Gateway"])
def test_any_status_but_200_is_unknown_even_with_a_genuine_answer(gateway, call, status):
    body = http(answer(call.yes, name=call.node), status=status, headers=f"Location: {gateway.url}\r\n")
    with pytest.raises(ProviderUnavailable, match=f"HTTP {status[:3]}"):
        say(gateway, call, body)
    assert len(gateway.requests) == 1


@every_call
@pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{}"])
def test_what_is_no_http_is_unknown_and_not_sent_again(gateway, call, raw):
    with pytest.raises(ProviderUnavailable):
        say(gateway, call, raw)
    assert len(gateway.requests) == 1


@every_call
def test_of_a_hundred_megabytes_little_is_read(gateway, call):
    sent = []

    def flood(caller):
        caller.read_request()
        caller.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        caller.send_until_caller_leaves(sent.append(1) or b" " * 65536 for _ in range(1600))

    gateway.caller_left.clear()
    with pytest.raises(ProviderUnavailable, match="too large"):
        say(gateway, call, flood)
    assert gateway.caller_left.wait(5)
    assert len(sent) < 400  # what the system's own buffers hold


@every_call
def test_a_refused_connection_a_host_without_address_and_a_door_without_tls_are_unknown(gateway, call):
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = door.getsockname()[1]
    gateway.script = lambda caller: caller.wfile.write(caller.request.recv(4096) and b"HTTP/1.1 400 Bad\r\n\r\n")
    for url, reason in (
        (f"http://127.0.0.1:{port}/gateway.do", "ConnectionRefusedError"),
        ("http://gateway.invalid/gateway.do", "gaierror"),
        (gateway.url.replace("http", "https", 1), "SSL"),
    ):
        with pytest.raises(ProviderUnavailable, match=reason):
            call.ask(make(gateway_url=url))


# In time


def drip(caller):
    caller.request.settimeout(60)
    caller.read_request()
    caller.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
    caller.send_until_caller_leaves(repeat(b" ", 200), pause=0.05)


@every_call
def test_a_gateway_that_drips_is_left_at_the_deadline(call):
    with serving(drip) as gateway:
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match="no whole answer in time"):
            call.ask(make(gateway_url=gateway.url), deadline=0.3)
        assert 0.2 < time.monotonic() - began < 8
        assert gateway.caller_left.wait(20)


@every_call
def test_no_time_at_all_is_no_call(gateway, call):
    with pytest.raises(ProviderUnavailable, match="in time"):
        say(gateway, call, call.yes, deadline=0)
    assert gateway.requests == []


# Unknown: signed, but no word on what we asked

NO_WORD = {
    "another order's": {"out_trade_no": OTHER},
    "a number for the order": {"out_trade_no": 1},
    "a blank order": {"out_trade_no": ""},
    "no code": {"code": None},
    "a code that is a number": {"code": 10000},
    "a code that is a list": {"code": ["10000"]},
    "an unknown code": {"code": "10003"},
    "20000": refusal("20000", "isp.unknow-error"),
    "20000 with a word for a no": refusal("20000", "ACQ.TRADE_STATUS_ERROR"),
    "40005": refusal("40005", "isv.app-call-limited"),
    "ACQ.SYSTEM_ERROR": refusal("40004", "ACQ.SYSTEM_ERROR"),
    "AQC.SYSTEM_ERROR": refusal("40004", "AQC.SYSTEM_ERROR"),
    "SYSTEM_ERROR": refusal("40004", "SYSTEM_ERROR"),
    "isp": refusal("40004", "isp.bill_not_exist"),
    "another order's refusal": refusal("40004", "ACQ.TRADE_NOT_EXIST", out_trade_no=OTHER),
    "another order's changed status": refusal("40004", "ACQ.TRADE_STATUS_ERROR", out_trade_no=OTHER),
}


@every_call
@pytest.mark.parametrize("changes", NO_WORD.values(), ids=NO_WORD)
def test_a_signed_answer_without_a_definite_word_on_ours_is_unknown(gateway, call, changes):
    with pytest.raises(ProviderUnavailable):
        say(gateway, call, changed(call.yes, changes))


@every_call
@pytest.mark.parametrize("by", [QUERY_NODE, *(call.node for call in CALLS.values())])
def test_no_call_takes_the_answer_to_another(gateway, call, by):
    told = PAID | CLOSED | REFUNDED | FOUND_REFUND
    script = http(answer(told, name=by))
    if by == call.node:
        assert say(gateway, call, script) == call.outcome
        return
    with pytest.raises(ProviderUnavailable, match="unsigned"):
        say(gateway, call, script)


@every_call
@pytest.mark.parametrize("number", ["", "a-b", "x" * 33, None, "a\nb"])
def test_what_cannot_be_a_number_of_ours_is_not_asked(gateway, call, number):
    with pytest.raises(ProviderUnavailable, match="not asked"):
        say(gateway, call, call.yes, number=number)
    assert gateway.requests == []


@every_call
def test_a_fault_of_our_own_is_unknown_too(call, monkeypatch):
    alipay = make(gateway_url="http://127.0.0.1:9/gateway.do")
    monkeypatch.setattr(alipay._client, "build_body", lambda *_, **__: 1 / 0)
    with pytest.raises(ProviderUnavailable, match="ZeroDivisionError"):
        call.ask(alipay)


# A no of the gateway itself: of a close it is passed on, of a refund it settles nothing.


@every_call
@pytest.mark.parametrize(
    ("code", "sub_code"),
    [
        ("20001", "aop.invalid-auth-token"),
        ("40001", "isv.missing-signature"),
        ("40002", "isv.invalid-signature"),
        ("40003", "isv.missing-signature-config"),
        ("40004", "ACQ.SOMETHING_NEW"),
        ("40004", None),
        ("40006", "isv.insufficient-isv-permissions"),
    ],
)
def test_a_refusal_that_has_nothing_to_do_with_the_trade(gateway, call, code, sub_code):
    closes = call is CALLS["close"]
    with pytest.raises(
        ProviderRejected if closes else ProviderUnavailable, match=re.escape(sub_code or code)
    ) as caught:
        say(gateway, call, changed(refusal(code, sub_code), {}))
    if closes:
        assert (caught.value.code, caught.value.message) == (sub_code or code, "没有")


# The log


@pytest.mark.parametrize(
    ("name", "node", "said"),
    [
        ("close", CLOSED, "ok"),
        ("close", refusal("40004", "ACQ.TRADE_STATUS_ERROR"), "ACQ.TRADE_STATUS_ERROR"),
        ("refund", REFUNDED, "succeeded"),
        ("refund", REFUNDED | {"fund_change": "N"}, "not_seen"),
        ("refund", refusal("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH"), "ACQ.SELLER_BALANCE_NOT_ENOUGH"),
        ("refund", refusal("40004", "ACQ.SYSTEM_ERROR"), "unknown, no definite answer: 40004 ACQ.SYSTEM_ERROR"),
        ("query_refund", FOUND_REFUND, "succeeded"),
        ("query_refund", {"code": "10000", "msg": "Success"}, "not_seen"),
    ],
)
def test_one_line_for_each_call_with_all_its_numbers(gateway, caplog, name, node, said):
    call = CALLS[name]
    with caplog.at_level(logging.DEBUG), suppress(ProviderError):
        say(gateway, call, node)
    [line] = caplog.records
    numbers = NUMBER if name == "close" else f"{NUMBER} {REFUND_NO}"
    assert (line.name, line.levelno) == ("coursepay.alipay", logging.INFO)
    assert re.fullmatch(rf"{re.escape(call.method)} {numbers}: {re.escape(said)} \(\d+ ms\)", line.getMessage())
