"""Notifies and returns: what is believed, and every way in which one is refused."""

import re
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import unquote_plus, urlencode, urlsplit

import pytest
from alipay_world import (
    APP_ID,
    NUMBER,
    TRADE_NO,
    canonical,
    changed,
    form,
    make,
    notice,
    returned,
    sign,
    signed,
    vector,
)
from cryptography.hazmat.primitives import hashes
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from backend.payments.providers.base import BadSignature, MessageRefused, Notice, ReturnClaim, Trade, TradeState

PAID_AT = datetime(2026, 1, 31, 4, 0, 10, tzinfo=UTC)


def refused(alipay, body, headers=None):
    """The reason for which ``body`` is refused as a notify."""
    with pytest.raises(MessageRefused) as caught:
        alipay.parse_notification(body if isinstance(body, bytes) else form(body), headers or {})
    assert isinstance(caught.value, BadSignature) == (caught.value.reason == MessageRefused.BAD_SIGNATURE)
    return caught.value.reason


def refused_return(alipay, query):
    with pytest.raises(MessageRefused) as caught:
        alipay.parse_return(query)
    return caught.value.reason


# What is believed


def test_a_paid_notice(alipay):
    assert alipay.parse_notification(form(notice()), {}) == Notice(
        notify_id="2026013101222162644199160501632046",
        trade_status="TRADE_SUCCESS",
        trade=Trade("alipay", NUMBER, TRADE_NO, TradeState.PAID, 11700, paid_at=PAID_AT),
    )


def test_a_partial_refund_is_told_beside_trade_success(alipay):
    body = form(notice(refund_fee="17.00", gmt_refund="2026-02-01 09:00:00.123", out_biz_no="R1"))
    trade = alipay.parse_notification(body, {}).trade
    assert trade == Trade("alipay", NUMBER, TRADE_NO, TradeState.PAID, 11700, PAID_AT, 1700, "R1")


def test_a_full_refund_closes_the_trade(alipay):
    body = form(notice(trade_status="TRADE_CLOSED", refund_fee="117.00", gmt_refund="2026-02-01 09:00:00.123"))
    trade = alipay.parse_notification(body, {}).trade
    assert trade == Trade("alipay", NUMBER, TRADE_NO, TradeState.CLOSED, 11700, PAID_AT, 11700, None)


def test_a_closed_unpaid_trade(alipay):
    body = form(notice(trade_status="TRADE_CLOSED", gmt_payment=None, gmt_close="2026-01-31 12:30:00"))
    assert alipay.parse_notification(body, {}).trade == Trade("alipay", NUMBER, TRADE_NO, TradeState.CLOSED, 11700)


def test_out_biz_no_without_a_refund_names_no_refund(alipay):
    assert alipay.parse_notification(form(notice(out_biz_no="R1")), {}).trade.refund_request_no is None


def test_gmt_refund_alone_names_the_refund_but_no_sum(alipay):
    trade = alipay.parse_notification(form(notice(out_biz_no="R1", gmt_refund="2026-02-01 09:00:00.123")), {}).trade
    assert (trade.refunded_fen, trade.refund_request_no) == (None, "R1")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("WAIT_BUYER_PAY", TradeState.PENDING),
        ("TRADE_SUCCESS", TradeState.PAID),
        ("TRADE_FINISHED", TradeState.PAID),
        ("TRADE_CLOSED", TradeState.CLOSED),
    ],
)
def test_every_status(alipay, word, state):
    told = alipay.parse_notification(form(notice(trade_status=word)), {})
    assert (told.trade_status, told.trade.state) == (word, state)


@pytest.mark.parametrize("spelling", ["2026-13-31 12:00:00", "31/01/2026", "2026-01-31T12:00:00+00:00"])
def test_a_time_that_cannot_be_read_does_not_lose_the_money(alipay, spelling):
    trade = alipay.parse_notification(form(notice(gmt_payment=spelling)), {}).trade
    assert (trade.state, trade.paid_at) == (TradeState.PAID, None)


@pytest.mark.parametrize(
    "change",
    [
        {"buyer_id": None, "buyer_open_id": "abc"},
        {"charset": "UTF-8"},
        {"charset": None},
        {"merchant_app_id": APP_ID, "brand_new_field": "值 & more"},
        {"passback_params": "a=b"},
    ],
)
def test_fields_that_come_and_go_are_tolerated(alipay, change):
    assert alipay.parse_notification(form(notice(**change)), {}).trade.out_trade_no == NUMBER


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded;charset=UTF-8",
        'application/x-www-form-urlencoded; charset="utf-8"',
        "application/x-www-form-urlencoded; text/html; charset=utf-8",
        "",
    ],
)
@pytest.mark.parametrize("header", ["Content-Type", "content-type"])
def test_every_content_type_that_alipay_was_seen_to_send(alipay, header, content_type):
    assert alipay.parse_notification(form(notice()), {header: content_type}).trade.amount_fen == 11700


def test_a_blank_field_says_nothing(alipay):
    body = form(notice()) + b"&refund_fee=&gmt_refund=&out_biz_no=&body="
    assert alipay.parse_notification(body, {}) == alipay.parse_notification(form(notice()), {})


def sample_adapter(sample):
    return make(
        app_id=sample["params"]["app_id"],
        seller_id=sample["params"]["seller_id"],
        alipay_public_keys=[sample["alipay_public_key_pem"]],
    )


def test_the_vector_of_a_real_notify():
    sample = vector("yansongda_notify_trade_success")
    told = sample_adapter(sample).parse_notification(sample["form_body"].encode(), {})
    assert told == Notice(
        "2023122101222162644199160501632046",
        "TRADE_SUCCESS",
        Trade(
            "alipay",
            "1703147160",
            "2023122122001499160501589436",
            TradeState.PAID,
            1,
            paid_at=datetime(2023, 12, 21, 8, 26, 43, tzinfo=UTC),
        ),
    )


@pytest.mark.parametrize("mark", ["", "?"])
def test_the_vector_of_a_real_return(mark):
    sample = vector("yansongda_page_pay_return")
    claim = sample_adapter(sample).parse_return(mark + urlsplit(sample["url"]).query)
    assert claim == ReturnClaim("1703141270", "2023122122001499160501586202", 1)


# What is refused, and why: the reasons stand in the order of the checks


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a=" + b"x" * 16383, "too_large"),
        (b"a=" + b"x" * 16382, "missing_field"),
        (b"", "missing_field"),
        (b"a", "malformed"),
        (b"a=1&&b=2", "malformed"),
        (b"a=\xff", "malformed"),
        (b"a=%FF", "malformed"),
        (b"subject=%D6%A7%B8%B6", "malformed"),  # GBK
        (b"a=%zz", "malformed"),
        (b"a=%4", "malformed"),
        (b"a=1%00", "malformed"),
        (b"a%0D%0A=1", "malformed"),
        (b"&".join(b"a%d=1" % n for n in range(101)), "malformed"),
        (b'{"a": 1}', "malformed"),
        (b"charset=GBK", "malformed"),
        (b"a=1&a=1", "duplicate_field"),
        (b"a=1&%61=2", "duplicate_field"),
        (b"a=&a=1", "duplicate_field"),
    ],
)
def test_a_body_that_is_no_proper_form(alipay, body, reason):
    assert refused(alipay, body) == reason


def test_every_field_of_a_genuine_notice_said_twice_is_refused(alipay):
    fields = notice()
    for name, value in fields.items():
        for second in (value, "other"):
            assert refused(alipay, form(fields) + b"&" + urlencode({name: second}).encode()) == "duplicate_field"


@pytest.mark.parametrize("charset", ["GBK", "gb18030", "iso-8859-1"])
def test_a_charset_other_than_utf8_is_refused(alipay, charset):
    header = f"application/x-www-form-urlencoded; charset={charset}"
    assert refused(alipay, notice(), {"CONTENT-TYPE": header}) == "malformed"
    assert refused(alipay, notice(charset=charset)) == "malformed"


REQUIRED = [
    *("notify_type", "notify_id", "trade_status", "app_id", "seller_id"),
    *("out_trade_no", "trade_no", "total_amount"),
]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", " ", "\u3000"])
def test_a_required_field_that_is_missing_or_blank(alipay, name, value):
    assert refused(alipay, notice(**{name: value})) == "missing_field"


@pytest.mark.parametrize("name", ["sign", "sign_type"])
@pytest.mark.parametrize("value", [None, "", " "])
def test_no_signature_at_all(alipay, name, value):
    assert refused(alipay, changed(notice(), {name: value})) == "missing_field"


def test_the_signature_under_a_name_in_capitals_is_none(alipay):
    fields = notice()
    assert refused(alipay, changed(fields, {"sign": None, "SIGN": fields["sign"]})) == "missing_field"


def test_a_return_posted_as_a_notify(alipay):
    assert refused(alipay, returned()) == "missing_field"


def test_a_return_dressed_up_with_a_signed_notifys_fields_has_no_signature_for_them(alipay):
    dressed = returned() | {"notify_type": "trade_status_sync", "notify_id": "1", "trade_status": "TRADE_SUCCESS"}
    assert refused(alipay, dressed) == "bad_signature"


@pytest.mark.parametrize("word", ["fund_bill_sync", "TRADE_STATUS_SYNC", "trade_status_sync "])
def test_a_notify_of_another_type(alipay, word):
    assert refused(alipay, notice(notify_type=word)) == "wrong_type"


@pytest.mark.parametrize(
    ("name", "most"), [("out_trade_no", 64), ("trade_no", 64), ("out_biz_no", 64), ("notify_id", 128)]
)
def test_a_number_longer_than_any_the_protocol_has(alipay, name, most):
    alipay.parse_notification(form(notice(**{name: "1" * most})), {})
    assert refused(alipay, notice(**{name: "1" * (most + 1)})) == "malformed"


def test_another_app(alipay):
    assert refused(alipay, notice(app_id="9021000122682883")) == "wrong_app"


FORGERIES = {
    "of another key": lambda fields: signed(fields, by="stranger")["sign"],
    "of another notice": lambda fields: notice(notify_id="other")["sign"],
    "of a return": lambda fields: returned()["sign"],
    "over SHA-1": lambda fields: sign(canonical(fields), algorithm=hashes.SHA1()),
    "over sign_type too": lambda fields: sign("&".join(f"{k}={v}" for k, v in sorted(fields.items()) if k != "sign")),
    "a word": lambda fields: "abc",
    "the word None": lambda fields: "None",
    "not ASCII": lambda fields: "签名" * 40,
    "short": lambda fields: "QUJD",
    "long": lambda fields: fields["sign"] + fields["sign"],
    "cut": lambda fields: fields["sign"][:-4],
    "with junk after it": lambda fields: fields["sign"] + "!!",
    "with a space in it": lambda fields: fields["sign"][:99] + " " + fields["sign"][99:],
    "with another last letter of the same bytes": lambda fields: other_spelling(fields["sign"]),
    "zeros": lambda fields: "A" * 342 + "==",
}


def other_spelling(signature):
    """256 bytes leave 4 unused bits in the last letter: base64 has other spellings of the same bytes."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = letters[letters.index(signature[-3]) + 1]
    return signature[:-3] + last + "=="


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_signature(alipay, forge):
    fields = notice()
    assert refused(alipay, fields | {"sign": forge(fields)}) == "bad_signature"


def test_the_urlsafe_alphabet_of_base64_is_not_taken(alipay):
    fields = next(f for f in (notice(notify_id=str(n)) for n in range(99)) if {"+", "/"} & set(f["sign"]))
    urlsafe = fields["sign"].replace("+", "-").replace("/", "_")
    assert refused(alipay, fields | {"sign": urlsafe}) == "bad_signature"


@pytest.mark.parametrize("word", ["RSA", "rsa2", "RSA2 ", "SM2"])
def test_a_signature_of_another_kind(alipay, word):
    assert refused(alipay, notice() | {"sign_type": word}) == "bad_signature"


def test_a_notice_that_lost_gained_or_changed_a_field(alipay):
    fields = notice()
    for name, value in fields.items():
        if name not in {*REQUIRED, "sign", "sign_type"}:
            assert refused(alipay, changed(fields, {name: None})) == "bad_signature"
            assert refused(alipay, fields | {name: value + "x"}) in {"bad_signature", "malformed"}
    assert refused(alipay, fields | {"total_amount": "0.01"}) == "bad_signature"
    assert refused(alipay, fields | {"extra": "1"}) == "bad_signature"


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "a&total_amount=9999.00"},
        {"subject": "a&out_trade_no=X"},
        {"body": "&Total=1"},
        {"passback_params": "x&y&z=1"},
        {"a&b": "1"},
        {"a=b": "1"},
        {"a.b": "1"},
    ],
)
def test_a_signed_value_that_carries_anothers_text(alipay, change):
    assert refused(alipay, notice(**change)) == "foreign_text"


def test_foreign_text_is_looked_for_only_behind_a_good_signature(alipay):
    assert refused(alipay, notice() | {"subject": "a&total_amount=1"}) == "bad_signature"


def test_another_seller(alipay):
    assert refused(alipay, notice(seller_id="2088000000000000")) == "wrong_seller"


@pytest.mark.parametrize("word", ["TRADE_REFUNDED", "trade_success", "TRADE_SUCCESS ", "PAID"])
def test_a_status_that_nobody_knows(alipay, word):
    assert refused(alipay, notice(trade_status=word)) == "unknown_status"


AMOUNTS = [
    *("1e2", "100", "100.0", "100.001", " 100.00", "100.00 ", "+100.00", "-100.00", "１００.００", "1_00.00"),
    *("NaN", "Infinity", "100,00", "٣.00", "123456789.00", ".10", "0x1.00"),
]


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", ["total_amount", "refund_fee"])
def test_an_amount_in_another_spelling(alipay, name, amount):
    assert refused(alipay, notice(**{name: amount})) == "bad_amount"


FAULTS = [
    ("wrong_type", {"notify_type": "x"}),
    ("wrong_app", {"app_id": "1"}),
    ("bad_signature", {}),
    ("foreign_text", {"subject": "a&b=c"}),
    ("wrong_seller", {"seller_id": "1"}),
    ("unknown_status", {"trade_status": "x"}),
    ("bad_amount", {"total_amount": "1"}),
]


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_of_several_faults_the_first_in_order_is_told(alipay, first):
    later = FAULTS[first:]
    fields = notice(**{name: value for _, change in later for name, value in change.items()})
    if "bad_signature" in dict(later):
        fields["sign"] = sign("something else")
    assert refused(alipay, fields) == FAULTS[first][0]


def test_a_refusal_carries_the_fields_for_the_inbox(alipay):
    for fields in (
        notice(app_id="1"),
        notice() | {"sign": "abc"},
        notice(total_amount="1"),
        changed(notice(), {"sign": None}),
    ):
        with pytest.raises(MessageRefused) as caught:
            alipay.parse_notification(form(fields), {})
        assert caught.value.fields == fields


# Returns


def test_a_notify_used_as_a_return(alipay):
    assert refused_return(alipay, urlencode(notice())) == "missing_field"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "missing_field"),
        ("?", "missing_field"),
        ("a=" + "x" * 8191, "too_large"),
        ("a=1&a=1", "duplicate_field"),
        ("a=%ff", "malformed"),
        ("a=\ud800", "malformed"),
        ("??a=1", "missing_field"),
        (urlencode(returned(method="alipay.trade.wap.pay.return")), "wrong_type"),
        (urlencode(returned(app_id="1")), "wrong_app"),
        (urlencode(returned() | {"total_amount": "0.01"}), "bad_signature"),
        (urlencode(returned(x="a&total_amount=1")), "foreign_text"),
        (urlencode(returned(seller_id="1")), "wrong_seller"),
        (urlencode(returned(total_amount="1")), "bad_amount"),
        (urlencode(returned() | {"sign_type": "RSA"}), "bad_signature"),
        *((urlencode(changed(returned(), {name: None})), "missing_field") for name in ("method", "sign", "trade_no")),
    ],
)
def test_a_return_that_must_not_be_acted_on(alipay, query, reason):
    assert refused_return(alipay, query) == reason


# Properties


def resplit(text, ampersands, equals):
    """``text`` cut into fields at these ampersands, and each field at its n-th "=" (by default the first)."""
    cuts = [-1, *ampersands, len(text)]
    pieces = [text[start + 1 : end] for start, end in pairwise(cuts)]
    pairs = []
    for number, piece in enumerate(pieces):
        marks = [found.start() for found in re.finditer("=", piece)]
        if not marks:
            return None
        cut = marks[min(equals.get(number, 0), len(marks) - 1)]
        pairs.append((piece[:cut], piece[cut + 1 :]))
    return pairs


def outcome(alipay, pairs, fields):
    """What becomes of ``pairs`` with the signature of ``fields``: None when refused, else the notice."""
    body = urlencode([*pairs, ("sign_type", "RSA2"), ("sign", fields["sign"])]).encode()
    try:
        return alipay.parse_notification(body, {})
    except MessageRefused:
        return None


TRAPS = [
    {},
    {"subject": "a&total_amount=9999.00&trade_no=1", "total_amount": "0.01"},
    {"body": "x&out_trade_no=OTHER", "subject": "a=b"},
    {"passback_params": "a=b=c"},
    {"subject": "R&D"},
]


@pytest.mark.parametrize("trap", TRAPS)
def test_every_field_joined_to_the_next_and_every_text_cut_elsewhere_is_refused_or_equal(alipay, trap):
    fields = notice(**trap)
    text = canonical(fields)
    genuine = outcome(alipay, [(k, v) for k, v in fields.items() if k not in {"sign", "sign_type"}], fields)
    ampersands = [found.start() for found in re.finditer("&", text)]
    kept_lists = [ampersands[:n] + ampersands[n + 1 :] for n in range(len(ampersands))] + [ampersands]
    kept_lists += [ampersands[:n] + ampersands[m:] for n in range(len(ampersands)) for m in range(n + 2, n + 4)]
    tried = 0
    for kept in kept_lists:
        for place, mark in [(0, 0)] + [(place, mark) for place in range(len(kept) + 1) for mark in (1, 2)]:
            pairs = resplit(text, kept, {place: mark})
            if pairs is not None:
                tried += 1
                assert outcome(alipay, pairs, fields) in (None, genuine)
    assert tried > 300


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_other_division_of_a_signed_text_is_believed(alipay, data):
    fields = notice(**data.draw(st.sampled_from(TRAPS)))
    text = canonical(fields)
    genuine = outcome(alipay, [(k, v) for k, v in fields.items() if k not in {"sign", "sign_type"}], fields)
    kept = [found.start() for found in re.finditer("&", text) if data.draw(st.booleans())]
    pairs = resplit(text, kept, data.draw(st.dictionaries(st.integers(0, 9), st.integers(0, 3), max_size=3)))
    assume(pairs is not None)
    assert outcome(alipay, pairs, fields) in (None, genuine)


GENUINE = form(notice())


@settings(max_examples=400, deadline=None)
@given(at=st.integers(0, len(GENUINE) - 1), put=st.binary(max_size=6), cut=st.integers(0, 6))
@example(at=len(GENUINE) - 1, put=b"&a=", cut=0)
def test_no_mutated_notice_is_believed_for_anything_new(alipay, at, put, cut):
    body = GENUINE[:at] + put + GENUINE[at + cut :]
    try:
        told = alipay.parse_notification(body, {})
    except MessageRefused:
        return
    assert told == alipay.parse_notification(GENUINE, {})
    assert without_blanks(body) == without_blanks(GENUINE)


def without_blanks(body):
    """The fields, read by hand: what a mutation that changes nothing (%2b for %2B) leaves equal."""
    pairs = (field.partition(b"=") for field in body.split(b"&"))
    return {unquote_plus(name.decode()): unquote_plus(value.decode()) for name, _, value in pairs if value}


def test_every_single_bit_of_a_notice_counts(alipay):
    believed = 0
    for at in range(len(GENUINE) * 8):
        body = bytearray(GENUINE)
        body[at // 8] ^= 1 << at % 8
        try:
            alipay.parse_notification(bytes(body), {})
        except MessageRefused:
            continue
        believed += 1
        assert without_blanks(bytes(body)) == without_blanks(GENUINE)
    assert believed < 80  # capital digits of %2F and the like, written small


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=3))
def test_nothing_but_a_refusal_comes_out_of_any_bytes(alipay, body, headers):
    with pytest.raises(MessageRefused):
        alipay.parse_notification(body, headers)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(notice())), st.text(max_size=30), max_size=6))
def test_no_genuine_signature_makes_other_words_true(alipay, changes):
    fields = notice()
    assume(any(value != fields[name] for name, value in changes.items()))
    try:
        body = form(fields | changes)
    except UnicodeEncodeError:
        assume(False)
    with pytest.raises(MessageRefused):
        alipay.parse_notification(body, {})


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_nothing_but_a_refusal_comes_out_of_any_query(alipay, query):
    with pytest.raises(MessageRefused):
        alipay.parse_return(query)
