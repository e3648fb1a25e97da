"""Asking Alipay: whatever the gateway does, the outcome is a yes, a no, or unknown, and in time."""

import ipaddress
import json
import logging
import re
import socket
import ssl
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import repeat
from urllib.parse import parse_qsl

import pytest
from alipay_world import (
    APP_ID,
    NUMBER,
    PAID,
    PEM,
    PKCS8,
    QUERY_NODE,
    TRADE_NO,
    answer,
    changed,
    http,
    key,
    make,
    no_signed_answers,
    public_text,
    refusal,
    serving,
    sign,
    vector,
    wire,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import http_client
from backend.payments.providers.alipay_answer import check_success, open_answer
from backend.payments.providers.alipay_client import AlipayClient
from backend.payments.providers.alipay_keys import load_public_key
from backend.payments.providers.base import (
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    Trade,
    TradeNotFound,
    TradeState,
)

TRADE = Trade("alipay", NUMBER, TRADE_NO, TradeState.PAID, 11700, datetime(2026, 1, 31, 4, 0, 10, tzinfo=UTC))
METHOD = "alipay.trade.query"


def ask(script, *, deadline=5.0, **settings_):
    """The outcome of a query that a gateway answers with ``script``."""
    with serving(script) as gateway:
        return make(gateway_url=gateway.url, **settings_).query(NUMBER, deadline=deadline)


def ask_body(body):
    return ask(http(body))


# Yes


def test_a_paid_trade():
    assert ask_body(answer(PAID)) == TRADE


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("TRADE_SUCCESS", TradeState.PAID),
        ("TRADE_FINISHED", TradeState.PAID),
        ("TRADE_CLOSED", TradeState.CLOSED),
        ("WAIT_BUYER_PAY", TradeState.PENDING),
        ("TRADE_SOMETHING_NEW", TradeState.PENDING),
    ],
)
def test_every_status(word, state):
    assert ask_body(answer(PAID | {"trade_status": word})).state is state


def test_an_unpaid_trade_has_no_time_of_payment():
    waiting = changed(PAID, {"trade_status": "WAIT_BUYER_PAY", "send_pay_date": None})
    assert ask_body(answer(waiting)).paid_at is None


def test_the_request_is_a_signed_form_with_nothing_in_the_url():
    with serving(http(answer(PAID))) as gateway:
        make(gateway_url=gateway.url).query(NUMBER)
    [(head, form)] = gateway.requests
    assert head.startswith("POST /gateway.do HTTP/1.1\r\n")
    assert "\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n" in head
    sent = dict(parse_qsl(form, strict_parsing=True))
    signature = sent.pop("sign")
    assert sent == {
        "app_id": APP_ID,
        "method": METHOD,
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": "2026-01-31 12:00:00",
        "version": "1.0",
        "biz_content": json.dumps({"out_trade_no": NUMBER}, separators=(",", ":")),
    }
    assert signature == sign("&".join(f"{name}={sent[name]}" for name in sorted(sent)), by="app")


SIGNATURE = sign(wire(PAID))
SHAPES = {
    "the sign first": f'{{"sign":"{SIGNATURE}","{QUERY_NODE}":{wire(PAID)}}}',
    "white space": f' {{ "{QUERY_NODE}"\t:\n{wire(PAID)} ,\r\n "sign" : "{SIGNATURE}" }} \n',
    "a certificate's number": f'{{"{QUERY_NODE}":{wire(PAID)},"alipay_cert_sn":"abc","sign":"{SIGNATURE}"}}',
    "escapes in a name": f'{{"{QUERY_NODE}":{wire(PAID)},"\\u0073ign":"{SIGNATURE}"}}',
    "escapes in the sign": f'{{"{QUERY_NODE}":{wire(PAID)},"sign":"{SIGNATURE.replace("/", chr(92) + "/")}"}}',
    "a lone brace in a string": answer(PAID | {"subject": "a}b{{c"}).decode(),
    "an escaped quote and brace in a string": answer(PAID | {"subject": 'a\\"}'}).decode(),
    "letters beyond ASCII before the node": f'{{"注":"𝄞课程","{QUERY_NODE}":{wire(PAID)},"sign":"{SIGNATURE}"}}',
    "the node's text in a string": answer(PAID | {"body": f'"{QUERY_NODE}":{{"code":"1"}},"sign":"x"'}).decode(),
    "lists in the node": answer(PAID | {"fund_bill_list": [{"amount": "1.00"}, {"amount": "2.00"}]}).decode(),
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_the_signed_text_is_found_wherever_it_stands(text):
    assert ask_body(text.encode()) == TRADE


def test_an_answer_in_chunks():
    body = answer(PAID)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:])) + b"0\r\n\r\n"
    assert ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) == TRADE


def test_an_answer_that_ends_with_the_connection():
    assert ask(b"HTTP/1.0 200 OK\r\n\r\n" + answer(PAID)) == TRADE


@pytest.mark.parametrize("by", ["alipay", "old"])
def test_during_a_rotation_answers_of_both_keys_count(by):
    trade = ask(http(answer(PAID, by=by)), alipay_public_keys=[public_text("old"), public_text("alipay")])
    assert trade == TRADE


def client_of(sample):
    keys = [load_public_key(sample["alipay_public_key_pem"])]
    return AlipayClient(app_id=APP_ID, private_key=key("app"), public_keys=keys, gateway="http://x.test/")


def test_the_vector_of_a_real_answer():
    sample = vector("yansongda_resp_trade_query")
    node = open_answer(sample["raw_body"].encode(), METHOD, client_of(sample).verify_bytes)
    assert node == json.loads(sample["signed_content"])
    with serving(http(sample["raw_body"].encode())) as gateway:
        alipay = make(gateway_url=gateway.url, alipay_public_keys=[sample["alipay_public_key_pem"]])
        trade = alipay.query("1703141270")
        with pytest.raises(ProviderUnavailable, match="another request"):
            alipay.query("1703141271")
    assert (trade.amount_fen, trade.trade_no, trade.state) == (1, "2023122122001499160501586202", TradeState.PAID)


def test_the_vector_of_a_signed_refusal_in_chinese():
    sample = vector("node_resp_40003_signed_error")
    method = sample["response_node"].removesuffix("_response").replace("_", ".")
    node = open_answer(sample["raw_body"].encode(), method, client_of(sample).verify_bytes)
    with pytest.raises(ProviderRejected) as caught:
        check_success(node)
    assert (caught.value.code, caught.value.message) == ("isv.decryption-error-unknown", "解密出错, 未知错误")
    altered = sample["raw_body"].replace("40003", "40004").encode()
    with pytest.raises(ProviderUnavailable, match="signature is wrong"):
        open_answer(altered, method, client_of(sample).verify_bytes)


# No


@pytest.mark.parametrize("more", [{}, {"out_trade_no": NUMBER}])
def test_no_such_trade(more):
    with pytest.raises(TradeNotFound) as caught:
        ask_body(answer(refusal("40004", "ACQ.TRADE_NOT_EXIST", **more)))
    assert (caught.value.code, caught.value.message) == ("ACQ.TRADE_NOT_EXIST", "没有")


@pytest.mark.parametrize(
    ("code", "sub_code"),
    [
        ("40004", "ACQ.INVALID_PARAMETER"),
        ("40004", "ACQ.TRADE_STATUS_ERROR"),
        ("40006", "isv.insufficient-isv-permissions"),
        ("40002", "isv.invalid-signature"),
        ("20001", "aop.invalid-auth-token"),
    ],
)
def test_a_signed_refusal(code, sub_code):
    with pytest.raises(ProviderRejected) as caught:
        ask_body(answer(refusal(code, sub_code)))
    assert type(caught.value) is ProviderRejected
    assert (caught.value.code, caught.value.message) == (sub_code, "没有")


def test_a_refusal_without_sub_words():
    with pytest.raises(ProviderRejected) as caught:
        ask_body(answer({"code": "40006", "msg": "Insufficient Permissions", "sub_code": None}))
    assert (caught.value.code, caught.value.message) == ("40006", "Insufficient Permissions")


# Unknown

NOT_A_SIGNED_ANSWER = no_signed_answers(PAID, QUERY_NODE)


@pytest.mark.parametrize("body", NOT_A_SIGNED_ANSWER.values(), ids=NOT_A_SIGNED_ANSWER)
def test_what_is_no_signed_answer_leaves_the_outcome_unknown(body):
    with pytest.raises(ProviderUnavailable):
        ask_body(body)


SIGNED_BUT_UNUSABLE = {
    "another order's": PAID | {"out_trade_no": "C20260131A_0002"},
    "no order's": changed(PAID, {"out_trade_no": None}),
    "a blank order's": PAID | {"out_trade_no": ""},
    "another order's refusal": refusal("40004", "ACQ.TRADE_NOT_EXIST", out_trade_no="C20260131A_0002"),
    "a number for the order": PAID | {"out_trade_no": 1},
    "no trade number": changed(PAID, {"trade_no": None}),
    "a blank trade number": PAID | {"trade_no": " "},
    "an endless trade number": PAID | {"trade_no": "1" * 65},
    "a trade number that is a number": PAID | {"trade_no": 1},
    "no status": changed(PAID, {"trade_status": None}),
    "a status that is a list": PAID | {"trade_status": ["TRADE_SUCCESS"]},
    "no amount": changed(PAID, {"total_amount": None}),
    **{
        f"the amount {amount!r}": PAID | {"total_amount": amount}
        for amount in (117, True, [], "117", "1e2", "１.00", "")
    },
    "no code": changed(PAID, {"code": None}),
    "a code that is a number": PAID | {"code": 10000},
    "a code that is a list": PAID | {"code": ["10000"]},
    "an unknown code": PAID | {"code": "10003"},
    "20000": refusal("20000", "isp.unknow-error"),
    "40005": refusal("40005", "isv.app-call-limited"),
    "ACQ.SYSTEM_ERROR": refusal("40004", "ACQ.SYSTEM_ERROR"),
    "AQC.SYSTEM_ERROR": refusal("40004", "AQC.SYSTEM_ERROR"),
    "isp": refusal("40004", "isp.bill_not_exist"),
}


@pytest.mark.parametrize("node", SIGNED_BUT_UNUSABLE.values(), ids=SIGNED_BUT_UNUSABLE)
def test_a_signed_answer_that_says_nothing_definite_of_our_trade(node):
    with pytest.raises(ProviderUnavailable):
        ask_body(answer(node))


def test_nesting_deeper_than_the_reader_is_no_answer(alipay):
    with pytest.raises(ProviderUnavailable, match="RecursionError"):
        open_answer(b'{"a":' + b"[" * 60_000, METHOD, alipay._client.verify_bytes)


def test_an_unsigned_refusal_tells_the_operator_its_code_but_no_foreign_text():
    body = b'{"error_response":{"code":"40002","sub_code":"isv.invalid-app-id","sub_msg":"<b>"}}'
    with pytest.raises(ProviderUnavailable, match=re.escape("(40002 isv.invalid-app-id)")) as caught:
        ask_body(body)
    assert "<b>" not in str(caught.value)
    with pytest.raises(ProviderUnavailable) as caught:
        ask_body(b'{"error_response":{"code":"a\\nb"}}')
    assert str(caught.value) == "an unsigned answer, which proves nothing"


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "400 Bad", "500 Oops", "502 Bad Gateway"])
def test_any_status_but_200_is_unknown_even_with_a_genuine_answer(status):
    with pytest.raises(ProviderUnavailable, match=f"HTTP {status[:3]}"):
        ask(http(answer(PAID), status=status))


def test_no_redirect_is_followed():
    with serving(http(answer(PAID))) as elsewhere:
        with pytest.raises(ProviderUnavailable, match="HTTP 302"):
            ask(http(b"", status="302 Found", headers=f"Location: {elsewhere.url}\r\n"))
        assert elsewhere.requests == []


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    with serving(http(answer(PAID | {"total_amount": "1.00"}))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask_body(answer(PAID)) == TRADE
        assert proxy.requests == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
)
def test_what_is_no_http_is_unknown(raw):
    with pytest.raises(ProviderUnavailable):
        ask(raw)


@pytest.mark.parametrize("length", ["Content-Length: 104857600\r\n", "Transfer-Encoding: chunked\r\n", ""])
def test_of_a_hundred_megabytes_little_is_read(length):
    sent = []

    def flood(caller):
        caller.read_request()
        caller.request.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
        block = b"10000\r\n" + b" " * 65536 + b"\r\n"
        caller.send_until_caller_leaves(sent.append(1) or block for _ in range(1600))

    with serving(flood) as gateway:
        with pytest.raises(ProviderUnavailable):
            make(gateway_url=gateway.url).query(NUMBER)
        assert gateway.caller_left.wait(5)
    assert len(sent) < 400  # what the system's own buffers hold


def answers_of_size(size):
    padding = size - len(http(answer(PAID | {"body": ""})))
    body = answer(PAID | {"body": "x" * padding})
    return http(body)


def test_the_size_limit_is_64_kib():
    fits = answers_of_size(64 * 1024 - 100)
    assert ask(fits) == TRADE
    with pytest.raises(ProviderUnavailable, match="too large"):
        ask(answers_of_size(64 * 1024 + 100))
    with pytest.raises(ProviderUnavailable, match="too large"):
        ask_body(answer(PAID) + b" " * 64 * 1024)


def test_a_refused_connection_is_unknown():
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = door.getsockname()[1]
    with pytest.raises(ProviderUnavailable, match="ConnectionRefusedError"):
        make(gateway_url=f"http://127.0.0.1:{port}/gateway.do").query(NUMBER)


def test_a_host_without_an_address_is_unknown():
    with pytest.raises(ProviderUnavailable, match="gaierror"):
        make(gateway_url="http://gateway.invalid/gateway.do").query(NUMBER)


def test_the_next_address_is_tried_when_the_first_refuses(monkeypatch):
    with serving(http(answer(PAID))) as gateway, closing(socket.create_server(("127.0.0.2", 0))) as door:
        dead, live = door.getsockname(), ("127.0.0.1", gateway.server_address[1])
        door.close()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (dead, live)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert make(gateway_url="http://gateway.test/gateway.do").query(NUMBER) == TRADE


# In time: the server itself sees that the caller gave up, long before it had said all.


def drip(head, pieces):
    def script(caller):
        caller.read_request()
        caller.request.sendall(head)
        caller.send_until_caller_leaves(pieces, pause=0.05)

    return script


def listen_only(caller):
    """Takes what comes and says nothing, till the caller has gone."""
    while caller.request.recv(4096):
        pass
    caller.server.caller_left.set()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"
SLOW = {
    "silence": listen_only,
    "a head that drips": drip(b"HTTP/1.1 200 OK\r\nX: ", repeat(b"x", 200)),
    "a status line that drips": drip(b"", repeat(b"H", 200)),
    "a body that drips": drip(HEAD, repeat(b" ", 200)),
    "chunks that drip": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", repeat(b"1\r\n \r\n", 200)),
    "interim answers without end": drip(b"", repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 200)),
}


def assert_gives_up(script, scheme="http"):
    """The call ends by its deadline, well within the 10 s and more that these gateways go on."""
    with serving(bounded(script)) as gateway:
        alipay = make(gateway_url=gateway.url.replace("http", scheme, 1))
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match="no whole answer in time"):
            alipay.query(NUMBER, deadline=0.4)
        assert 0.3 < time.monotonic() - began < 8
        assert gateway.caller_left.wait(20)


def bounded(script):
    """``script``, ended by force after a minute, so that a lost deadline fails the test instead of hanging it."""

    def play(caller):
        caller.request.settimeout(60)
        script(caller)

    return play


def half_a_handshake(caller):
    caller.request.recv(4096)
    # The head of a TLS record of 16000 bytes, which then comes a byte at a time.
    caller.request.sendall(b"\x16\x03\x03\x3e\x80\x02")
    caller.send_until_caller_leaves(repeat(b"\x00", 200), pause=0.05)


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_a_slow_gateway_is_left_at_the_deadline(script):
    assert_gives_up(script)


@pytest.mark.parametrize("script", [listen_only, half_a_handshake])
def test_a_tls_handshake_that_does_not_end_is_left_at_the_deadline(script):
    assert_gives_up(script, "https")


def test_connecting_gets_three_seconds_of_the_deadline_and_no_more(monkeypatch):
    given_times = []

    class Unreachable(socket.socket):
        def connect(self, address):
            given_times.append(self.gettimeout())
            raise TimeoutError

    monkeypatch.setattr(socket, "socket", Unreachable)
    alipay = make(gateway_url="http://127.0.0.1:9/gateway.do")
    for deadline in (10.0, 1.0):
        with pytest.raises(ProviderUnavailable, match="in time"):
            alipay.query(NUMBER, deadline=deadline)
    assert 2.9 < given_times[0] <= 3.0
    assert 0.9 < given_times[1] <= 1.0


@pytest.mark.parametrize("deadline", [0, -1])
def test_no_time_at_all_is_no_call(deadline):
    with serving(http(answer(PAID))) as gateway:
        with pytest.raises(ProviderUnavailable, match="in time"):
            make(gateway_url=gateway.url).query(NUMBER, deadline=deadline)
        assert gateway.requests == []


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    own = key("tls")
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, own.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(own, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "gateway.pem"
    file.write_bytes(own.private_bytes(PEM, PKCS8, serialization.NoEncryption()) + made.public_bytes(PEM))
    return file


def over_tls(certificate, script):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def play(caller):
        with context.wrap_socket(caller.request, server_side=True) as secure:
            caller.request = secure
            caller.setup()
            script(caller)

    return play


def reply_paid(caller):
    caller.read_request()
    caller.wfile.write(http(answer(PAID)))


def test_a_certificate_that_nobody_vouches_for_ends_the_call_before_a_word(certificate):
    with serving(over_tls(certificate, reply_paid)) as gateway:
        with pytest.raises(ProviderUnavailable, match="SSLCertVerificationError"):
            make(gateway_url=gateway.url.replace("http", "https", 1)).query(NUMBER)
        assert gateway.requests == []


@pytest.fixture
def trusted(certificate, monkeypatch):
    context = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(http_client, "_tls", lambda: context)


def test_a_paid_trade_over_tls(certificate, trusted):
    with serving(over_tls(certificate, reply_paid)) as gateway:
        assert make(gateway_url=gateway.url.replace("http", "https", 1)).query(NUMBER) == TRADE


def test_a_certificate_for_another_host_is_refused(certificate, trusted, monkeypatch):
    with serving(over_tls(certificate, reply_paid)) as gateway:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", gateway.server_address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
        with pytest.raises(ProviderUnavailable, match="SSLCertVerificationError"):
            make(gateway_url="https://gateway.test/gateway.do").query(NUMBER)


def test_a_body_that_drips_over_tls_is_left_at_the_deadline(certificate, trusted):
    assert_gives_up(over_tls(certificate, drip(HEAD, repeat(b" ", 200))), "https")


# Nothing else


@pytest.mark.parametrize("number", ["", "a-b", "x" * 33, None, "a\nb"])
def test_what_cannot_be_a_number_of_ours_is_not_asked(alipay, number):
    with pytest.raises(ProviderUnavailable, match="not asked"):
        alipay.query(number)


def test_a_fault_of_our_own_is_unknown_too(alipay, monkeypatch):
    monkeypatch.setattr(alipay._client, "build_body", lambda *_, **__: 1 / 0)
    with pytest.raises(ProviderUnavailable, match="ZeroDivisionError"):
        alipay.query(NUMBER)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10_000), put=st.binary(max_size=4), cut=st.integers(0, 4))
def test_a_mutated_answer_is_the_same_answer_or_unknown(alipay, at, put, cut):
    genuine = answer(PAID)
    at %= len(genuine)
    body = genuine[:at] + put + genuine[at + cut :]
    try:
        node = open_answer(body, METHOD, alipay._client.verify_bytes)
    except ProviderUnavailable:
        return
    assert node == PAID


# The log


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (answer(PAID), "ok"),
        (answer(refusal("40004", "ACQ.TRADE_NOT_EXIST")), "ACQ.TRADE_NOT_EXIST"),
        (answer(PAID, by="stranger"), "unknown, the answer's signature is wrong"),
        (b'{"a":1}', "unknown, an unsigned answer, which proves nothing"),
    ],
)
def test_one_line_for_each_call_and_no_secret_in_it(caplog, body, said):
    with caplog.at_level(logging.DEBUG), serving(http(body)) as gateway, suppress(ProviderError):
        make(gateway_url=gateway.url).query(NUMBER)
    [line] = caplog.records
    assert (line.name, line.levelno) == ("coursepay.alipay", logging.INFO)
    assert re.fullmatch(rf"alipay\.trade\.query {NUMBER}: {re.escape(said)} \(\d+ ms\)", line.getMessage())
