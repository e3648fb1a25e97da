"""Which events a merchant hears of, and in which fields (protocol 4.2, 4.3), without a socket."""

import pytest

from alipay_simulator.config import TRIGGERS

BASE = {
    *("gmt_create", "charset", "notify_time", "subject", "sign", "buyer_id", "version", "notify_id", "notify_type"),
    *("out_trade_no", "total_amount", "trade_status", "trade_no", "auth_app_id", "app_id", "sign_type", "seller_id"),
}
PAID = BASE | {
    *("gmt_payment", "receipt_amount", "invoice_amount", "buyer_pay_amount", "point_amount", "fund_bill_list"),
}
REFUNDED = BASE | {"gmt_payment", "refund_fee", "gmt_refund", "out_biz_no"}


@pytest.fixture
def talkative(new_lab):
    return new_lab(triggers=frozenset(TRIGGERS), refund_window=86400)


def posted(lab):
    """The forms that were due, each of them signed well."""
    forms = lab.post()
    assert all(lab.verifies(form) for form in forms)
    return forms


def test_a_partial_refund_sends_trade_success_once_more(lab):
    lab.buy("order_1", body="b", passback_params="p")
    [paid] = posted(lab)
    lab.refund("order_1", "17.00", "r1")
    lab.simulator.advance(61.5)
    lab.refund("order_1", "50.00", "r2")
    first, second = posted(lab)
    assert set(paid) == PAID | {"body", "passback_params"}
    assert set(first) == set(second) == REFUNDED | {"body", "passback_params"}
    assert {form["trade_status"] for form in (paid, first, second)} == {"TRADE_SUCCESS"}
    assert [(form["refund_fee"], form["out_biz_no"]) for form in (first, second)] == [("17.00", "r1"), ("67.00", "r2")]
    assert (first["gmt_refund"], second["gmt_refund"]) == ("2026-01-01 12:00:00.250", "2026-01-01 12:01:01.750")
    assert (first["total_amount"], first["gmt_payment"]) == ("117.00", "2026-01-01 12:00:00")
    assert len({form["notify_id"] for form in (paid, first, second)}) == 3


def test_a_full_refund_is_silent_unless_triggered(lab, talkative):
    for one in (lab, talkative):
        one.buy("order_1")
        one.post()
        one.refund("order_1", "17.00", "r1")
        assert len(posted(one)) == 1
        one.refund("order_1", "100.00", "r2")
    assert posted(lab) == []
    [form] = posted(talkative)
    assert set(form) == REFUNDED | {"gmt_close"}
    assert (form["trade_status"], form["refund_fee"], form["out_biz_no"]) == ("TRADE_CLOSED", "117.00", "r2")
    assert form["gmt_close"] == form["gmt_refund"][:19] == "2026-01-01 12:00:00"


def test_without_a_number_out_biz_no_is_the_orders(talkative):
    talkative.buy("order_1")
    talkative.refund("order_1", "117.00", None)
    assert posted(talkative)[-1]["out_biz_no"] == "order_1"


def test_a_refund_that_moved_nothing_is_not_told_of(lab):
    lab.buy("order_1")
    lab.refund("order_1", "17.00")
    lab.post()
    lab.refund("order_1", "17.00")
    lab.refund("order_1", "18.00")
    assert posted(lab) == []


def test_a_closed_trade_is_silent_unless_triggered(lab, talkative):
    for one in (lab, talkative):
        one.scan("closed")
        one.scan("lapsed")
        one.post()
        one.call("close", out_trade_no="closed")
        one.simulator.advance(901)
    assert posted(lab) == []
    forms = {form["out_trade_no"]: form for form in posted(talkative)}
    assert set(forms) == {"closed", "lapsed"}
    for form in forms.values():
        assert set(form) == BASE | {"gmt_close"}
        assert form["trade_status"] == "TRADE_CLOSED"
    assert forms["closed"]["gmt_close"] == "2026-01-01 12:00:00"
    assert forms["lapsed"]["gmt_close"] == "2026-01-01 12:15:00"


def test_the_end_of_the_window_is_silent_unless_triggered(new_lab, talkative):
    quiet = new_lab(refund_window=86400)
    for one in (quiet, talkative):
        one.buy("order_1")
        one.post()
        one.simulator.advance(86400)
    assert posted(quiet) == []
    [form] = posted(talkative)
    assert set(form) == PAID
    assert form["trade_status"] == "TRADE_FINISHED"


def test_a_waiting_buyer_is_silent_unless_triggered(lab, talkative):
    for one in (lab, talkative):
        one.scan("order_1")
    assert posted(lab) == []
    [form] = posted(talkative)
    assert set(form) == BASE
    assert form["trade_status"] == "WAIT_BUYER_PAY"


def test_a_trigger_can_be_switched_while_it_runs(lab):
    lab.simulator.rules.change({"triggers": {"trade_success": False, "full_refund": True}})
    lab.buy("order_1")
    assert posted(lab) == []
    lab.refund("order_1", "117.00")
    assert [form["trade_status"] for form in posted(lab)] == ["TRADE_CLOSED"]
    lab.simulator.rules.change({"triggers": {"trade_success": True}})
    lab.buy("order_2")
    assert [form["out_trade_no"] for form in posted(lab)] == ["order_2"]


def test_alipays_own_console_refunds_under_a_number_of_its_own(lab):
    lab.buy("order_1")
    lab.post()
    refund = lab.simulator.console_refund("order_1", 1700)
    [form] = posted(lab)
    assert (form["out_biz_no"], form["refund_fee"]) == (refund.out_request_no, "17.00")
    known = lab.call("fastpay.refund.query", out_trade_no="order_1", out_request_no=refund.out_request_no)
    assert known["refund_amount"] == "17.00"
    assert lab.refund("order_1", "50.00", "r1")["refund_fee"] == "67.00"


@pytest.mark.parametrize(
    ("amount", "state", "code"),
    [
        (11701, "paid", "ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        (1, "waiting", "ACQ.TRADE_STATUS_ERROR"),
        (1, "none", "ACQ.TRADE_NOT_EXIST"),
        (1, "frozen", "ACQ.REASON_TRADE_BEEN_FREEZEN"),
    ],
)
def test_the_console_keeps_the_rules_too(lab, amount, state, code):
    lab.buy("paid")
    lab.scan("waiting")
    lab.simulator.trades.freeze(lab.buy("frozen"), frozen=True)
    with pytest.raises(Exception, match=code.replace(".", r"\.")):
        lab.simulator.console_refund(state, amount)


def test_a_refund_may_be_told_of_before_the_payment_was_heard(lab):
    """The merchant was down when it was paid: the retry of `paid` comes after the refund's notify."""
    lab.buy("order_1")
    lab.post(b"fail")
    lab.refund("order_1", "17.00")
    [refund] = posted(lab)
    assert "refund_fee" in refund
    lab.simulator.advance(240)
    [paid] = posted(lab)
    assert "refund_fee" not in paid
    assert paid["notify_time"] == "2026-01-01 12:04:00"


@pytest.mark.parametrize("settings", [{"triggers": frozenset({"x"})}, {"seller_balance": "-1"}, {"refund_window": -1}])
def test_settings_that_make_no_sense_stop_the_start(new_lab, settings):
    with pytest.raises(ValueError, match=r"trigger|yuan|window"):
        new_lab(**settings)
