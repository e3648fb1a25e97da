"""What a notify is refused for: each refusal is ``fail`` with HTTP 200, is kept with its reason, changes nothing."""

import base64
import hashlib
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.core.management import call_command
from django.test import Client

from backend.courses.models import Enrollment
from backend.limits.throttle import Limit
from backend.orders.models import Order, OrderEvent
from backend.payments import notifications
from backend.payments.models import Notification, Payment
from tests.api.helpers import APPLIED, RECEIVED, REFUSED, close, encoded, nothing_changes, pay, pay_order, stored
from tests.shop import AlipaySide, params_of, post_notify

NOTIFY = "/payments/alipay/notify/"
FORM = "application/x-www-form-urlencoded; text/html; charset=utf-8"
BOTH_ADDRESSES = pytest.mark.parametrize("path", [NOTIFY, "/order/success/"])


def answer_of(response):
    return response.status_code, response.content, response["content-type"]


FAIL = (200, b"fail", "text/plain; charset=utf-8")
SUCCESS = (200, b"success", "text/plain; charset=utf-8")


def refused(body, path=NOTIFY, content_type=FORM):
    """Post it, see it refused without a trace in the books; the one row it left in the inbox."""
    with nothing_changes():
        assert answer_of(Client().post(path, body, content_type=content_type)) == FAIL
    return Notification.objects.latest("pk")


def check(row, reason, *, verified=False):
    assert (row.verdict, row.reason, row.verified) == (REFUSED, reason, verified)
    assert row.handled_at is not None


# --- The signature ---------------------------------------------------------------------------------------------------


BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def forged(alipay, fields, how):
    good = alipay.sign(fields)
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    sha1 = alipay.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    return {
        "another message's": alipay.sign(fields | {"total_amount": "0.01"}),
        "one bit off": good[:100] + ("A" if good[100] != "A" else "B") + good[101:],
        "cut short": good[:-4],
        "zeros": base64.b64encode(bytes(256)).decode(),
        "ones": base64.b64encode(b"\xff" * 256).decode(),
        "None": "None",
        "not base64": "!" * 344,
        "url-safe base64": good.replace("+", "-").replace("/", "_") + "-_",
        "with a space": good[:50] + " " + good[50:],
        "with a line break": good[:76] + "\n" + good[76:],
        "twice": good + good,
        # 256 bytes leave four bits of the last letter over: with others in them it decodes to the same signature.
        "spelled another way": good[:-3] + BASE64[BASE64.index(good[-3]) + 1] + "==",
        "of SHA-1": base64.b64encode(sha1).decode(),
        "of PSS": base64.b64encode(alipay.key.sign(text.encode(), pss, hashes.SHA256())).decode(),
        "not ASCII": "签名" * 50,
    }[how]


@pytest.mark.parametrize(
    "how",
    ["another message's", "one bit off", "cut short", "zeros", "ones", "None", "not base64", "url-safe base64",
     "with a space", "twice", "spelled another way", "of SHA-1", "of PSS", "not ASCII"],
)  # fmt: skip
def test_a_forged_signature(alipay, payment, how):
    fields = alipay.paid_fields(payment)
    row = refused(encoded(fields, forged(alipay, fields, how)))
    check(row, "bad_signature")
    assert (row.out_trade_no, row.trade_status) == (payment.out_trade_no, "TRADE_SUCCESS")


def test_a_signature_with_a_line_break_is_malformed(alipay, payment):
    fields = alipay.paid_fields(payment)
    check(refused(encoded(fields, forged(alipay, fields, "with a line break"))), "malformed: a control character")


def test_a_signature_of_another_key(forger, alipay, payment):
    check(refused(forger.paid_notify(payment)), "bad_signature")
    assert post_notify(alipay.paid_notify(payment)).content == b"success"


def test_a_signature_of_our_own_key(payment):
    from tests.settings import APP_KEY
    from tests.shop import load_key

    check(refused(AlipaySide(key=load_key(APP_KEY.read_text())).paid_notify(payment)), "bad_signature")


@pytest.mark.parametrize("sign_type", ["RSA", "rsa2", "HMAC", "none"])
def test_another_sign_type(alipay, payment, sign_type):
    fields = alipay.paid_fields(payment)
    body = urlencode({**fields, "sign_type": sign_type, "sign": alipay.sign(fields)})
    check(refused(body), "bad_signature: sign_type is not RSA2")


@pytest.mark.parametrize("change", ["total_amount", "out_trade_no", "trade_no", "buyer_id", "gmt_payment"])
def test_a_field_changed_after_signing(alipay, payment, change):
    fields = alipay.paid_fields(payment)
    check(refused(encoded(fields | {change: "1.00"}, alipay.sign(fields))), "bad_signature")


def test_a_field_added_or_dropped_after_signing(alipay, payment):
    fields = alipay.paid_fields(payment)
    sign = alipay.sign(fields)
    check(refused(encoded(fields | {"extra": "1"}, sign)), "bad_signature")
    check(refused(encoded({n: v for n, v in fields.items() if n != "buyer_id"}, sign)), "bad_signature")


def test_an_unknown_field_that_was_signed_is_no_harm(alipay, payment):
    assert answer_of(post_notify(alipay.paid_notify(payment, brand_new_field="x"))) == SUCCESS


# --- The required fields ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["notify_type", "notify_id", "trade_status", "app_id", "seller_id", "out_trade_no", "trade_no", "total_amount"],
)
@pytest.mark.parametrize("value", [None, "", " "], ids=["missing", "empty", "blank"])
def test_a_required_field_that_is_not_there(alipay, payment, name, value):
    check(refused(alipay.paid_notify(payment, **{name: value})), f"missing_field: {name}")


@pytest.mark.parametrize("name", ["sign", "sign_type"])
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
def test_a_signature_that_is_not_there(alipay, payment, name, value):
    fields = alipay.paid_fields(payment)
    form = {**fields, "sign_type": "RSA2", "sign": alipay.sign(fields), name: value}
    check(refused(urlencode({n: v for n, v in form.items() if v is not None})), f"missing_field: {name}")


@pytest.mark.parametrize("kind", ["trade_status_async", "TRADE_STATUS_SYNC", "batch_refund_notify"])
def test_another_kind_of_notify(alipay, payment, kind):
    check(refused(alipay.paid_notify(payment, notify_type=kind)), "wrong_type: notify_type is not trade_status_sync")


@BOTH_ADDRESSES
def test_a_return_posted_as_a_notify(alipay, payment, path):
    check(refused(alipay.return_query(payment), path), "missing_field: notify_type")


def test_a_return_dressed_up_as_a_notify_does_not_verify(alipay, payment):
    body = (
        alipay.return_query(payment)
        + "&"
        + urlencode({"notify_type": "trade_status_sync", "notify_id": "1", "trade_status": "TRADE_SUCCESS"})
    )
    check(refused(body), "bad_signature")


# --- To whom it is addressed, and what it says -----------------------------------------------------------------------


def test_another_app(alipay, payment):
    check(refused(alipay.paid_notify(payment, app_id="9021000199999999")), "wrong_app")


def test_another_seller(alipay, payment):
    assert refused(alipay.paid_notify(payment, seller_id="2088199999999999")).reason == "wrong_seller"


@pytest.mark.parametrize("status", ["TRADE_PAID", "trade_success", "SUCCESS", "TRADE_SUCCESS ", "1"])
def test_a_status_that_is_not_known(alipay, payment, status):
    assert refused(alipay.paid_notify(payment, trade_status=status)).reason == f"unknown_status: {status}"


@pytest.mark.parametrize("number", ["0" * 32, "x", "号", "'; --"])
def test_an_order_that_is_not_ours(alipay, payment, number):
    row = refused(alipay.paid_notify(payment, out_trade_no=number))
    check(row, "unknown order", verified=True)
    assert row.out_trade_no == number


@pytest.mark.parametrize("number", ["upper", "order number", "padded"])
def test_a_number_that_is_nearly_ours(alipay, order, payment, number):
    spelled = {"upper": payment.out_trade_no.upper(), "order number": order.number}
    spelled["padded"] = payment.out_trade_no + " "
    assert spelled[number] != payment.out_trade_no
    check(refused(alipay.paid_notify(payment, out_trade_no=spelled[number])), "unknown order", verified=True)


@pytest.mark.parametrize(
    ("amount", "fen"),
    [
        ("0.01", 1),
        ("155.99", 15599),
        ("156.01", 15601),
        ("15600.00", 1560000),
        ("0.00", 0),
        ("99999999.99", 9999999999),
    ],
)
def test_a_wrong_amount(alipay, payment, amount, fen):
    row = refused(alipay.paid_notify(payment, total_amount=amount))
    check(row, f"wrong amount: {fen} fen, not 15600", verified=True)


@pytest.mark.parametrize(
    "amount",
    ["1e2", "1.56e2", "156", "156.0", "156.000", "156.001", " 156.00", "156.00 ", "+156.00", "-156.00", "156,00",
     "1_56.00", "１５６.００", "١٥٦.٠٠", "0x9c.00", "NaN", "Infinity", "¥156.00", "15600", "000000156.00"],
    ids=ascii,
)  # fmt: skip
def test_an_amount_in_another_spelling(alipay, payment, amount):
    assert refused(alipay.paid_notify(payment, total_amount=amount)).reason == "bad_amount: total_amount"


def test_the_other_amounts_of_a_notify_are_not_the_price(alipay, payment):
    """receipt_amount may be 0.00 for a paid trade, and an invoice says nothing of it."""
    body = alipay.paid_notify(payment, receipt_amount="0.00", invoice_amount="1.00", buyer_pay_amount="9.99")
    assert answer_of(post_notify(body)) == SUCCESS


# --- More than one reading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out_trade_no", "total_amount", "sign", "subject", "trade_status"])
@pytest.mark.parametrize("at_end", [True, False])
def test_a_field_that_comes_twice(alipay, payment, name, at_end):
    body, twice = alipay.paid_notify(payment), urlencode({name: alipay.paid_fields(payment).get(name, "x")})
    row = refused(f"{body}&{twice}" if at_end else f"{twice}&{body}")
    check(row, "duplicate_field")


@pytest.mark.parametrize(
    "text",
    ["x&total_amount=156.00", "x&out_trade_no=1", "x&app_id=1", "x&seller_id=1", "x&trade_status=TRADE_SUCCESS",
     "x&anything=1", "&=", "x&y&z=1"],
)  # fmt: skip
def test_a_value_that_carries_another_fields_text(alipay, payment, text):
    row = refused(alipay.paid_notify(payment, subject=text))
    assert row.reason == "foreign_text: a field carries another's text"


@pytest.mark.parametrize("text", ["Tom & Jerry", "a=b", "1+1=2 &", "100%", "{", "}", "\"'<>"])
def test_a_value_with_one_reading_is_no_harm(alipay, payment, text):
    assert answer_of(post_notify(alipay.paid_notify(payment, subject=text))) == SUCCESS


def test_a_signed_text_divided_another_way_verifies_and_is_refused(alipay, payment):
    """One fen was paid, under a subject that holds the true price: the same text, read as a payment in full."""
    paid = alipay.paid_fields(payment, subject="x&total_amount=156.00&total_b=q", total_amount="0.01")
    sign = alipay.sign(paid)
    divided = dict(paid, subject="x", total_amount="156.00", total_b="q&total_amount=0.01")
    assert alipay.sign(divided) == sign  # the signature covers both readings
    for fields in (paid, divided):
        assert refused(encoded(fields, sign)).reason == "foreign_text: a field carries another's text"


def test_a_name_that_carries_a_fields_text_is_refused(alipay, payment):
    fields = alipay.paid_fields(payment, subject="x")
    paid = {n: v for n, v in fields.items() if n not in ("subject", "total_amount")}
    merged = paid | {"subject": "x", "total_a=1&total_amount": fields["total_amount"]}
    row = refused(encoded(merged, alipay.sign(merged)))
    assert row.reason == "missing_field: total_amount"


def test_a_field_in_the_url_is_not_read(alipay, payment, stranger, courses):
    stranger.create_order(courses[:2])
    other = Payment.objects.latest("id")
    path = f"{NOTIFY}?{urlencode({'out_trade_no': other.out_trade_no, 'total_amount': '0.01'})}"
    assert answer_of(post_notify(alipay.paid_notify(payment), path=path)) == SUCCESS
    other.refresh_from_db()
    payment.refresh_from_db()
    assert (payment.status, other.status) == ("PAID", "OPEN")


# --- The body --------------------------------------------------------------------------------------------------------


def padded_to(alipay, payment, size):
    """A genuine notify of just that many bytes. A signature's "+" and "/" take three, so it is tried until it fits."""
    filler = size - len(alipay.paid_notify(payment, body="x")) + 1
    for attempt in range(1000):
        body = alipay.paid_notify(payment, body="x" * filler, notify_id=f"{attempt:034d}")
        if len(body) == size:
            return body
    raise AssertionError(f"no body of {size} bytes was found")


def test_the_largest_body_that_is_read(alipay, payment):
    assert answer_of(post_notify(padded_to(alipay, payment, 16 * 1024))) == SUCCESS


@pytest.mark.parametrize("size", [16 * 1024 + 1, 64 * 1024, 64 * 1024 + 1, 200_000])
def test_an_oversize_body_is_kept_as_its_length_and_hash(alipay, payment, size):
    body = (alipay.paid_notify(payment) + "&body=" + "x" * size)[:size].encode()
    row = refused(body)
    assert row.reason.startswith("too_large: ")
    assert (row.verdict, row.verified, row.body, row.body_length) == (REFUSED, False, "", size)
    # Of what was read of it: four times what is taken, at the most.
    assert row.body_sha256 == hashlib.sha256(body[: 64 * 1024]).hexdigest()


def test_a_length_that_is_a_lie_is_still_a_fail(payment):
    """Only the beginning is read, so the length is whatever the sender says."""
    with nothing_changes():
        response = Client().post(NOTIFY, b"x" * 70_000, content_type=FORM, CONTENT_LENGTH="9" * 18)
    assert answer_of(response) == FAIL
    assert Notification.objects.get().reason.startswith("too_large")
    assert Notification.objects.get().body_length >= 64 * 1024


@pytest.mark.parametrize(
    "body",
    [b"", b"&", b"=", b"garbage", b"a=%", b"a=%zz", b"a=%00", b"a=\xff\xfe", b"a=%ff", b"%00=1", b'{"a": 1}',
     b"&".join(b"f%d=1" % n for n in range(101)), b"a=%0d%0ab"],
    ids=lambda body: ascii(body[:12]),
)  # fmt: skip
def test_a_body_that_is_no_form(payment, body):
    row = refused(body)
    assert row.reason.split(":")[0] in ("malformed", "missing_field")
    assert (row.verdict, row.verified, row.body_length) == (REFUSED, False, len(body))


def test_a_charset_other_than_utf_8(alipay, payment):
    body = alipay.paid_notify(payment)
    for content_type in ("application/x-www-form-urlencoded; charset=GBK", "text/html; charset='gb2312'"):
        check(refused(body, content_type=content_type), "malformed: a charset other than utf-8")
        Notification.objects.all().delete()
    check(refused(alipay.paid_notify(payment, charset="GBK")), "malformed: a charset other than utf-8")


def test_a_body_in_gbk_is_malformed(alipay, payment):
    fields = alipay.paid_fields(payment)
    body = urlencode({**fields, "sign_type": "RSA2", "sign": alipay.sign(fields)}, encoding="gbk")
    assert refused(body.encode()).reason == "malformed: UnicodeDecodeError"


@BOTH_ADDRESSES
@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods(db, path, method):
    assert getattr(Client(), method)(path).status_code == 405


def test_a_get_is_not_a_notify(alipay, payment):
    with nothing_changes():
        response = Client().get(f"{NOTIFY}?{alipay.paid_notify(payment)}")
    assert response.status_code == 405
    assert Notification.objects.count() == 0


def test_an_address_without_its_slash_is_no_redirect(alipay, payment):
    assert Client().post(NOTIFY.rstrip("/"), alipay.paid_notify(payment), content_type=FORM).status_code == 404


# --- Which check answers first ---------------------------------------------------------------------------------------

CHANGES = {
    "missing_field: trade_no": {"trade_no": None},
    "wrong_type: notify_type is not trade_status_sync": {"notify_type": "other"},
    "wrong_app": {"app_id": "1"},
    "bad_signature": {},
    "wrong_seller": {"seller_id": "1"},
    "unknown_status: LOST": {"trade_status": "LOST"},
    "unknown order": {"out_trade_no": "0" * 32},
    "wrong amount: 1 fen, not 15600": {"total_amount": "0.01"},
}
IN_ORDER = list(CHANGES)
PAIRS = [(a, b) for n, a in enumerate(IN_ORDER) for b in IN_ORDER[n + 1 :]]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda text: text.split(":")[0])
def test_of_two_faults_the_first_check_answers(alipay, forger, payment, first, second):
    side = forger if "bad_signature" in (first, second) else alipay
    fields = side.paid_fields(payment, **CHANGES[first], **CHANGES[second])
    assert refused(side.signed(fields)).reason == first


def test_a_field_that_comes_twice_is_seen_before_one_that_is_missing(alipay, payment):
    body = alipay.paid_notify(payment, trade_no=None)
    assert refused(f"{body}&subject=1").reason == "duplicate_field"


# --- Repeats, replays and crossed wires ------------------------------------------------------------------------------


def paid_state(payment):
    payment.refresh_from_db()
    return payment.status, payment.order.status, payment.trade_no, payment.paid_at


def test_a_repeat_of_a_refused_notify_is_counted_not_stored_again(alipay, payment):
    body = alipay.paid_notify(payment, total_amount="0.01")
    for _ in range(3):
        assert answer_of(post_notify(body)) == FAIL
    row = Notification.objects.get()
    assert (row.times_received, row.verdict) == (3, REFUSED)


def test_an_old_notify_again_changes_nothing(alipay, payment):
    body = alipay.paid_notify(payment)
    assert answer_of(post_notify(body)) == SUCCESS
    with nothing_changes():
        assert answer_of(post_notify(body)) == SUCCESS
        assert answer_of(post_notify(alipay.paid_notify(payment, notify_id="another"))) == SUCCESS
    assert [verdict for verdict, _, _ in stored()] == [APPLIED, APPLIED]


@pytest.mark.parametrize(("status", "reason"), [("WAIT_BUYER_PAY", "nothing new"), ("TRADE_CLOSED", "nothing new")])
def test_no_later_word_takes_a_paid_order_back(alipay, payment, status, reason):
    post_notify(alipay.paid_notify(payment))
    with nothing_changes():
        # A closed trade that tells of no payment; one that does was closed by a full refund (tests/jobs).
        body = alipay.paid_notify(payment, trade_status=status, gmt_payment=None)
        assert answer_of(post_notify(body)) == SUCCESS
    assert stored()[-1] == (APPLIED, reason, True)


def test_finished_after_success_changes_nothing_and_finished_alone_pays(alipay, payment):
    body = alipay.paid_notify(payment, trade_status="TRADE_FINISHED")
    assert answer_of(post_notify(body)) == SUCCESS
    before = paid_state(payment)
    assert before[:2] == ("PAID", "PAID")
    assert answer_of(post_notify(alipay.paid_notify(payment))) == SUCCESS
    assert paid_state(payment) == before


def test_waiting_changes_nothing_and_is_success(alipay, payment):
    with nothing_changes():
        body = alipay.paid_notify(payment, trade_status="WAIT_BUYER_PAY", gmt_payment=None)
        assert answer_of(post_notify(body)) == SUCCESS
    assert stored() == [(APPLIED, "nothing new", True)]


def test_closed_closes_the_attempt_and_leaves_the_order(alipay, payment):
    body = alipay.paid_notify(payment, trade_status="TRADE_CLOSED", gmt_payment=None)
    assert answer_of(post_notify(body)) == SUCCESS
    assert paid_state(payment) == ("CLOSED", "UNPAID", None, None)
    assert stored() == [(APPLIED, "closed", True)]
    assert Enrollment.objects.count() == 0


def test_an_order_paid_by_another_trade(alipay, payment):
    post_notify(alipay.paid_notify(payment, trade_no="first"))
    check(refused(alipay.paid_notify(payment, trade_no="second")), "paid already, by trade first", verified=True)


def test_a_trade_that_is_another_payments(alipay, payment, stranger, courses):
    stranger.create_order(courses[:2])
    other = Payment.objects.latest("id")
    post_notify(alipay.paid_notify(other, trade_no="T"))
    row = refused(alipay.paid_notify(payment, trade_no="T"))
    check(row, "the database refused it: is this trade_no another payment's?", verified=True)
    assert paid_state(payment)[:2] == ("OPEN", "UNPAID")
    # The same payment's true number is still taken.
    assert answer_of(post_notify(alipay.paid_notify(payment))) == SUCCESS


def test_money_for_an_attempt_that_was_closed_pays_the_order(alipay, payment):
    close(payment)
    assert answer_of(post_notify(alipay.paid_notify(payment))) == SUCCESS
    assert paid_state(payment)[:2] == ("PAID", "PAID")


def test_a_notify_before_its_order_is_there_is_taken_when_it_comes_again(alipay, buyer, courses):
    number = "a" * 32
    body = alipay.paid_notify(Payment(pk=7, out_trade_no=number, amount_fen=15600))
    assert refused(body).reason == "unknown order"
    buyer.create_order(courses[:2])
    Payment.objects.update(out_trade_no=number)
    assert answer_of(post_notify(body)) == SUCCESS
    row = Notification.objects.get()
    assert (row.verdict, row.reason, row.times_received) == (APPLIED, "paid", 2)


def test_one_buyers_notify_pays_one_buyers_order(alipay, payment, stranger, courses):
    stranger.create_order(courses[:2])
    post_notify(alipay.paid_notify(payment))
    assert list(Order.objects.order_by("id").values_list("status", flat=True)) == ["PAID", "UNPAID"]
    assert set(Enrollment.objects.values_list("user_id", flat=True)) == {payment.order.user_id}


def test_a_notify_for_the_free_attempt_of_a_free_order(alipay, buyer, courses):
    courses[0].price_fen = 0
    courses[0].save()
    buyer.create_order(courses[:1])
    assert refused(alipay.paid_notify(Payment.objects.get())).reason == "unknown order"


# --- How many refusals are kept --------------------------------------------------------------------------------------


@pytest.fixture
def two_an_hour(monkeypatch):
    assert (notifications.REFUSALS_KEPT.times, notifications.REFUSALS_KEPT.seconds) == (1000, 3600)
    monkeypatch.setattr(notifications, "REFUSALS_KEPT", Limit("refusals-kept", times=2, seconds=3600))


def test_forgeries_over_the_cap_are_answered_and_not_kept(alipay, forger, payment, two_an_hour):
    for n in range(5):
        assert answer_of(post_notify(forger.paid_notify(payment, notify_id=str(n)))) == FAIL
    assert [reason for _, reason, _ in stored()] == ["bad_signature"] * 2
    # The cap is on what is kept, never on what is taken.
    assert answer_of(post_notify(alipay.paid_notify(payment))) == SUCCESS
    assert paid_state(payment)[:2] == ("PAID", "PAID")


def test_the_cap_does_not_hold_for_what_is_verified(alipay, forger, payment, two_an_hour):
    for n in range(5):
        post_notify(forger.paid_notify(payment, notify_id=str(n)))
    for n in range(4):
        post_notify(alipay.paid_notify(payment, notify_id=f"v{n}", total_amount="0.01"))
    kept = [(reason, verified) for _, reason, verified in stored()]
    assert kept == [("bad_signature", False)] * 2 + [("wrong amount: 1 fen, not 15600", True)] * 4


@pytest.mark.parametrize(
    "changes",
    [{"seller_id": "2088199999999999"}, {"trade_status": "TRADE_NEW"}, {"total_amount": "1e2"}, {"subject": "&a=b"}],
    ids=str,
)
def test_alipays_own_signature_is_proof_enough_to_be_kept_whatever_the_message_says(
    alipay, forger, payment, two_an_hour, changes
):
    """Real money may be in it: a flood of forgeries must not hide it."""
    for n in range(3):
        post_notify(forger.paid_notify(payment, notify_id=str(n)))
    refused_before = Notification.objects.count()
    assert answer_of(post_notify(alipay.paid_notify(payment, **changes))) == FAIL
    assert Notification.objects.count() == refused_before + 1


# --- Our own failure -------------------------------------------------------------------------------------------------


@BOTH_ADDRESSES
def test_a_crash_keeps_the_message_and_a_replay_applies_it(alipay, payment, monkeypatch, path, capsys):
    body = alipay.paid_notify(payment)
    with monkeypatch.context() as patch, nothing_changes():
        patch.setattr("backend.payments.trades.mark_paid", lambda *args, **more: 1 / 0)
        response = post_notify(body, Client(raise_request_exception=False), path)
    assert response.status_code == 500
    assert b"success" not in response.content
    assert stored() == [(RECEIVED, "", True)]

    call_command("replay_notifications")

    assert stored() == [(APPLIED, "paid", True)]
    assert paid_state(payment)[:2] == ("PAID", "PAID")
    assert OrderEvent.objects.filter(name="order.paid").count() == 1
    assert "1 of 1 applied." in capsys.readouterr().out
    with nothing_changes():
        call_command("replay_notifications")
        assert answer_of(post_notify(body, path=path)) == SUCCESS
    assert "0 of 0 applied." in capsys.readouterr().out


def test_after_a_crash_the_senders_next_try_applies_it(alipay, payment, monkeypatch):
    body = alipay.paid_notify(payment)
    with monkeypatch.context() as patch:
        patch.setattr("backend.payments.trades.mark_paid", lambda *args, **more: 1 / 0)
        assert post_notify(body, Client(raise_request_exception=False)).status_code == 500
    assert answer_of(post_notify(body)) == SUCCESS
    assert stored() == [(APPLIED, "paid", True)]
    assert paid_state(payment)[:2] == ("PAID", "PAID")


def test_a_crash_while_opening_access_undoes_the_payment(alipay, payment, monkeypatch):
    """The payment, the order, its access and the verdict are one transaction."""
    with monkeypatch.context() as patch, nothing_changes():
        patch.setattr("backend.orders.lifecycle.open_access", lambda **more: 1 / 0)
        assert post_notify(alipay.paid_notify(payment), Client(raise_request_exception=False)).status_code == 500
    assert stored() == [(RECEIVED, "", True)]


def test_a_replay_does_not_pay_what_was_forged(forger, payment):
    post_notify(forger.paid_notify(payment))
    row = Notification.objects.get()
    with nothing_changes():
        call_command("replay_notifications")
        call_command("replay_notifications", id=row.pk)
    assert stored() == [(REFUSED, "bad_signature", False)]


def test_a_replay_of_an_oversize_message_is_refused(payment):
    post_notify(b"x=" + b"y" * 20_000)
    with nothing_changes():
        call_command("replay_notifications", id=Notification.objects.get().pk)
    assert Notification.objects.get().verdict == REFUSED


def test_a_paid_answer_is_given_only_for_what_was_asked(buyer, order, payment, alipay):
    """A notify about the closed attempt while a new one is open pays the order once."""
    close(payment)
    new = pay_order(buyer, order.number)
    assert params_of(new["payUrl"])["method"] == "alipay.trade.page.pay"
    pay(payment)
    assert OrderEvent.objects.filter(name="order.paid").count() == 1
    assert Enrollment.objects.count() == 2


@BOTH_ADDRESSES
def test_both_addresses_take_a_notify(alipay, payment, path):
    assert answer_of(post_notify(alipay.paid_notify(payment), path=path)) == SUCCESS
    assert paid_state(payment)[:2] == ("PAID", "PAID")


@BOTH_ADDRESSES
def test_both_addresses_refuse_a_forgery(forger, payment, path):
    check(refused(forger.paid_notify(payment), path), "bad_signature")


def test_no_token_and_no_csrf_is_asked_of_alipay(alipay, payment):
    strict = Client(enforce_csrf_checks=True)
    assert answer_of(post_notify(alipay.paid_notify(payment), strict)) == SUCCESS


# --- Refused once for a fault of ours --------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["post", "replay"])
def test_a_notify_refused_before_its_key_was_set_up_is_taken_afterwards(alipay, payment, monkeypatch, again):
    """Alipay signs with a new key before it is in our settings; the same bytes come again once it is."""
    body = alipay.paid_notify(payment)
    with monkeypatch.context() as patch:
        patch.setattr("backend.payments.providers.alipay_client.AlipayClient.verify", lambda *args: False)
        check(refused(body), "bad_signature")
    if again == "post":
        assert answer_of(post_notify(body)) == SUCCESS
    else:
        call_command("replay_notifications", id=Notification.objects.get().pk)
    assert stored() == [(APPLIED, "paid", True)]
    assert paid_state(payment)[:2] == ("PAID", "PAID")
