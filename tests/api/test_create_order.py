"""createOrder: its rules and the order they are checked in. What is refused leaves no trace."""

from itertools import combinations

import pytest

from backend.courses.models import Course, Enrollment
from backend.orders.models import IdempotencyKey, Order, OrderLine, PayType
from backend.payments.models import Payment
from tests.api.helpers import nothing_changes, own
from tests.shop import CREATE_ORDER, Shopper

FIRST_TO_LAST = ("InvalidInput", "IdempotencyKeyReused", "CoursesUnavailable", "AlreadyOwned", "OpenOrderExists")
FIRST_TO_LAST += ("PriceChanged",)
CODES = {
    "InvalidInput": "INVALID_INPUT",
    "IdempotencyKeyReused": "IDEMPOTENCY_KEY_REUSED",
    "CoursesUnavailable": "COURSES_UNAVAILABLE",
    "AlreadyOwned": "ALREADY_OWNED",
    "OpenOrderExists": "OPEN_ORDER_EXISTS",
    "PriceChanged": "PRICE_CHANGED",
}


@pytest.fixture
def shelf(db):
    """Seven courses on sale at 10.00."""
    return [Course.objects.create(name=f"Course {n}", price_fen=1000) for n in range(7)]


def order_ids(shopper, ids, total, **more):
    return shopper.ask(CREATE_ORDER, input={"courseIds": ids, "totalAmount": total, **more})["createOrder"]


@pytest.mark.parametrize(
    "broken",
    [*combinations(FIRST_TO_LAST, 1), *combinations(FIRST_TO_LAST, 2), FIRST_TO_LAST],
    ids=lambda broken: "+".join(broken) if len(broken) < 6 else "all",
)
def test_of_several_broken_rules_the_first_one_answers(buyer, user, shelf, broken):
    good, off_sale, owned, held, elsewhere, *_ = shelf
    assert buyer.create_order([elsewhere], idempotencyKey="used")["__typename"] == "CreateOrderSuccess"
    assert buyer.create_order([held])["__typename"] == "CreateOrderSuccess"
    own(user, owned)
    Course.objects.filter(pk=off_sale.pk).update(on_sale=False)
    basket, more = [good], {}
    if "InvalidInput" in broken:
        more["subject"] = "x" * 129
    if "IdempotencyKeyReused" in broken:
        more["idempotencyKey"] = "used"
    if "CoursesUnavailable" in broken:
        basket.append(off_sale)
    if "AlreadyOwned" in broken:
        basket.append(owned)
    if "OpenOrderExists" in broken:
        basket.append(held)
    if "PriceChanged" in broken:
        more["total"] = "12.34"

    with nothing_changes():
        answer = buyer.create_order(basket, **more)

    assert (answer["__typename"], answer["code"]) == (broken[0], CODES[broken[0]])


# --- InvalidInput ----------------------------------------------------------------------------------------------------


def test_no_courses_at_all_are_refused(buyer):
    with nothing_changes():
        answer = order_ids(buyer, [], "0.00")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "courseIds")


def test_fifty_courses_are_an_order_and_fifty_one_are_not(buyer):
    courses = Course.objects.bulk_create(Course(name=f"C{n}", price_fen=100) for n in range(51))
    with nothing_changes():
        answer = buyer.create_order(courses)
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "courseIds")

    answer = buyer.create_order(courses[:50])
    assert (answer["__typename"], len(answer["order"]["lines"])) == ("CreateOrderSuccess", 50)


def test_a_course_twice_is_refused(buyer, courses):
    with nothing_changes():
        answer = buyer.create_order([courses[0], courses[1], courses[0]])
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "courseIds")


def test_a_total_beyond_what_one_payment_carries_is_refused(buyer):
    dear = [Course.objects.create(name=name, price_fen=99_999_999_99) for name in "ab"]
    with nothing_changes():
        answer = buyer.create_order(dear, "99999999.99")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "courseIds")
    assert buyer.create_order(dear[:1])["order"]["totalAmount"] == "99999999.99"


@pytest.mark.parametrize(
    "subject",
    ["x" * 129, "课" * 129, "two\nlines", "tab\there", "nul\x00", "\x7f", "\u202egnp.exe", "\u2028", "\u200b"],
    ids=ascii,
)
def test_a_subject_that_is_no_plain_line_is_refused(buyer, courses, subject):
    with nothing_changes():
        answer = buyer.create_order(courses[:1], subject=subject)
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "subject")


@pytest.mark.parametrize("subject", ["x" * 128, "给 Anna 的礼物 & {more}=1", "🎁"])
def test_a_plain_subject_is_shown_as_it_is(buyer, courses, subject):
    assert buyer.create_order(courses[:1], subject=subject)["order"]["subject"] == subject


@pytest.mark.parametrize("more", [{}, {"subject": None}, {"subject": ""}, {"subject": "   "}])
def test_without_a_subject_the_order_is_called_after_its_courses(buyer, courses, more):
    assert buyer.create_order(courses[:1], **more)["order"]["subject"] == "Python 全栈开发"


def test_a_long_title_still_makes_a_subject_that_fits(buyer):
    courses = [Course.objects.create(name="长" * 120, price_fen=1) for _ in range(50)]
    subject = buyer.create_order(courses)["order"]["subject"]
    assert subject == "长" * 120 + " 等50门课程"


def test_wechat_pay_is_refused_until_it_is_there(buyer, courses):
    with nothing_changes():
        answer = buyer.create_order(courses[:1], payType="WECHAT_PAY")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "payType")


def test_an_unknown_pay_type_is_a_bad_request(buyer, courses):
    asked = {"courseIds": [str(courses[0].pk)], "totalAmount": "117.00", "payType": "PAYPAL"}
    with nothing_changes():
        assert buyer.errors(CREATE_ORDER, input=asked) == ["BAD_REQUEST"]


def test_the_pay_type_is_alipay_unless_said_otherwise(buyer, courses):
    assert buyer.create_order(courses[:1])["order"]["payType"] == "ALIPAY"
    assert buyer.create_order(courses[1:2], payType="ALIPAY")["order"]["payType"] == "ALIPAY"
    assert set(Order.objects.values_list("pay_type", flat=True)) == {PayType.ALIPAY}


@pytest.mark.parametrize("key", ["", "x" * 129, "ключ", "a\nb", "a\x00b", "a\x7f", "１", "k\n"], ids=ascii)
def test_a_key_is_1_to_128_printable_ascii_characters(buyer, courses, key):
    with nothing_changes():
        answer = buyer.create_order(courses[:1], idempotencyKey=key)
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "idempotencyKey")


@pytest.mark.parametrize("key", ["k", "x" * 128, "a b", "!", "~", "'; DROP TABLE orders; --", " edge", "edge ", " "])
def test_any_printable_ascii_is_a_key(buyer, courses, key):
    assert buyer.create_order(courses[:1], idempotencyKey=key)["__typename"] == "CreateOrderSuccess"
    assert IdempotencyKey.objects.get().key == key


# --- CoursesUnavailable, AlreadyOwned, PriceChanged ------------------------------------------------------------------

NO_COURSE = ["01", "-1", "1.0", "9" * 30, "9" * 18, "abc", "", "\x00", "0", " 1", "1 ", "+1", "１", "1e0", "0x1", "1\n"]


@pytest.mark.parametrize("course_id", NO_COURSE, ids=ascii)
def test_an_id_of_no_course_is_unavailable_and_named(buyer, courses, course_id):
    with nothing_changes():
        answer = order_ids(buyer, [str(courses[0].pk), course_id], "117.00")
    assert (answer["__typename"], answer["courseIds"]) == ("CoursesUnavailable", [course_id])


def test_every_unavailable_course_is_named_in_the_order_asked(buyer, courses):
    ids = ["abc", str(courses[0].pk), str(courses[3].pk), "99999"]
    with nothing_changes():
        answer = order_ids(buyer, ids, "117.00")
    assert answer["courseIds"] == ["abc", str(courses[3].pk), "99999"]


@pytest.mark.parametrize("course_id", [True, 1.5, None, ["1"], {"id": "1"}], ids=str)
def test_an_id_of_another_type_is_a_bad_request(buyer, courses, course_id):
    with nothing_changes():
        asked = {"courseIds": [str(courses[0].pk), course_id], "totalAmount": "117.00"}
        assert buyer.errors(CREATE_ORDER, input=asked) == ["BAD_REQUEST"]


def test_a_course_gone_off_sale_is_unavailable(buyer, courses):
    with nothing_changes():
        answer = buyer.create_order([courses[0], courses[3]])
    assert (answer["__typename"], answer["courseIds"]) == ("CoursesUnavailable", [str(courses[3].pk)])


def test_owned_courses_are_named(buyer, user, stranger, courses):
    own(user, courses[0], courses[2])
    own(stranger.user, courses[1])
    with nothing_changes():
        answer = buyer.create_order(courses[:3])
    assert answer["__typename"] == "AlreadyOwned"
    assert answer["courseIds"] == [str(courses[0].pk), str(courses[2].pk)]


def test_a_course_whose_access_was_closed_can_be_bought_again(buyer, user, courses):
    from django.utils import timezone

    own(user, courses[0])
    Enrollment.objects.update(closed_at=timezone.now())
    assert buyer.create_order(courses[:1])["__typename"] == "CreateOrderSuccess"


@pytest.mark.parametrize("total", ["155.99", "156.01", "0.00", "15600.00", "99999999.99"])
def test_another_total_than_the_price_is_refused_with_both(buyer, courses, total):
    with nothing_changes():
        answer = buyer.create_order(courses[:2], total)
    assert answer["__typename"] == "PriceChanged"
    assert (answer["expectedTotal"], answer["actualTotal"]) == (total, "156.00")


# --- Money that is none ----------------------------------------------------------------------------------------------

NO_MONEY = [
    "1e3", "1E3", "NaN", "Infinity", "-Infinity", "１.００", "٣.٠٠", "117", "117.0", "117.000", "117.00 ", " 117.00",
    "117.00\n", "-117.00", "+117.00", "1_17.00", "1,117.00", "117,00", ".00", "117.", "", "abc", "0x75.00", "¥117.00",
    "123456789.00", "117.00\x00",
]  # fmt: skip


@pytest.mark.parametrize("total", [*NO_MONEY, 117, 117.0, 0, True, None, ["117.00"], {"yuan": "117.00"}], ids=ascii)
def test_a_malformed_total_in_a_variable_is_a_bad_request(buyer, courses, total):
    with nothing_changes():
        asked = {"courseIds": [str(courses[0].pk)], "totalAmount": total}
        assert buyer.errors(CREATE_ORDER, input=asked) == ["BAD_REQUEST"]


LITERAL = 'mutation { createOrder(input: {courseIds: ["%s"], totalAmount: %s}) { __typename } }'
QUOTED = [f'"{text}"' for text in NO_MONEY if text.isprintable()]


@pytest.mark.parametrize(
    "literal",
    [*QUOTED, "117.00", "117", "1e3", "NaN", "true", "null", '["117.00"]', '{yuan: "117.00"}', "$x"],
    ids=ascii,
)
def test_a_malformed_total_in_the_document_is_a_bad_request(buyer, courses, literal):
    with nothing_changes():
        codes = buyer.errors(LITERAL % (courses[0].pk, literal))
    assert set(codes) == {"BAD_REQUEST"}


def test_a_total_in_the_document_is_read_as_one_in_a_variable(buyer, courses):
    answer = buyer.ask(LITERAL % (courses[0].pk, '"117.00"'))
    assert answer == {"createOrder": {"__typename": "CreateOrderSuccess"}}


# --- What an order is ------------------------------------------------------------------------------------------------


def test_the_lines_stand_in_the_order_asked_and_sum_to_the_total(buyer, courses):
    answer = buyer.create_order([courses[2], courses[0], courses[1]])
    assert answer["order"]["lines"] == [
        {"name": "Linux 入门", "price": "0.01", "realPrice": "0.01"},
        {"name": "Python 全栈开发", "price": "117.00", "realPrice": "117.00"},
        {"name": "Vue 3 实战", "price": "39.00", "realPrice": "39.00"},
    ]
    assert answer["order"]["totalAmount"] == "156.01"
    assert Payment.objects.get().amount_fen == 15601
    assert sum(OrderLine.objects.values_list("real_price_fen", flat=True)) == 15601


def test_an_order_keeps_its_names_and_prices(buyer, courses, order):
    shown = """query ($id: ID!) { order(id: $id) {
      totalAmount subject lines { name price realPrice course { name price } }
    } }"""
    before = buyer.ask(shown, id=order.number)["order"]
    Course.objects.filter(pk=courses[0].pk).update(name="Renamed", price_fen=99)

    after = buyer.ask(shown, id=order.number)["order"]

    assert (
        (after["totalAmount"], after["subject"])
        == (before["totalAmount"], before["subject"])
        == (
            "156.00",
            "Python 全栈开发 等2门课程",
        )
    )
    assert after["lines"][0] == {
        "name": "Python 全栈开发",
        "price": "117.00",
        "realPrice": "117.00",
        "course": {"name": "Renamed", "price": "0.99"},
    }


def test_an_order_lives_for_its_time_to_pay(buyer, courses, settings):
    import time_machine

    settings.ORDER_TTL_SECONDS = 900
    with time_machine.travel("2026-11-22T06:00:00.250+00:00", tick=False):
        token = Shopper.signed_in(buyer.user)
        answer = token.create_order(courses[:1])
    assert answer["order"]["expiresAt"] == "2026-11-22T06:15:01+00:00"  # up to the whole second that Alipay is told
    assert Payment.objects.get().expires_at == Order.objects.get().expires_at


def test_order_numbers_tell_nothing_of_how_many_there_are(buyer, courses):
    numbers = [buyer.create_order([course])["order"] for course in courses[:3]]
    for order in numbers:
        assert order["id"] == order["number"]
        assert len(order["number"]) == 22
        assert order["number"].isdecimal()
        assert len(order["outTradeNo"]) == 32
    assert len({order["number"][8:] for order in numbers}) == 3


# --- A free basket ---------------------------------------------------------------------------------------------------


def test_a_free_basket_is_paid_at_once_and_again_is_the_same_order(buyer, courses):
    Course.objects.filter(pk=courses[0].pk).update(price_fen=0)
    answer = order_ids(buyer, [str(courses[0].pk)], "0.00", idempotencyKey="free")
    assert (answer["order"]["status"], answer["payUrl"], answer["order"]["payUrl"]) == ("PAID", None, None)
    payment = Payment.objects.get()
    assert (payment.provider, payment.amount_fen, payment.status) == ("free", 0, "PAID")
    assert list(Enrollment.objects.open().values_list("course_id", flat=True)) == [courses[0].pk]
    paid = buyer.ask("query ($id: ID!) { order(id: $id) { tradeNo paidAt status } }", id=answer["order"]["id"])
    assert paid["order"]["tradeNo"] is None
    assert paid["order"]["paidAt"] is not None

    with nothing_changes():
        again = order_ids(buyer, [str(courses[0].pk)], "0.00", idempotencyKey="free")
        bought = order_ids(buyer, [str(courses[0].pk)], "0.00", idempotencyKey="other")
    assert (again["order"]["id"], again["replayed"], again["payUrl"]) == (answer["order"]["id"], True, None)
    assert bought["__typename"] == "AlreadyOwned"


def test_a_free_basket_at_a_price_is_refused(buyer, courses):
    Course.objects.filter(pk=courses[0].pk).update(price_fen=0)
    with nothing_changes():
        answer = order_ids(buyer, [str(courses[0].pk)], "0.01")
    assert (answer["__typename"], answer["actualTotal"]) == ("PriceChanged", "0.00")


def test_a_free_course_among_paid_ones_waits_for_the_money(buyer, courses):
    Course.objects.filter(pk=courses[0].pk).update(price_fen=0)
    courses[0].refresh_from_db()
    answer = buyer.create_order(courses[:2])
    assert (answer["order"]["status"], answer["order"]["totalAmount"]) == ("UNPAID", "39.00")
    assert Enrollment.objects.count() == 0
