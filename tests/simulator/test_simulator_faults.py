"""What can go wrong with a call and with a notify, and what it does to the money (protocol 9.4, 9.9)."""

import json

import pytest
from alipay.exceptions import AliPayException, AliPayValidationError

from alipay_simulator.deliveries import failed
from alipay_simulator.faults import API_KINDS, NOTIFY_KINDS
from alipay_simulator.simulator import BadStatus

REFUND = "alipay.trade.refund"
NODE = "alipay_trade_refund_response"


def refunded(lab):
    return lab.simulator.money()["order_1"]["refunded_fen"]


def raw_refund(lab, request="r1"):
    return lab.raw("refund", out_trade_no="order_1", refund_amount="17.00", out_request_no=request)


@pytest.fixture
def paid(lab):
    lab.buy("order_1")
    lab.post()
    return lab


# Calls: which of them move money although the answer is lost is the point of it all.

MOVED = {
    "timeout_before": 0,
    "timeout_after": 1700,
    "http_502": 0,
    "code_20000": 0,
    "system_error": 0,
    "system_error_applied": 1700,
    "unsigned": 1700,
    "bad_signature": 1700,
    "wrong_key": 1700,
    "other_order": 1700,
    "truncated": 1700,
    "huge": 1700,
    "drip": 1700,
    "empty": 1700,
    "html_200": 1700,
    "not_json": 1700,
}


@pytest.mark.parametrize("kind", API_KINDS)
def test_no_spoilt_answer_is_taken_for_a_refund_and_the_repeat_tells_the_truth(paid, kind):
    parameters = {"huge": {"size": 5000}}.get(kind, {})
    paid.simulator.fault(REFUND, kind, **parameters)
    try:
        body = paid.sdk._verify_and_return_sync_response(raw_refund(paid).decode(), NODE)
    except (OSError, ValueError, AliPayException, AliPayValidationError) as error:
        body = {"error": type(error).__name__}
    if kind != "drip":  # late, but right
        assert body.get("out_trade_no") != "order_1"
    assert refunded(paid) == MOVED[kind]
    again = paid.refund("order_1", "17.00")
    assert again["fund_change"] == ("N" if MOVED[kind] else "Y")
    assert refunded(paid) == 1700


def test_a_held_connection_is_a_time_out(paid):
    for kind in ("timeout_before", "timeout_after"):
        paid.simulator.fault(REFUND, kind)
        with pytest.raises(TimeoutError):
            raw_refund(paid)


def test_a_bad_gateway_is_no_reply(paid):
    paid.simulator.fault(REFUND, "http_502")
    with pytest.raises(BadStatus, match="502"):
        raw_refund(paid)


@pytest.mark.parametrize(
    ("kind", "code", "sub_code"),
    [
        ("code_20000", "20000", "isp.unknow-error"),
        ("system_error", "40004", "ACQ.SYSTEM_ERROR"),
        ("system_error_applied", "40004", "ACQ.SYSTEM_ERROR"),
    ],
)
def test_an_unknown_outcome_is_signed(paid, kind, code, sub_code):
    paid.simulator.fault(REFUND, kind)
    reply = paid.refund("order_1", "17.00")
    assert (reply["code"], reply["sub_code"]) == (code, sub_code)


def test_the_signature_faults_are_what_they_say(paid):
    good = json.loads(raw_refund(paid))
    seen = {}
    for kind in ("unsigned", "bad_signature", "wrong_key"):
        paid.simulator.fault(REFUND, kind)
        seen[kind] = json.loads(raw_refund(paid))
    assert "sign" not in seen["unsigned"]
    assert len({len(seen[kind]["sign"]) for kind in ("bad_signature", "wrong_key")} | {len(good["sign"])}) == 1
    assert {seen[kind][NODE]["refund_fee"] for kind in seen} == {"17.00"}
    assert seen["bad_signature"]["sign"] != seen["wrong_key"]["sign"]


def test_another_orders_answer_is_signed_well(paid):
    paid.buy("order_2", total="5.00")
    paid.scan("order_3")
    for expected in ("order_2", "order_1"):
        paid.simulator.fault("alipay.trade.query", "other_order", value=expected)
        found = paid.call("query", out_trade_no="order_3")
        assert (found["out_trade_no"], found["trade_status"]) == (expected, "TRADE_SUCCESS")
    paid.simulator.fault(REFUND, "other_order")
    assert paid.refund("order_1", "17.00")["out_trade_no"] == "order_3"


def test_another_orders_answer_is_made_up_where_there_is_none(paid):
    paid.simulator.fault(REFUND, "other_order")
    assert paid.refund("order_1", "17.00")["out_trade_no"] == "order_1_other"


def test_the_bodies_of_the_unsigned_faults(paid):
    bodies = {}
    for kind in ("truncated", "empty", "html_200", "not_json"):
        paid.simulator.fault(REFUND, kind)
        bodies[kind] = raw_refund(paid).decode()
    assert bodies["truncated"].startswith('{"alipay_trade_refund_response":{"code":"10000"')
    assert bodies["empty"] == ""
    assert bodies["html_200"].startswith("<!doctype html>")
    assert bodies["not_json"] == "success"


def test_a_huge_answer_has_the_size_it_is_told(paid):
    paid.simulator.fault(REFUND, "huge", size=3_000_000)
    raw = raw_refund(paid)
    assert 3_000_000 < len(raw) < 3_000_200
    assert json.loads(raw)[NODE]["code"] == "10000"


def test_whether_a_lost_call_had_an_effect_can_be_chosen(paid):
    paid.simulator.fault(REFUND, "http_502", effect=True)
    with pytest.raises(BadStatus):
        raw_refund(paid, "r1")
    assert refunded(paid) == 1700
    paid.simulator.fault(REFUND, "empty", effect=False)
    assert raw_refund(paid, "r2") == b""
    assert refunded(paid) == 1700


def test_a_fault_strikes_as_often_as_it_is_told_and_only_where(paid):
    paid.buy("order_2")
    paid.simulator.fault("alipay.trade.query", "code_20000", times=2, out_trade_no="order_1")
    codes = [paid.call("query", out_trade_no=number)["code"] for number in ("order_2", "order_1", "order_1", "order_1")]
    assert codes == ["10000", "20000", "20000", "10000"]
    assert paid.refund("order_1", "1.00")["code"] == "10000"
    assert paid.simulator.faults.waiting() == []


def test_a_fault_finds_its_trade_by_either_number(paid):
    trade_no = paid.call("query", out_trade_no="order_1")["trade_no"]
    paid.simulator.fault("alipay.trade.query", "code_20000", out_trade_no="order_1")
    assert paid.call("query", trade_no=trade_no)["code"] == "20000"


def test_any_means_every_call_of_a_server_but_not_the_buyers_browser(paid):
    paid.simulator.fault("*", "code_20000")
    paid.open("order_2")
    assert paid.call("query", out_trade_no="order_1")["code"] == "20000"


def test_the_browser_can_be_failed_by_name(lab):
    for kind, error in (("timeout_before", TimeoutError), ("http_502", BadStatus), ("code_20000", Exception)):
        lab.simulator.fault("alipay.trade.page.pay", kind)
        with pytest.raises(error):
            lab.open("order_1")
    assert lab.open("order_1")


def test_the_oldest_fault_strikes_first_and_clearing_ends_them(paid):
    paid.simulator.fault("*", "code_20000")
    paid.simulator.fault("alipay.trade.query", "system_error", times=5)
    assert paid.call("query", out_trade_no="order_1")["code"] == "20000"
    assert paid.call("query", out_trade_no="order_1")["sub_code"] == "ACQ.SYSTEM_ERROR"
    paid.simulator.faults.clear()
    assert paid.call("query", out_trade_no="order_1")["code"] == "10000"
    assert [kind for kind in paid.kinds() if kind.startswith("fault")] == [
        *["fault.set"] * 2,
        *["fault.struck"] * 2,
        "faults.cleared",
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        {"target": "alipay.trade.unknown", "kind": "empty"},
        {"target": "*", "kind": "drop"},
        {"target": "notify", "kind": "empty"},
        {"target": "alipay.trade.page.pay", "kind": "unsigned"},
        {"target": "*", "kind": "empty", "times": 0},
        {"target": "*", "kind": "empty", "times": True},
        {"target": "*", "kind": "empty", "times": 1.5},
        {"target": "*", "kind": "empty", "seconds": 3},
        {"target": "*", "kind": "empty", "effect": "yes"},
        {"target": "*", "kind": "unsigned", "effect": True},
        {"target": "*", "kind": "timeout_after", "seconds": 301},
        {"target": "*", "kind": "timeout_after", "seconds": float("nan")},
        {"target": "*", "kind": "timeout_after", "seconds": "3"},
        {"target": "*", "kind": "huge", "size": 0},
        {"target": "*", "kind": "other_order", "value": 5},
        {"target": "*", "kind": "empty", "out_trade_no": 5},
        {"target": "notify", "kind": "duplicate", "copies": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(lab, wanted):
    with pytest.raises(ValueError, match=r"is one of|is a|target is|does not take"):
        lab.simulator.fault(**wanted)
    assert lab.simulator.faults.waiting() == []


# Notifies.


@pytest.fixture
def bought(lab):
    lab.buy("order_1")
    return lab


def test_a_dropped_notify_was_a_try_and_comes_again(bought):
    bought.simulator.fault("notify", "drop")
    assert bought.post() == []
    bought.simulator.advance(239)
    assert bought.post() == []
    bought.simulator.advance(1)
    [form] = bought.post()
    assert form["notify_time"] == "2026-01-01 12:04:00"
    assert bought.post() == []


def test_drop_all_loses_every_try_until_the_faults_are_cleared(bought):
    bought.simulator.fault("notify", "drop_all", out_trade_no="order_1")
    for seconds in (0, 240, 600, 600):
        bought.simulator.advance(seconds)
        assert bought.post() == []
    bought.buy("order_2")
    assert [form["out_trade_no"] for form in bought.post()] == ["order_2"]
    bought.simulator.faults.clear()
    bought.simulator.advance(3600)
    assert [form["out_trade_no"] for form in bought.post()] == ["order_1"]


def test_a_delayed_notify_comes_later_and_was_no_try(bought):
    bought.simulator.fault("notify", "delay", seconds=100)
    assert bought.post() == []
    bought.simulator.advance(99)
    assert bought.post() == []
    bought.simulator.advance(1)
    [form] = bought.post(b"fail")
    assert form["notify_time"] == "2026-01-01 12:01:40"
    assert bought.simulator.book.one("SELECT sends FROM notifies")["sends"] == 1


def test_copies_go_out_together_and_are_one_try(bought):
    bought.simulator.fault("notify", "duplicate", copies=3)
    outgoing = bought.simulator.due_notifies()
    assert len(outgoing) == 3
    assert len({one.form for one in outgoing}) == 1
    assert bought.simulator.due_notifies() == []
    for status, body in ((500, b""), (200, b"success"), (None, b"")):
        bought.simulator.record_attempt(outgoing[0].notify_id, status, body)
    row = bought.simulator.book.one("SELECT state, sends FROM notifies")
    assert tuple(row) == ("DELIVERED", 1)
    with pytest.raises(KeyError):
        bought.simulator.record_attempt(outgoing[0].notify_id, 200, b"success")


def test_a_reordered_notify_waits_for_the_next_one(bought):
    bought.simulator.fault("notify", "reorder")
    assert bought.post() == []
    bought.simulator.advance(86400)
    assert bought.post() == []
    bought.refund("order_1", "17.00")
    [refund] = bought.post()
    assert refund["out_biz_no"] == "r1"
    [paid] = bought.post()
    assert "out_biz_no" not in paid
    assert paid["notify_id"] != refund["notify_id"]


def test_a_lost_notify_releases_nothing(bought):
    bought.simulator.fault("notify", "reorder", out_trade_no="order_1")
    bought.simulator.fault("notify", "drop", out_trade_no="order_2")
    bought.post()
    bought.buy("order_2")
    assert bought.post() == []
    bought.simulator.advance(240)
    assert [form["out_trade_no"] for form in bought.post()] == ["order_2"]
    assert [form["out_trade_no"] for form in bought.post()] == ["order_1"]


def test_a_corrupt_signature_does_not_verify_and_the_next_one_does(bought):
    bought.simulator.fault("notify", "corrupt")
    [form] = bought.post(b"fail")
    assert len(form["sign"]) == 344
    assert not bought.verifies(form)
    bought.simulator.advance(240)
    [form] = bought.post()
    assert bought.verifies(form)


@pytest.mark.parametrize(
    ("kind", "value", "field", "wrong"),
    [
        ("wrong_amount", "", "total_amount", "117.01"),
        ("wrong_amount", "0.01", "total_amount", "0.01"),
        ("wrong_app", "", "app_id", "9021000199999999"),
        ("wrong_app", "2021000000000001", "auth_app_id", "2021000000000001"),
        ("wrong_seller", "", "seller_id", "2088199999999999"),
        ("wrong_seller", "2088000000000009", "seller_id", "2088000000000009"),
    ],
)
def test_wrong_contents_are_signed_well_and_once(bought, kind, value, field, wrong):
    bought.simulator.fault("notify", kind, value=value)
    [form] = bought.post(b"fail")
    assert form[field] == wrong
    assert bought.verifies(form)
    bought.simulator.advance(240)
    [form] = bought.post()
    assert form[field] != wrong


def test_every_kind_of_notify_fault_is_known():
    assert len(NOTIFY_KINDS) == 9


# Without a socket, without time, without chance.


def story(lab):
    lab.buy("order_1")
    lab.simulator.fault("notify", "drop")
    forms = lab.post()
    lab.simulator.advance(240)
    forms += lab.post()
    lab.refund("order_1", "17.00")
    lab.simulator.console_refund("order_1", 100)
    return forms + lab.post(), [tuple(row) for row in lab.simulator.book.all("SELECT * FROM events ORDER BY seq")]


def test_one_seed_tells_one_story(new_lab):
    first, second, other = story(new_lab()), story(new_lab()), story(new_lab(seed=8))
    assert first == second
    assert first != other


def test_a_reset_begins_the_story_again(lab, new_lab):
    lab.simulator.rules.change({"triggers": {"trade_closed": True}, "seller_balance": "50.00", "refund_window": 5000})
    lab.simulator.fault("*", "empty", times=9, out_trade_no="nobody")
    story(lab)
    lab.simulator.reset()
    assert lab.simulator.money() == {}
    assert lab.simulator.faults.waiting() == []
    assert lab.simulator.rules.as_json()["seller_balance"] is None
    assert lab.call("query", out_trade_no="order_1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    lab.simulator.reset()
    assert story(lab) == story(new_lab())


def test_what_was_handed_out_before_a_reset_is_forgotten(bought):
    [before] = bought.simulator.due_notifies()
    bought.simulator.reset()
    bought.simulator.deliveries.settle(before, failed("too late"))
    assert "notify.sent" not in bought.kinds()
    bought.buy("order_1")
    [after] = bought.simulator.due_notifies()
    assert after == before
    bought.simulator.record_attempt(after.notify_id, 200, b"success")


def test_the_return_can_be_had_without_a_browser(lab):
    session = lab.scan("order_1")
    lab.simulator.pay(session)
    location = lab.simulator.return_address(session)
    assert location.startswith("http://shop.example/pay/success?charset=utf-8&out_trade_no=order_1&")
