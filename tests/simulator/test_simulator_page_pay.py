"""alipay.trade.page.pay: what it refuses, and what comes into being when (protocol 3)."""

import json
import re

import pytest


def refusal(answer):
    """The error code on the gateway's page; "" when the cashier was opened."""
    if answer.status_code == 302:
        return ""
    assert answer.status_code == 200
    return re.search(r"错误代码.*?<dd[^>]*>([^<]+)<", answer.text, re.DOTALL)[1]


GOOD = [
    {"out_trade_no": "A_z09"},
    {"out_trade_no": "x" * 64},
    {"total_amount": "0.01"},
    {"total_amount": "88"},
    {"total_amount": "88.8"},
    {"total_amount": "100000000.00"},
    {"subject": "课" * 256},
    {"subject": "a+b {c}, <d> #e"},
    {"goods_type": "0"},
    {"qr_pay_mode": "2"},
    {"timeout_express": "15d", "time_expire": None},
    {"timeout_express": "1c", "time_expire": None},
    {"time_expire": None},
    {"body": "b" * 128, "passback_params": "p" * 512},
    {"goods_detail": [{"goods_id": "1", "goods_name": "x", "quantity": 1, "price": "1.00"}]},
    {"unheard_of": {"deep": [1]}},
]
BAD = [
    {"out_trade_no": None},
    {"out_trade_no": ""},
    {"out_trade_no": "x" * 65},
    {"out_trade_no": "a-b"},
    {"out_trade_no": "单号"},
    {"out_trade_no": "abc\n"},
    {"out_trade_no": 123},
    {"total_amount": None},
    {"total_amount": 88.88},
    {"total_amount": 88},
    {"total_amount": "0.00"},
    {"total_amount": "1.000"},
    {"total_amount": "1.001"},
    {"total_amount": "-1.00"},
    {"total_amount": "+1.00"},
    {"total_amount": "1e3"},
    {"total_amount": "01.00"},
    {"total_amount": ".50"},
    {"total_amount": "1."},
    {"total_amount": " 1.00"},
    {"total_amount": "1.00\n"},
    {"total_amount": "１.00"},
    {"total_amount": "NaN"},
    {"subject": None},
    {"subject": ""},
    {"subject": "x" * 257},
    {"subject": "a/b"},
    {"subject": "a=b"},
    {"subject": "a&b"},
    {"subject": "a\nb"},
    {"subject": 5},
    {"product_code": None},
    {"product_code": "QUICK_WAP_WAY"},
    {"time_expire": "2026-01-01"},
    {"time_expire": "2026-13-01 00:00:00"},
    {"time_expire": 5},
    {"timeout_express": "0m"},
    {"timeout_express": "16d"},
    {"timeout_express": "1.5h"},
    {"timeout_express": "90s"},
    {"timeout_express": "5m0"},
    {"timeout_express": "1c1"},
    {"timeout_express": "5m\n"},
    {"goods_type": "2"},
    {"qr_pay_mode": 2},
    {"goods_detail": [{"goods_id": "1"}]},
    {"body": "b" * 129},
    {"passback_params": "p" * 513},
    {"passback_params": {"a": 1}},
]


def test_what_is_allowed_opens_the_cashier(sandbox, merchant):
    for biz in GOOD:
        answer = sandbox.http.get(merchant.pay_url(**{"number": "n", **biz}))
        assert refusal(answer) == "", biz
        location = answer.headers["location"]
        assert re.fullmatch(r"/cashier\?payOrderId=[0-9a-f]{32}\.[0-9]{2}", location)


def test_what_is_not_allowed_is_refused(sandbox, merchant):
    for biz in BAD:
        assert refusal(sandbox.http.get(merchant.pay_url(**{"number": "n", **biz}))) == "ACQ.INVALID_PARAMETER", biz
    assert sandbox.events("session.opened") == []


def test_an_amount_above_the_limit_has_its_own_code(sandbox, merchant):
    assert refusal(sandbox.http.get(merchant.pay_url(total_amount="100000000.01"))) == "ACQ.TOTAL_FEE_EXCEED"


@pytest.mark.parametrize("url", ["ftp://x/", "//x/", "shop", "http://", "http://a b/", "http://x/" + "y" * 250])
@pytest.mark.parametrize("name", ["notify_url", "return_url"])
def test_addresses_are_absolute(sandbox, merchant, name, url):
    assert refusal(sandbox.http.get(merchant.pay_url(**{name: url}))) == "ACQ.INVALID_PARAMETER"


def test_expiry_lies_within_fifteen_days(sandbox, merchant, in_beijing):
    assert refusal(sandbox.http.get(merchant.pay_url(time_expire=in_beijing(15 * 86400 - 60)))) == ""
    late = merchant.pay_url(time_expire=in_beijing(15 * 86400 + 60))
    assert refusal(sandbox.http.get(late)) == "ACQ.INVALID_PARAMETER"


def test_a_short_time_to_pay_is_fine_unless_set_otherwise(start, merchant_of, data, in_beijing):
    strict = start(min_expiry=60)
    merchant = merchant_of(strict)
    assert refusal(strict.http.get(merchant.pay_url(time_expire=in_beijing(30)))) == "ACQ.INVALID_PARAMETER"
    assert refusal(strict.http.get(merchant.pay_url(time_expire=in_beijing(90)))) == ""
    strict.stop()
    loose = start()
    assert refusal(loose.http.get(merchant_of(loose).pay_url(time_expire=in_beijing(5)))) == ""


def test_a_pay_url_is_no_trade_until_the_buyer_comes(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1"))
    assert sandbox.http.get("/cashier", params={"payOrderId": pay_order_id}).status_code == 200
    assert merchant.query(out_trade_no="order_1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    assert sandbox.act("scan", pay_order_id).status_code == 303
    found = merchant.query(out_trade_no="order_1")
    assert found["trade_status"] == "WAIT_BUYER_PAY"
    assert re.fullmatch(r"20[0-9]{6}22001[0-9]{15}", found["trade_no"])


def test_the_same_unpaid_order_opens_again_and_is_one_trade(sandbox, merchant):
    url = merchant.pay_url("order_1")
    first, second = sandbox.open(url), sandbox.open(url)
    assert first != second
    sandbox.act("scan", first)
    sandbox.act("login", second, account="li@example.com")
    assert len(sandbox.events("trade.created")) == 1


@pytest.mark.parametrize("change", [{"total_amount": "118.00"}, {"subject": "other"}])
def test_a_changed_order_is_refused_once_the_trade_exists(sandbox, merchant, change):
    early = sandbox.open(merchant.pay_url("order_1", **change))  # nothing exists yet: nothing to contradict
    sandbox.act("scan", sandbox.open(merchant.pay_url("order_1")))
    assert refusal(sandbox.http.get(merchant.pay_url("order_1", **change))) == "ACQ.CONTEXT_INCONSISTENT"
    assert refusal(sandbox.http.get(merchant.pay_url("order_1", total_amount="117"))) == ""
    answer = sandbox.act("scan", early)
    assert answer.status_code == 409
    assert "ACQ.CONTEXT_INCONSISTENT" in answer.text


def test_a_paid_order_is_refused_however_it_is_asked_for(sandbox, merchant):
    url = merchant.pay_url("order_1")
    other_tab = sandbox.open(url)
    sandbox.act("login", other_tab, account="li@example.com")
    sandbox.buy(url)
    assert refusal(sandbox.http.get(url)) == "ACQ.TRADE_HAS_SUCCESS"
    assert refusal(sandbox.http.get(merchant.pay_url("order_1", total_amount="5.00"))) == "ACQ.TRADE_HAS_SUCCESS"
    answer = sandbox.act("pay", other_tab)
    assert answer.status_code == 409
    assert "ACQ.TRADE_HAS_SUCCESS" in answer.text
    assert len(sandbox.events("payment.received")) == 1


def test_an_order_past_its_time_is_refused_and_its_trade_closed(sandbox, merchant):
    url = merchant.pay_url("order_1", notify_url="http://127.0.0.1:9/never")
    signed_in = sandbox.open(url)
    sandbox.act("scan", signed_in)
    sandbox.clock(advance=901)
    assert refusal(sandbox.http.get(url)) == "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR"
    answer = sandbox.act("pay", signed_in)
    assert answer.status_code == 410
    assert "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR" in answer.text
    found = merchant.query(out_trade_no="order_1")
    assert found["trade_status"] == "TRADE_CLOSED"
    assert "send_pay_date" not in found
    assert sandbox.events("payment.received") == []
    assert sandbox.events("notify.queued") == []
    assert refusal(sandbox.http.get(merchant.pay_url("order_1", time_expire=None))) == "ACQ.TRADE_HAS_CLOSE"


def test_a_trade_is_closed_in_time_though_nobody_asks(sandbox, merchant, poll):
    sandbox.act("scan", sandbox.open(merchant.pay_url("order_1")))
    assert sandbox.events("trade.closed") == []
    sandbox.simulator.clock.advance(901)
    closed = poll(lambda: sandbox.events("trade.closed"))
    assert [event["out_trade_no"] for event in closed] == ["order_1"]


def test_an_order_nobody_visited_never_exists(sandbox, merchant):
    url = merchant.pay_url("order_1")
    pay_order_id = sandbox.open(url)
    sandbox.clock(advance=901)
    assert refusal(sandbox.http.get(url)) == "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR"
    assert sandbox.act("scan", pay_order_id).status_code == 410
    assert merchant.query(out_trade_no="order_1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"


def test_timeout_express_runs_from_the_first_look(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1", time_expire=None, timeout_express="2m"))
    sandbox.clock(advance=3600)
    page = {"payOrderId": pay_order_id}
    assert sandbox.http.get("/cashier", params=page).status_code == 200
    sandbox.clock(advance=110)
    assert sandbox.http.get("/cashier", params=page).status_code == 200
    sandbox.clock(advance=11)
    assert sandbox.http.get("/cashier", params=page).status_code == 410


def test_time_expire_wins_over_timeout_express(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1", timeout_express="1d"))
    sandbox.clock(advance=901)
    assert sandbox.act("scan", pay_order_id).status_code == 410


def test_the_book_holds_fen_and_cannot_be_rewritten(sandbox, merchant):
    sandbox.buy(merchant.pay_url("order_1", total_amount="117.5"))
    assert [event["amount_fen"] for event in sandbox.events("payment.received")] == [11750]
    kinds = [event["kind"] for event in sandbox.http.get("/api/book").json()["events"]]
    assert [k for k in kinds if k.split(".")[0] in ("session", "trade", "payment")] == [
        "session.opened",
        "trade.created",
        "payment.received",
    ]
    for sql in ("DELETE FROM events", "UPDATE events SET amount_fen = 1"):
        with pytest.raises(Exception, match="append-only"):
            sandbox.simulator.book.run(sql)


def test_the_book_is_read_page_by_page(sandbox, merchant):
    for number in range(3):
        sandbox.open(merchant.pay_url(f"order_{number}"))
    everything = sandbox.http.get("/api/book").json()
    seen, after = [], 0
    while True:
        page = sandbox.http.get("/api/book", params={"after": after, "limit": 2}).json()
        assert len(page["events"]) <= 2
        seen += page["events"]
        after = page["last"]
        if not page["more"]:
            break
    assert seen == everything["events"]
    assert json.dumps(seen).count("session.opened") == 3
