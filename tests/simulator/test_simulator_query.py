"""alipay.trade.query through the real SDK: bodies, order of keys, signatures (protocol 5.1)."""

import json
import time

import pytest

AMOUNTS = {"buyer_pay_amount": "0.00", "invoice_amount": "0.00", "point_amount": "0.00", "receipt_amount": "0.00"}


def raw_query(merchant, **biz):
    return merchant.get(merchant.params(biz=biz)).text


def test_an_unknown_trade_has_the_real_body(merchant):
    assert merchant.query(out_trade_no="nothing_1") == {
        "code": "40004",
        "msg": "Business Failed",
        "sub_code": "ACQ.TRADE_NOT_EXIST",
        "sub_msg": "交易不存在",
        "out_trade_no": "nothing_1",
        **AMOUNTS,
    }


def test_a_paid_trade_has_the_keys_of_the_real_one_in_their_order(sandbox, merchant, vector):
    sandbox.buy(merchant.pay_url("order_1"))
    real = json.loads(vector("yansongda_resp_trade_query")["signed_content"])
    body = json.loads(raw_query(merchant, out_trade_no="order_1"))["alipay_trade_query_response"]
    assert list(body) == list(real)
    assert {name: body[name] for name in AMOUNTS} == AMOUNTS
    assert (body["total_amount"], body["trade_status"]) == ("117.00", "TRADE_SUCCESS")
    assert body["send_pay_date"] == merchant.query(out_trade_no="order_1")["send_pay_date"]


def test_a_waiting_trade_has_no_pay_date(sandbox, merchant, vector):
    sandbox.act("scan", sandbox.open(merchant.pay_url("order_1")))
    real = json.loads(vector("yansongda_resp_trade_query")["signed_content"])
    body = merchant.query(out_trade_no="order_1")
    assert set(body) == set(real) - {"send_pay_date"}
    assert body["trade_status"] == "WAIT_BUYER_PAY"


def test_the_trade_number_wins(sandbox, merchant):
    for number in ("order_1", "order_2"):
        sandbox.buy(merchant.pay_url(number))
    trade_no = merchant.query(out_trade_no="order_2")["trade_no"]
    assert merchant.query(trade_no=trade_no)["out_trade_no"] == "order_2"
    assert merchant.query(trade_no=trade_no, out_trade_no="order_1")["out_trade_no"] == "order_2"
    assert merchant.query(trade_no="1", out_trade_no="order_1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize("biz", [{}, {"out_trade_no": ""}, {"out_trade_no": 5}, {"trade_no": "x" * 65}])
def test_one_number_is_needed(merchant, biz):
    assert merchant.query(**biz)["sub_code"] == "ACQ.INVALID_PARAMETER"


def test_the_funds_come_only_when_asked_for(sandbox, merchant):
    sandbox.buy(merchant.pay_url("order_1"))
    assert "fund_bill_list" not in merchant.query(out_trade_no="order_1")
    asked = merchant.query(out_trade_no="order_1", query_options=["fund_bill_list"])
    assert asked["fund_bill_list"] == [{"amount": "117.00", "fund_channel": "ALIPAYACCOUNT"}]


def test_a_slash_survives_its_escape(merchant):
    raw = raw_query(merchant, out_trade_no="a/b 课")
    assert r'"out_trade_no":"a\/b 课"' in raw
    assert merchant.query(out_trade_no="a/b 课")["out_trade_no"] == "a/b 课"


def test_times_are_beijing_whatever_the_process_thinks(sandbox, merchant, monkeypatch, in_beijing):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        before = in_beijing(-1)
        sandbox.buy(merchant.pay_url("order_1"))
        assert before <= merchant.query(out_trade_no="order_1")["send_pay_date"] <= in_beijing(1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_trades_as_json(sandbox, merchant):
    sandbox.buy(merchant.pay_url("order_1"))
    [trade] = sandbox.http.get("/api/trades").json()["trades"]
    assert (trade["out_trade_no"], trade["total_fen"], trade["total_amount"]) == ("order_1", 11700, "117.00")
    assert sandbox.trade("order_1")["notifies"] == []
    assert sandbox.http.get("/api/trades/other").status_code == 404


def test_health(sandbox, data):
    assert sandbox.http.get("/healthz").json() == {"status": "ok", "app_key": True}
    (data / "app_public_key.pem").unlink()
    assert sandbox.http.get("/healthz").json() == {"status": "ok", "app_key": False}
