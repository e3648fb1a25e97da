"""One buyer, many clicks at once: one order for what is wanted once."""

from functools import partial

import pytest

from backend.money import format_yuan
from backend.orders.models import IdempotencyKey, Order
from backend.payments.models import Payment
from tests.concurrency import child, sabotage
from tests.concurrency.books import wrongs
from tests.concurrency.processes import CONTEXT, race
from tests.shop import params_of

pytestmark = pytest.mark.django_db(transaction=True)

EIGHT = 8


def basket(courses, key=None):
    given = {
        "courseIds": [str(course.pk) for course in courses],
        "totalAmount": format_yuan(sum(course.price_fen for course in courses)),
    }
    return given if key is None else {**given, "idempotencyKey": key}


def clicks(buyer, *baskets):
    return [partial(child.create_order, buyer.token, given) for given in baskets]


def assert_one_order_for_all(answers):
    assert {answer.get("__typename") for answer in answers} == {"CreateOrderSuccess"}, answers
    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * (len(answers) - 1)
    order = Order.objects.get()
    assert {answer["order"]["id"] for answer in answers} == {order.number}
    assert len({params_of(answer["payUrl"])["biz_content"] for answer in answers}) == 1
    assert wrongs(order) == []


def test_eight_clicks_with_one_key(buyer, courses):
    answers = race(clicks(buyer, *[basket(courses[:2], "k")] * EIGHT))
    assert_one_order_for_all(answers)
    assert IdempotencyKey.objects.count() == 1


def test_eight_tabs_with_a_key_each(buyer, courses):
    answers = race(clicks(buyer, *[basket(courses[:2], f"k{n}") for n in range(EIGHT)]))
    assert_one_order_for_all(answers)
    assert IdempotencyKey.objects.count() == EIGHT


def test_eight_clicks_without_a_key(buyer, courses):
    assert_one_order_for_all(race(clicks(buyer, *[basket(courses[:2])] * EIGHT)))


def test_one_key_with_two_baskets_at_once_is_one_order_and_one_reuse(buyer, courses):
    answers = race(clicks(buyer, basket(courses[:1], "k"), basket(courses[1:2], "k")))
    assert sorted(answer["__typename"] for answer in answers) == ["CreateOrderSuccess", "IdempotencyKeyReused"]
    assert Order.objects.count() == 1


def test_overlapping_baskets_at_once_are_one_order_and_one_refusal(buyer, courses):
    a_b, b_c = basket(courses[0:2]), basket(courses[1:3])
    answers = race(clicks(buyer, a_b, b_c, a_b, b_c))

    order = Order.objects.get()
    taken = {str(pk) for pk in order.lines.values_list("course_id", flat=True)}
    for asked, answer in zip((a_b, b_c, a_b, b_c), answers, strict=True):
        due = "CreateOrderSuccess" if set(asked["courseIds"]) == taken else "OpenOrderExists"
        assert answer["__typename"] == due
        assert answer["order"]["id"] == order.number
    assert wrongs(order) == []


def test_two_buyers_of_the_same_courses_do_not_meet(buyer, stranger, courses):
    answers = race([*clicks(buyer, basket(courses[:2], "k")), *clicks(stranger, basket(courses[:2], "k"))])
    assert [(answer["__typename"], answer["replayed"]) for answer in answers] == [("CreateOrderSuccess", False)] * 2
    assert Order.objects.count() == Payment.objects.count() == 2


# --- Negative controls ------------------------------------------------------------------------------------------------


def race_without_the_lock(buyer, *baskets):
    meeting = CONTEXT.Barrier(len(baskets))
    without = partial(sabotage.no_buyer_lock, meeting)
    return race([partial(child.sabotaged, without, click) for click in clicks(buyer, *baskets)])


def test_control_without_the_buyers_lock_overlapping_baskets_are_two_orders(buyer, courses):
    answers = race_without_the_lock(buyer, basket(courses[0:2]), basket(courses[1:3]))
    assert [answer["__typename"] for answer in answers] == ["CreateOrderSuccess"] * 2
    assert Order.objects.filter(lines__course=courses[1]).count() == 2


def test_control_without_the_buyers_lock_the_index_still_lets_one_order_of_a_basket_stand(buyer, courses):
    answers = race_without_the_lock(buyer, *[basket(courses[:2])] * 2)
    assert sorted(answer.get("__typename", "errors") for answer in answers) == ["CreateOrderSuccess", "errors"]
    assert Order.objects.count() == 1
