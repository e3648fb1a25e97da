"""Close, refund and refund query: what each word of Alipay's means."""

import json
from urllib.parse import parse_qsl

import pytest
from alipay_world import (
    CALLS,
    CLOSED,
    FEN,
    FOUND_REFUND,
    NUMBER,
    REFUND_NO,
    REFUNDED,
    answer,
    changed,
    http,
    make,
    refund_request,
    refusal,
)
from hypothesis import given
from hypothesis import strategies as st

from backend.money import MAX_FEN
from backend.payments.providers.alipay_refund import found_refund, refunded
from backend.payments.providers.alipay_refusals import FOR_GOOD, FOR_NOW
from backend.payments.providers.alipay_values import clean_reason
from backend.payments.providers.base import CloseResult, ProviderUnavailable, RefundResult, RefundState

SUCCEEDED, NOT_SEEN = RefundState.SUCCEEDED, RefundState.NOT_SEEN


def say(gateway, name, node, **request):
    """The outcome of the call ``name`` when the gateway signs ``node``."""
    gateway.script = http(answer(node, name=CALLS[name].node))
    alipay = make(gateway_url=gateway.url)
    if name == "close":
        return alipay.close(NUMBER)
    return getattr(alipay, name)(refund_request(**request))


def no(sub_code, **more):
    return refusal("40004", sub_code, **more)


# Close


@pytest.mark.parametrize("changes", [{}, {"out_trade_no": None}, {"trade_no": None, "out_trade_no": None}])
def test_a_close_that_worked(gateway, changes):
    assert say(gateway, "close", changed(CLOSED, changes)) is CloseResult.CLOSED


@pytest.mark.parametrize("more", [{}, {"out_trade_no": NUMBER}])
@pytest.mark.parametrize("sub_code", ["ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"])
def test_a_close_of_a_trade_that_is_none(gateway, sub_code, more):
    assert say(gateway, "close", no(sub_code, **more)) is CloseResult.NOT_FOUND


@pytest.mark.parametrize(
    "sub_code",
    [
        "ACQ.TRADE_STATUS_ERROR",
        "ACQ.REASON_TRADE_STATUS_INVALID",
        "ACQ.REASON_ILLEGAL_STATUS",
        "ACQ.TRADE_HAS_SUCCESS",
        "ACQ.TRADE_HAS_CLOSE",
        "TRADE_HAS_CLOSE",
        "AQC.TRADE_HAS_CLOSE",
        "ACQ.SOME_STATUS_WORD",
    ],
)
def test_a_close_of_a_trade_that_waits_no_more(gateway, sub_code):
    assert say(gateway, "close", no(sub_code)) is CloseResult.STATUS_CHANGED


# Refund: yes


def test_a_refund_that_moved_the_money_tells_the_sum_of_the_trade(gateway):
    assert say(gateway, "refund", REFUNDED) == RefundResult(SUCCEEDED, refunded_fen=4700)


@pytest.mark.parametrize(("told", "fen"), [("17.00", 1700), ("117.00", 11700), ("99999999.99", MAX_FEN), (None, None)])
def test_the_sum_of_the_trade_is_this_refund_or_more(gateway, told, fen):
    assert say(gateway, "refund", changed(REFUNDED, {"refund_fee": told})) == RefundResult(SUCCEEDED, fen)


@pytest.mark.parametrize("told", ["16.99", "0.00"])
def test_money_moved_but_less_in_all_than_this_refund_is_unknown(gateway, told):
    with pytest.raises(ProviderUnavailable, match="less is refunded"):
        say(gateway, "refund", REFUNDED | {"refund_fee": told})


@pytest.mark.parametrize("fund_change", ["Y", "N"])
@pytest.mark.parametrize("told", [47, 47.5, True, [], "47", "4.7e1", "４７.00", "-47.00", "", "100000000.00"])
def test_a_sum_that_cannot_be_read_is_unknown(gateway, told, fund_change):
    with pytest.raises(ProviderUnavailable):
        say(gateway, "refund", REFUNDED | {"refund_fee": told, "fund_change": fund_change})


@pytest.mark.parametrize("word", ["N", None])
@pytest.mark.parametrize(("told", "fen"), [("47.00", 4700), ("0.00", 0), (None, None)])
def test_a_call_that_moved_nothing_is_not_seen(gateway, word, told, fen):
    node = changed(REFUNDED, {"fund_change": word, "refund_fee": told})
    assert say(gateway, "refund", node) == RefundResult(NOT_SEEN, refunded_fen=fen)


@pytest.mark.parametrize("word", ["y", "n", "", "YES", "Y ", True, 1, ["Y"], {}])
def test_another_word_for_moved_money_is_unknown(gateway, word):
    with pytest.raises(ProviderUnavailable, match="whether the money moved"):
        say(gateway, "refund", REFUNDED | {"fund_change": word})


@pytest.mark.parametrize("fund_change", ["Y", "N"])
@pytest.mark.parametrize(
    "changes",
    [
        {"out_trade_no": None},
        {"out_trade_no": "C20260131A_0002"},
        {"out_request_no": "R20260201_0002"},
        {"out_request_no": None, "out_trade_no": NUMBER.lower()},
        {"refund_amount": "17.01"},
    ],
)
def test_the_answer_to_another_refund_is_unknown(gateway, changes, fund_change):
    with pytest.raises(ProviderUnavailable):
        say(gateway, "refund", changed(REFUNDED | {"fund_change": fund_change}, changes))


def test_an_answer_that_repeats_our_numbers_is_ours(gateway):
    ours = REFUNDED | {"out_request_no": REFUND_NO, "refund_amount": "17.00", "refund_reason": "anything"}
    assert say(gateway, "refund", ours, reason="x").state is SUCCEEDED


# Refund: what is asked


def asked(gateway):
    return json.loads(dict(parse_qsl(gateway.requests[-1][1]))["biz_content"])


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("", None),
        ("  \t\n", None),
        ("{}&=", None),
        ("买错了", "买错了"),
        ('he said {"refund_amount":"117.00"}', "he said refund_amount 117.00"),
        ("}", None),
        ("a}}b{c&refund_amount=1", "a b c refund_amount 1"),
        ("x" * 300, "x" * 256),
        ("\ud800a\x00", "a"),
    ],
)
def test_the_reason_is_cleaned_and_left_out_when_nothing_remains(gateway, reason, sent):
    assert say(gateway, "refund", REFUNDED, reason=reason).state is SUCCEEDED
    assert asked(gateway).get("refund_reason") == sent
    assert asked(gateway).keys() - {"refund_reason"} == {"out_trade_no", "out_request_no", "refund_amount"}


@given(st.text())
def test_no_text_becomes_an_unsafe_reason(text):
    reason = clean_reason(text)
    assert len(reason) <= 256
    assert reason == reason.strip()
    assert all(letter in " -_.·" or letter.isalnum() or letter == "ー" for letter in reason)
    assert clean_reason(reason) == reason


@pytest.mark.parametrize(("fen", "sent"), [(1, "0.01"), (10, "0.10"), (MAX_FEN, "99999999.99")])
def test_the_amount_is_sent_in_yuan(gateway, fen, sent):
    total = {"refund_fee": "99999999.99"}
    assert say(gateway, "refund", REFUNDED | total, amount_fen=fen).state is SUCCEEDED
    assert asked(gateway)["refund_amount"] == sent


@pytest.mark.parametrize("fen", [0, -1, MAX_FEN + 1])
def test_an_amount_that_is_none_is_not_sent(gateway, fen):
    with pytest.raises(ProviderUnavailable, match="not asked"):
        say(gateway, "refund", REFUNDED, amount_fen=fen)
    assert gateway.requests == []


@pytest.mark.parametrize("name", ["refund", "query_refund"])
@pytest.mark.parametrize("number", ["", None, "a-b", "a b", "单", "R\n", "x" * 65])
def test_without_a_refund_number_nothing_is_sent(gateway, name, number):
    with pytest.raises(ProviderUnavailable, match="not asked: no refund number"):
        say(gateway, name, CALLS[name].yes, out_request_no=number)
    assert gateway.requests == []


def test_a_refund_number_may_have_64_characters(gateway):
    number = "x" * 64
    assert say(gateway, "refund", REFUNDED, out_request_no=number).state is SUCCEEDED
    assert asked(gateway)["out_request_no"] == number


# Refund: no. The words are those of section 5.4, written out: the adapter's own table must not vouch for itself.

WAITING_WORDS = {"SELLER_BALANCE_NOT_ENOUGH"}
FAILED_WORDS = {
    "REASON_TRADE_BEEN_FREEZEN",
    "REASON_TRADE_REFUND_FEE_ERR",
    "REFUND_FEE_ERROR",
    "REFUND_AMT_NOT_EQUAL_TOTAL",
    "TRADE_NOT_EXIST",
    "TRADE_HAS_CLOSE",
    "TRADE_STATUS_ERROR",
    "REASON_TRADE_STATUS_INVALID",
    "TRADE_HAS_FINISHED",
    "TRADE_NOT_ALLOW_REFUND",
    "NOT_ALLOW_PARTIAL_REFUND",
    "DISCORDANT_REPEAT_REQUEST",
    "INVALID_PARAMETER",
    "BUYER_NOT_EXIST",
    "BUYER_ENABLE_STATUS_FORBID",
    "BUYER_ERROR",
    "USER_NOT_MATCH_ERR",
    "CURRENCY_NOT_SUPPORT",
    "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
    "ALLOC_AMOUNT_VALIDATE_ERROR",
    "TRADE_SETTLE_ERROR",
    "REFUND_CHARGE_ERROR",
    "ENTERPRISE_PAY_BIZ_ERROR",
    "OVERDRAFT_ASSIGN_ACCOUNT_INVALID",
    "OVERDRAFT_AGREEMENT_NOT_MATCH",
    "REFUND_ACCOUNT_NOT_EXIST",
    "CUSTOMER_VALIDATE_ERROR",
    "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST",
    "REFUNDALLOC_UNAUTH_LIMIT",
}


def test_the_tables_hold_the_documented_words_and_no_others():
    assert FOR_NOW == WAITING_WORDS
    assert FOR_GOOD == FAILED_WORDS


@pytest.mark.parametrize("prefix", ["ACQ.", ""])
@pytest.mark.parametrize("word", sorted(FAILED_WORDS | WAITING_WORDS))
def test_a_documented_refusal_of_a_refund(gateway, word, prefix):
    state = RefundState.WAITING if word in WAITING_WORDS else RefundState.FAILED
    told = say(gateway, "refund", no(prefix + word, refund_fee="0.00"))
    assert told == RefundResult(state, code=prefix + word, message="没有")


@pytest.mark.parametrize(
    "sub_code",
    ["ACQ.TRADE_HAS_SUCCESS", "ACQ.NEW_STATUS_WORD", "ACQ.trade_not_exist", "isv.TRADE_NOT_EXIST", "ACQ.", "ACQ. X\n"],
)
def test_an_undocumented_refusal_of_a_refund_is_unknown(gateway, sub_code):
    with pytest.raises(ProviderUnavailable, match="does not settle the refund") as caught:
        say(gateway, "refund", no(sub_code))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("more", [{"out_request_no": "R2"}, {"out_trade_no": "C2"}])
def test_the_refusal_of_another_refund_is_unknown(gateway, more):
    with pytest.raises(ProviderUnavailable, match="another request"):
        say(gateway, "refund", no("ACQ.REASON_TRADE_REFUND_FEE_ERR", **more))


# Refund query


@pytest.mark.parametrize("total", ["117.00", "0.00", "x", 5, None])
def test_a_refund_that_is_done_whatever_the_total_of_the_trade(gateway, total):
    assert say(gateway, "query_refund", changed(FOUND_REFUND, {"total_amount": total})) == RefundResult(SUCCEEDED)


@pytest.mark.parametrize("node", [{"code": "10000", "msg": "Success"}, changed(FOUND_REFUND, {"refund_status": None})])
def test_an_answer_without_a_status_has_not_seen_the_refund(gateway, node):
    assert say(gateway, "query_refund", node) == RefundResult(NOT_SEEN)


@pytest.mark.parametrize("status", ["REFUND_PROCESSING", "REFUND_FAIL", "refund_success", "", True, ["REFUND_SUCCESS"]])
def test_another_status_is_unknown(gateway, status):
    with pytest.raises(ProviderUnavailable, match="status"):
        say(gateway, "query_refund", FOUND_REFUND | {"refund_status": status})


@pytest.mark.parametrize(
    "changes",
    [
        {"refund_amount": "17.01"},
        {"refund_amount": "117.00"},
        {"refund_amount": None},
        *({"refund_amount": amount} for amount in (17, True, [], "17", "17.0", "１７.00", "")),
        {"out_request_no": None},
        {"out_request_no": "R20260201_0002"},
        {"out_request_no": REFUND_NO.lower()},
        {"out_trade_no": None},
        {"out_trade_no": "C20260131A_0002"},
    ],
)
def test_a_done_refund_that_is_not_this_very_one_is_unknown(gateway, changes):
    with pytest.raises(ProviderUnavailable):
        say(gateway, "query_refund", changed(FOUND_REFUND, changes))


@pytest.mark.parametrize("changes", [{"out_request_no": "R2"}, {"out_trade_no": "C2"}])
def test_that_another_refund_is_not_seen_says_nothing_of_ours(gateway, changes):
    with pytest.raises(ProviderUnavailable, match="another request"):
        say(gateway, "query_refund", changed(FOUND_REFUND, changes | {"refund_status": None}))


@pytest.mark.parametrize("sub_code", ["ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"])
def test_without_a_trade_there_is_no_refund(gateway, sub_code):
    assert say(gateway, "query_refund", no(sub_code)) == RefundResult(NOT_SEEN, code=sub_code, message="没有")


@pytest.mark.parametrize("word", sorted((FAILED_WORDS | WAITING_WORDS) - {"TRADE_NOT_EXIST"}))
def test_no_refusal_of_the_question_fails_the_refund(gateway, word):
    with pytest.raises(ProviderUnavailable, match=word):
        say(gateway, "query_refund", no(f"ACQ.{word}"))


# Whatever the fields say together


VALUES = {
    "out_trade_no": st.sampled_from([NUMBER, "C2", None]),
    "out_request_no": st.sampled_from([REFUND_NO, "R2", None]),
    "refund_amount": st.sampled_from(["17.00", "17.01", "117.00", 17, None]),
    "refund_status": st.sampled_from(["REFUND_SUCCESS", "REFUND_CLOSED", None]),
    "refund_fee": st.sampled_from(["17.00", "16.99", "47.00", "x", None]),
    "fund_change": st.sampled_from(["Y", "N", "?", None]),
}


@given(st.fixed_dictionaries(VALUES))
def test_a_refund_has_happened_only_when_every_word_agrees(fields):
    node = changed(fields, {})
    agrees = {
        refunded: (fields["out_trade_no"], fields["fund_change"]) == (NUMBER, "Y")
        and fields["refund_fee"] in {"17.00", "47.00", None},
        found_refund: (fields["out_trade_no"], fields["out_request_no"]) == (NUMBER, REFUND_NO)
        and (fields["refund_status"], fields["refund_amount"]) == ("REFUND_SUCCESS", "17.00"),
    }
    for read, yes in agrees.items():
        try:
            state = read(node, refund_request(amount_fen=FEN)).state
        except ProviderUnavailable:
            state = None
        assert (state is SUCCEEDED) == yes
