"""close, refund and refund query, to the letter of Alipay's documentation (protocol 5.2 to 5.5), and the money book."""

import pytest

OK = {"code": "10000", "msg": "Success"}


def sub_code(reply):
    return reply.get("sub_code", "")


def moved(lab, number="order_1"):
    account = lab.simulator.money().get(number, {"paid_fen": 0, "refunded_fen": 0})
    return account["paid_fen"], account["refunded_fen"]


# close


def test_closing_a_waiting_trade_answers_with_its_two_numbers(lab):
    session = lab.scan("order_1")
    trade_no = lab.call("query", out_trade_no="order_1")["trade_no"]
    assert lab.call("close", trade_no=trade_no) == {**OK, "out_trade_no": "order_1", "trade_no": trade_no}
    assert lab.status("order_1") == "TRADE_CLOSED"
    with pytest.raises(Exception, match=r"ACQ\.TRADE_HAS_CLOSE"):
        lab.simulator.pay(session)
    assert moved(lab) == (0, 0)


def test_only_a_waiting_trade_can_be_closed(lab):
    lab.open("unvisited")
    assert sub_code(lab.call("close", out_trade_no="unvisited")) == "ACQ.TRADE_NOT_EXIST"
    lab.scan("closed")
    lab.call("close", out_trade_no="closed")
    assert sub_code(lab.call("close", out_trade_no="closed")) == "ACQ.TRADE_STATUS_ERROR"
    lab.buy("paid")
    assert sub_code(lab.call("close", out_trade_no="paid")) == "ACQ.TRADE_STATUS_ERROR"
    assert lab.status("paid") == "TRADE_SUCCESS"
    assert sub_code(lab.call("close")) == "ACQ.INVALID_PARAMETER"
    assert sub_code(lab.call("close", out_trade_no="paid", operator_id="x" * 29)) == "ACQ.INVALID_PARAMETER"


def test_cancel_is_refused_and_refunds_nothing(lab):
    lab.buy("order_1")
    assert sub_code(lab.call("cancel", out_trade_no="order_1")) == "ACQ.CANCEL_NOT_ALLOWED"
    assert lab.status("order_1") == "TRADE_SUCCESS"
    assert moved(lab) == (11700, 0)


# refund


def test_the_reply_of_a_refund_has_the_documented_keys(lab):
    trade = lab.buy("order_1")
    assert lab.refund("order_1", "17.00") == {
        **OK,
        "buyer_logon_id": "buy***@example.com",
        "buyer_user_id": lab.call("query", out_trade_no="order_1")["buyer_user_id"],
        "fund_change": "Y",
        "gmt_refund_pay": "2026-01-01 12:00:00",
        "out_trade_no": "order_1",
        "refund_fee": "17.00",
        "send_back_fee": "17.00",
        "trade_no": trade.trade_no,
    }
    assert lab.status("order_1") == "TRADE_SUCCESS"


def test_refund_fee_is_the_sum_and_the_whole_sum_closes_the_trade(lab):
    lab.buy("order_1")
    assert lab.refund("order_1", "17.00", "r1")["refund_fee"] == "17.00"
    assert lab.refund("order_1", "50", "r2")["refund_fee"] == "67.00"
    assert lab.status("order_1") == "TRADE_SUCCESS"
    assert lab.refund("order_1", "50.0", "r3")["refund_fee"] == "117.00"
    assert lab.status("order_1") == "TRADE_CLOSED"
    assert "send_pay_date" in lab.call("query", out_trade_no="order_1")
    assert moved(lab) == (11700, 11700)


def test_one_number_moves_money_once(lab):
    lab.buy("order_1")
    first = lab.refund("order_1", "17.00")
    lab.simulator.advance(60)
    again = lab.refund("order_1", "17.0")
    assert again == {**first, "fund_change": "N", "send_back_fee": "0.00"}
    assert moved(lab) == (11700, 1700)
    assert sub_code(lab.refund("order_1", "18.00")) == "ACQ.DISCORDANT_REPEAT_REQUEST"
    assert moved(lab) == (11700, 1700)


def test_a_repeat_is_answered_even_when_the_trade_is_over(lab):
    lab.buy("order_1")
    lab.refund("order_1", "117.00")
    assert lab.refund("order_1", "117.00")["fund_change"] == "N"
    assert sub_code(lab.refund("order_1", "1.00", "r2")) == "ACQ.TRADE_HAS_CLOSE"


def test_a_number_belongs_to_its_trade(lab):
    for number in ("order_1", "order_2"):
        lab.buy(number)
        assert lab.refund(number, "1.00", "same")["fund_change"] == "Y"
    assert moved(lab, "order_2") == (11700, 100)


def test_not_a_cent_too_much(lab):
    lab.buy("order_1")
    assert sub_code(lab.refund("order_1", "117.01")) == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    lab.refund("order_1", "100.00", "r2")
    assert sub_code(lab.refund("order_1", "17.01")) == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    assert lab.refund("order_1", "17.00")["fund_change"] == "Y"
    assert moved(lab) == (11700, 11700)


def test_a_partial_refund_needs_a_number(lab):
    lab.buy("order_1")
    assert sub_code(lab.refund("order_1", "1.00", None)) == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    lab.refund("order_1", "1.00", "r1")
    assert sub_code(lab.refund("order_1", "116.00", None)) == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    lab.buy("order_2")
    assert lab.refund("order_2", "117.00", None)["fund_change"] == "Y"
    assert lab.refund("order_2", "117.00", None)["fund_change"] == "N"
    known = lab.call("fastpay.refund.query", out_trade_no="order_2", out_request_no="order_2")
    assert known["refund_status"] == "REFUND_SUCCESS"


def test_what_was_not_paid_cannot_come_back(lab):
    assert sub_code(lab.refund("order_1", "1.00")) == "ACQ.TRADE_NOT_EXIST"
    lab.scan("order_1")
    assert sub_code(lab.refund("order_1", "1.00")) == "ACQ.TRADE_STATUS_ERROR"
    lab.call("close", out_trade_no="order_1")
    assert sub_code(lab.refund("order_1", "1.00")) == "ACQ.TRADE_HAS_CLOSE"
    assert moved(lab) == (0, 0)


@pytest.mark.parametrize("amount", ["0.00", "-1.00", "1.001", "1e2", "x", 1, 1.5])
def test_an_amount_that_is_none_has_its_own_code(lab, amount):
    lab.buy("order_1")
    assert sub_code(lab.refund("order_1", amount)) == "ACQ.REFUND_FEE_ERROR"


@pytest.mark.parametrize(
    "biz",
    [
        {"refund_amount": None},
        {"refund_amount": ""},
        {"out_request_no": "x" * 65},
        {"refund_reason": "x" * 257},
        {"out_trade_no": None},
    ],
)
def test_refund_fields_have_their_lengths(lab, biz):
    lab.buy("order_1")
    assert sub_code(lab.refund("order_1", "1.00", **biz)) == "ACQ.INVALID_PARAMETER"
    assert moved(lab) == (11700, 0)


def test_after_the_window_nothing_is_refunded(new_lab):
    lab = new_lab(refund_window=3600)
    lab.buy("order_1")
    lab.refund("order_1", "1.00", "early")
    lab.simulator.advance(3599)
    assert lab.status("order_1") == "TRADE_SUCCESS"
    lab.simulator.advance(1)
    assert lab.status("order_1") == "TRADE_FINISHED"
    assert sub_code(lab.refund("order_1", "1.00", "late")) == "ACQ.TRADE_HAS_FINISHED"
    assert lab.refund("order_1", "1.00", "early")["fund_change"] == "N"
    assert sub_code(lab.call("close", out_trade_no="order_1")) == "ACQ.TRADE_STATUS_ERROR"
    assert "trade.finished" in lab.kinds()


def test_a_contract_without_refunds_finishes_at_once_and_still_tells_of_the_payment(new_lab):
    lab = new_lab(refund_window=0)
    lab.buy("order_1")
    assert lab.status("order_1") == "TRADE_FINISHED"
    [form] = lab.post()
    assert (form["trade_status"], form["receipt_amount"]) == ("TRADE_FINISHED", "117.00")


def test_the_sellers_balance_is_a_limit(new_lab):
    lab = new_lab(seller_balance="10.00")
    lab.buy("order_1")
    assert sub_code(lab.refund("order_1", "10.01")) == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    assert lab.refund("order_1", "9.00", "r2")["fund_change"] == "Y"
    assert sub_code(lab.refund("order_1", "1.01")) == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    lab.simulator.rules.change({"seller_balance": None})
    assert lab.refund("order_1", "1.01")["refund_fee"] == "10.01"


def test_a_frozen_trade_gives_nothing_back(lab):
    trade = lab.buy("order_1")
    lab.simulator.trades.freeze(trade, frozen=True)
    assert sub_code(lab.refund("order_1", "1.00")) == "ACQ.REASON_TRADE_BEEN_FREEZEN"
    lab.simulator.trades.freeze(trade, frozen=False)
    assert lab.refund("order_1", "1.00")["fund_change"] == "Y"


# refund query


def test_a_known_refund_has_the_documented_keys(lab):
    trade = lab.buy("order_1")
    lab.refund("order_1", "17.00", "r1", refund_reason="不想学了")
    lab.refund("order_1", "20.00", "r2")
    known = {
        **OK,
        "out_request_no": "r1",
        "out_trade_no": "order_1",
        "refund_amount": "17.00",
        "refund_reason": "不想学了",
        "refund_status": "REFUND_SUCCESS",
        "total_amount": "117.00",
        "trade_no": trade.trade_no,
    }
    assert lab.call("fastpay.refund.query", trade_no=trade.trade_no, out_request_no="r1") == known
    asked = lab.call(
        "fastpay.refund.query", out_trade_no="order_1", out_request_no="r1", query_options=["gmt_refund_pay"]
    )
    assert asked == {**known, "gmt_refund_pay": "2026-01-01 12:00:00"}
    assert "refund_reason" not in lab.call("fastpay.refund.query", out_trade_no="order_1", out_request_no="r2")


def test_an_unknown_refund_is_a_bare_success(lab):
    lab.buy("order_1")
    assert lab.call("fastpay.refund.query", out_trade_no="order_1", out_request_no="r1") == OK


def test_a_refund_query_needs_a_trade_and_a_number(lab):
    assert sub_code(lab.call("fastpay.refund.query", out_trade_no="none", out_request_no="r1")) == "ACQ.TRADE_NOT_EXIST"
    lab.buy("order_1")
    assert sub_code(lab.call("fastpay.refund.query", out_trade_no="order_1")) == "ACQ.INVALID_PARAMETER"
    assert sub_code(lab.call("fastpay.refund.query", out_request_no="r1")) == "ACQ.INVALID_PARAMETER"
    options = {"out_trade_no": "order_1", "out_request_no": "r1", "query_options": "gmt_refund_pay"}
    assert sub_code(lab.call("fastpay.refund.query", **options)) == "ACQ.INVALID_PARAMETER"


# the book


def test_the_journal_holds_every_movement_of_money(lab):
    lab.buy("order_1")
    lab.refund("order_1", "17.00", "r1")
    lab.refund("order_1", "17.00", "r1")
    lab.simulator.console_refund("order_1", 100, "客服")
    rows = lab.simulator.book.all("SELECT kind, amount_fen FROM events WHERE amount_fen != 0 ORDER BY seq")
    assert [tuple(row) for row in rows] == [("payment.received", 11700), ("refund.paid", -1700), ("refund.paid", -100)]
    account = lab.simulator.money("order_1")["order_1"]
    first, second = account["refunds"]
    assert (first["out_request_no"], first["amount_fen"], first["source"]) == ("r1", 1700, "app")
    assert (second["amount_fen"], second["source"]) == (100, "console")
    assert lab.simulator.money("other") == {}
