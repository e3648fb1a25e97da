"""The gateway's checks, each in its place (protocol 9.1)."""

import html
import http.client
import json
from contextlib import closing
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from alipay_simulator.signing import request_text, sign, verify


def node(answer):
    """(code, sub_code, whether it is signed) of a JSON answer."""
    assert answer.status_code == 200
    reply = answer.json()
    body = next(value for name, value in reply.items() if name.endswith("_response"))
    return body["code"], body.get("sub_code", ""), "sign" in reply


def test_the_checks_come_in_their_order(start, data, merchant_of, in_beijing):
    """Everything is wrong at first; each repair reveals exactly the next check."""
    running = start(permitted_methods=frozenset({"alipay.trade.page.pay"}))
    merchant = merchant_of(running)
    key_file = data / "app_public_key.pem"
    pem = key_file.read_bytes()
    key_file.unlink()
    params = {"app_id": "1", "biz_content": "{"}

    def expect(*outcome, resign=False):
        if resign:
            params["sign"] = sign(request_text(params), merchant.key)
        assert node(merchant.get(params)) == outcome

    del params["app_id"]
    expect("40001", "isv.missing-app-id", False)
    params["app_id"] = "9021000100000002"
    expect("40002", "isv.invalid-app-id", False)
    params["app_id"] = running.config.app_id
    expect("40003", "isv.missing-signature-config", False)
    key_file.write_bytes(pem)
    expect("40001", "isv.missing-method", False)
    params["method"] = "alipay.trade.unknown"
    expect("40001", "isv.missing-signature", True)
    params["sign"] = "AAAA"
    expect("40001", "isv.missing-timestamp", True)
    params["timestamp"] = "2020-1-1"
    expect("40002", "isv.invalid-signature-type", True)
    params["sign_type"] = "RSA2"
    expect("40002", "isv.invalid-charset", True)
    params["charset"] = "utf-8"
    params["format"] = "XML"
    expect("40002", "isv.invalid-format", True)
    params["format"] = "JSON"
    expect("40002", "isv.invalid-version", True)
    params["version"] = "1.0"
    expect("40002", "isv.invalid-timestamp", True)
    params["timestamp"] = in_beijing()
    expect("40002", "isv.invalid-signature", True)
    expect("40002", "isv.invalid-method", True, resign=True)
    params["method"] = "alipay.trade.query"
    expect("40006", "isv.insufficient-isv-permissions", True, resign=True)


def test_biz_content_is_looked_at_last(merchant):
    for text in ("{", "[]", '"x"', "", '{"out_trade_no":"\\ud800"}', "[" * 5000):
        assert node(merchant.get(merchant.params(biz_content=text)))[:2] == ("40002", "ACQ.INVALID_PARAMETER")


@pytest.mark.parametrize("offset", [-1790, 1790])
def test_a_timestamp_within_half_an_hour_is_taken(merchant, in_beijing, offset):
    assert node(merchant.get(merchant.params(timestamp=in_beijing(offset))))[1] == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize("offset", [-1810, 1810, -8 * 3600])
def test_a_timestamp_further_off_is_not(merchant, in_beijing, offset):
    assert node(merchant.get(merchant.params(timestamp=in_beijing(offset))))[1] == "isv.invalid-timestamp"


@pytest.mark.parametrize("text", ["2026-02-30 10:00:00", "2026-01-01T10:00:00", "２０２６-01-01 10:00:00", "now\n"])
def test_a_timestamp_has_one_form(merchant, text):
    assert node(merchant.get(merchant.params(timestamp=text)))[1] == "isv.invalid-timestamp"


def test_the_tolerance_is_a_setting(start, merchant_of, in_beijing):
    merchant = merchant_of(start(timestamp_tolerance=60))
    assert node(merchant.get(merchant.params(timestamp=in_beijing(-90))))[1] == "isv.invalid-timestamp"
    assert node(merchant.get(merchant.params(timestamp=in_beijing(-30))))[1] == "ACQ.TRADE_NOT_EXIST"


def test_an_advanced_clock_does_not_lock_the_merchant_out(sandbox, merchant):
    sandbox.clock(advance=86400)
    assert node(merchant.get(merchant.params()))[1] == "ACQ.TRADE_NOT_EXIST"


def test_the_refusal_of_a_signature_quotes_the_escaped_text_and_is_signed(merchant, simulator_key):
    params = merchant.params(biz={"out_trade_no": "a<b>&\"c'"})
    params["sign"] = "A" * 344
    raw = merchant.get(params).text
    body = json.loads(raw)["alipay_trade_query_response"]
    text = request_text(params)
    assert "<" in text
    assert body["sub_msg"].endswith("网关生成的验签字符串为：" + html.escape(text))
    signed = raw[raw.index(":{") + 1 : raw.rindex(',"sign"')]
    assert verify(signed, json.loads(raw)["sign"], simulator_key.public_key())


def test_sign_type_is_part_of_what_a_merchant_signs(merchant):
    params = merchant.params()
    rest = {name: value for name, value in params.items() if name not in ("sign", "sign_type")}
    params["sign"] = sign(request_text(rest), merchant.key)
    assert node(merchant.get(params))[1] == "isv.invalid-signature"


def test_empty_values_are_not_signed(merchant):
    params = {**merchant.params(), "return_url": ""}
    assert node(merchant.get(params))[1] == "ACQ.TRADE_NOT_EXIST"
    assert node(merchant.get({**params, "return_url": "x"}))[1] == "isv.invalid-signature"


def test_only_rsa2_is_spoken(merchant):
    assert node(merchant.get(merchant.params(sign_type="RSA")))[1] == "isv.invalid-signature-type"


def test_another_key_is_refused(merchant):
    merchant.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert node(merchant.get(merchant.params()))[1] == "isv.invalid-signature"


def test_the_merchants_key_may_change_while_the_simulator_runs(data, merchant, merchant_public_pem):
    path = data / "app_public_key.pem"
    path.write_text("-----BEGIN PUBLIC KEY-----\nMIIB")
    assert node(merchant.get(merchant.params()))[1] == "isv.missing-signature-config"
    path.write_bytes(merchant_public_pem)
    assert node(merchant.get(merchant.params()))[1] == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize("split", [(), ("biz_content",), ("biz_content", "sign", "method"), "all"])
def test_parameters_come_in_url_and_body(merchant, split):
    params = merchant.params()
    body = {name: value for name, value in params.items() if split == "all" or name in split}
    url = {name: value for name, value in params.items() if name not in body}
    answer = merchant.http.post(f"/gateway.do?{urlencode(url)}", data=body)
    assert node(answer) == ("40004", "ACQ.TRADE_NOT_EXIST", True)


def test_a_name_twice_is_refused_even_with_one_value(merchant):
    params = merchant.params()
    query = urlencode(params)
    outcome = ("40002", "isv.invalid-parameter", False)
    assert node(merchant.http.get(f"/gateway.do?{query}&method=alipay.trade.query"))[:2] == outcome[:2]
    assert node(merchant.http.post(f"/gateway.do?{query}", data={"sign": params["sign"]}))[:2] == outcome[:2]
    assert not node(merchant.http.get(f"/gateway.do?{query}&x=1&x=2"))[2]


@pytest.mark.parametrize("query", ["app_id=%ff", "&".join(f"a{n}=1" for n in range(101)), "app_id=%ED%A0%80"])
def test_what_cannot_be_read_is_an_answer_too(merchant, query):
    assert node(merchant.http.get(f"/gateway.do?{query}")) == ("40002", "isv.invalid-parameter", False)


def test_a_method_with_odd_characters_is_not_put_into_the_reply(merchant):
    reply = merchant.get(merchant.params(method='x"y')).json()
    assert list(reply) == ["error_response"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"app_id": "1"}, "invalid-app-id"),
        ({"timestamp": None}, "missing-timestamp"),
        ({"version": "2.0"}, "invalid-version"),
        ({"biz_content": "{"}, "ACQ.INVALID_PARAMETER"),
    ],
)
def test_errors_of_page_pay_are_a_page(merchant, changes, code):
    answer = merchant.get(merchant.params("alipay.trade.page.pay", **changes))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "错误代码" in answer.text
    assert "错误原因" in answer.text
    assert f">{code}<" in answer.text
    assert "<script" not in answer.text


def test_the_page_of_a_bad_signature_escapes_the_text_once(merchant):
    params = merchant.params("alipay.trade.page.pay", biz={"subject": "<b>x</b>"})
    page = merchant.get({**params, "sign": "AAAA"}).text
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x" not in page
    assert "&amp;lt;" not in page


def test_every_call_is_in_the_book(sandbox, merchant):
    merchant.get(merchant.params())
    merchant.get(merchant.params(app_id="1"))
    calls = [(event["out_trade_no"], event["data"]["sub_code"]) for event in sandbox.events("call.answered")]
    assert calls == [("order_1", "ACQ.TRADE_NOT_EXIST"), ("order_1", "isv.invalid-app-id")]


def test_a_request_line_may_hold_the_whole_address(sandbox, merchant):
    """The official SDK for Python writes it so, as if to a proxy."""
    with closing(http.client.HTTPConnection("127.0.0.1", sandbox.config.port, timeout=5)) as connection:
        connection.request("POST", f"{sandbox.url}/gateway.do?{urlencode(merchant.params())}")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["alipay_trade_query_response"]["code"]) == (200, "40004")
        connection.request("GET", f"http://127.0.0.1:{sandbox.config.port}")
        assert connection.getresponse().status == 200
