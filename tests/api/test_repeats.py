"""createOrder again: idempotency keys, and the unpaid order that stands already."""

from datetime import timedelta

import pytest
import time_machine

from backend.courses.models import Course
from backend.orders.models import IdempotencyKey, Order, OrderStatus
from tests.api.helpers import close, end, nothing_changes, own, pay
from tests.shop import CREATE_ORDER, Shopper, params_of


def same_number(answer):
    return answer["order"]["id"], answer["order"]["outTradeNo"]


def test_the_same_key_and_input_give_the_same_order(buyer, courses):
    first = buyer.create_order(courses[:3], idempotencyKey="k")
    assert first["replayed"] is False
    with nothing_changes():
        again = buyer.create_order([courses[1], courses[2], courses[0]], idempotencyKey="k")
    assert (again["__typename"], again["replayed"]) == ("CreateOrderSuccess", True)
    assert again["order"] == first["order"] | {"payUrl": again["order"]["payUrl"]}
    assert params_of(again["payUrl"])["biz_content"] == params_of(first["payUrl"])["biz_content"]


def test_the_subject_is_no_part_of_the_input(buyer, courses):
    first = buyer.create_order(courses[:1], idempotencyKey="k", subject="one")
    again = buyer.create_order(courses[:1], idempotencyKey="k", subject="two")
    assert (again["replayed"], again["order"]["subject"]) == (True, "one")
    assert same_number(again) == same_number(first)


def test_a_key_stays_with_its_order_once_that_is_paid(buyer, courses, order, payment):
    key = {"idempotencyKey": "k"}
    assert buyer.create_order(courses[:2], **key)["replayed"] is True
    pay(payment)
    with nothing_changes():
        again = buyer.create_order(courses[:2], **key)
    assert (again["__typename"], again["replayed"], again["payUrl"]) == ("CreateOrderSuccess", True, None)
    assert (again["order"]["id"], again["order"]["status"]) == (order.number, "PAID")


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.TIMED_OUT])
def test_a_key_stays_with_its_order_once_that_has_ended(buyer, courses, status):
    first = buyer.create_order(courses[:2], idempotencyKey="k")
    end(Order.objects.get(), status)
    with nothing_changes():
        again = buyer.create_order(courses[:2], idempotencyKey="k")
    assert (again["order"]["id"], again["order"]["status"], again["payUrl"]) == (first["order"]["id"], status, None)
    fresh = buyer.create_order(courses[:2], idempotencyKey="k2")
    assert fresh["replayed"] is False
    assert fresh["order"]["id"] != first["order"]["id"]


@pytest.mark.parametrize("change", ["fewer", "more", "other", "total"])
def test_a_key_with_another_input_is_refused(buyer, courses, change):
    buyer.create_order(courses[:2], idempotencyKey="k")
    baskets = {"fewer": courses[:1], "more": courses[:3], "other": courses[2:3], "total": courses[:2]}
    with nothing_changes():
        answer = buyer.create_order(baskets[change], "156.01" if change == "total" else None, idempotencyKey="k")
    assert (answer["__typename"], answer["code"]) == ("IdempotencyKeyReused", "IDEMPOTENCY_KEY_REUSED")


def test_a_key_is_its_buyers_own(buyer, stranger, courses):
    mine = buyer.create_order(courses[:2], idempotencyKey="k")
    theirs = stranger.create_order(courses[2:3], idempotencyKey="k")
    assert (theirs["__typename"], theirs["replayed"]) == ("CreateOrderSuccess", False)
    assert theirs["order"]["id"] != mine["order"]["id"]
    assert IdempotencyKey.objects.count() == 2


def test_two_keys_that_differ_in_case_are_two_keys(buyer, courses):
    buyer.create_order(courses[:1], idempotencyKey="key")
    answer = buyer.create_order(courses[1:2], idempotencyKey="KEY")
    assert (answer["__typename"], answer["replayed"]) == ("CreateOrderSuccess", False)


def test_a_refusal_does_not_use_the_key_up(buyer, courses):
    assert buyer.create_order(courses[:2], "1.00", idempotencyKey="k")["__typename"] == "PriceChanged"
    assert buyer.create_order([courses[3]], idempotencyKey="k")["__typename"] == "CoursesUnavailable"
    answer = buyer.create_order(courses[:2], idempotencyKey="k")
    assert (answer["__typename"], answer["replayed"]) == ("CreateOrderSuccess", False)


def test_a_second_key_that_was_answered_with_the_standing_order_stays_bound_to_it(buyer, courses, payment, order):
    answer = buyer.create_order(courses[:2], idempotencyKey="second")
    assert (answer["order"]["id"], answer["replayed"]) == (order.number, True)
    assert buyer.create_order(courses[2:3], idempotencyKey="second")["__typename"] == "IdempotencyKeyReused"
    end(order, OrderStatus.CANCELLED)
    with nothing_changes():
        again = buyer.create_order(courses[:2], idempotencyKey="second")
    assert (again["order"]["id"], again["order"]["status"], again["replayed"]) == (order.number, "CANCELLED", True)


def test_a_key_replays_though_the_course_has_gone_off_sale_or_up_in_price(buyer, courses):
    first = buyer.create_order(courses[:2], idempotencyKey="k")
    Course.objects.update(on_sale=False, price_fen=5)
    again = buyer.create_order(courses[:2], "156.00", idempotencyKey="k")
    assert (again["replayed"], same_number(again)) == (True, same_number(first))


# --- The order that stands already -----------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"idempotencyKey": "another"}])
def test_the_same_set_and_total_give_the_unpaid_order_whatever_the_key(buyer, courses, more):
    first = buyer.create_order(courses[:2], idempotencyKey="one")
    again = buyer.create_order([courses[1], courses[0]], **more)
    assert (again["__typename"], again["replayed"]) == ("CreateOrderSuccess", True)
    assert same_number(again) == same_number(first)
    assert Order.objects.count() == 1
    assert params_of(again["payUrl"])["biz_content"] == params_of(first["payUrl"])["biz_content"]


def test_the_old_total_gives_the_unpaid_order_after_a_new_price(buyer, courses, order):
    Course.objects.filter(pk=courses[0].pk).update(price_fen=20000)
    again = buyer.create_order(courses[:2], "156.00")
    assert (again["replayed"], again["order"]["id"], again["order"]["totalAmount"]) == (True, order.number, "156.00")


def test_the_same_set_at_a_new_price_is_held_by_the_unpaid_order(buyer, courses, order, payment):
    Course.objects.filter(pk=courses[0].pk).update(price_fen=20000)
    with nothing_changes():
        answer = buyer.create_order(courses[:2], "239.00", idempotencyKey="k")
    assert (answer["__typename"], answer["order"]["id"]) == ("OpenOrderExists", order.number)
    assert f'"out_trade_no":"{payment.out_trade_no}"' in params_of(answer["payUrl"])["biz_content"]
    assert '"total_amount":"156.00"' in params_of(answer["payUrl"])["biz_content"]


@pytest.mark.parametrize("basket", [[0], [1], [0, 2], [0, 1, 2]], ids=str)
def test_any_other_overlap_is_refused_with_the_order_that_holds_it(buyer, courses, order, basket):
    with nothing_changes():
        answer = buyer.create_order([courses[n] for n in basket], idempotencyKey="k")
    assert (answer["__typename"], answer["order"]["id"]) == ("OpenOrderExists", order.number)
    assert answer["payUrl"].startswith("http://127.0.0.1:9/gateway.do?")


def test_courses_that_no_unpaid_order_holds_are_free_to_order(buyer, stranger, courses, order):
    assert buyer.create_order(courses[2:3])["replayed"] is False
    assert stranger.create_order(courses[:2])["replayed"] is False
    assert Order.objects.count() == 3


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.TIMED_OUT])
def test_an_order_that_has_ended_holds_nothing(buyer, courses, order, status):
    end(order, status)
    answer = buyer.create_order(courses[:2])
    assert (answer["__typename"], answer["replayed"]) == ("CreateOrderSuccess", False)
    assert answer["order"]["id"] != order.number


def test_an_expired_order_that_has_not_ended_still_holds_its_courses(buyer, user, courses, order):
    with time_machine.travel(order.expires_at + timedelta(hours=1), tick=False), nothing_changes():
        late = Shopper.signed_in(user)
        same = late.create_order(courses[:2])
        overlap = late.create_order(courses[:1])
    assert (same["__typename"], same["replayed"], same["order"]["id"]) == ("CreateOrderSuccess", True, order.number)
    assert (same["payUrl"], same["order"]["payUrl"], same["order"]["status"]) == (None, None, "UNPAID")
    assert (overlap["__typename"], overlap["payUrl"]) == ("OpenOrderExists", None)
    assert overlap["order"]["id"] == order.number


@pytest.mark.parametrize(("seconds_left", "has_url"), [(61, True), (60, True), (59, False), (1, False), (0, False)])
def test_no_url_is_given_with_less_than_a_minute_left(buyer, courses, order, seconds_left, has_url):
    with time_machine.travel(order.expires_at - timedelta(seconds=seconds_left), tick=False):
        answer = buyer.create_order(courses[:2])
    assert answer["replayed"] is True
    assert (answer["payUrl"] is not None, answer["order"]["payUrl"] is not None) == (has_url, has_url)


def test_a_shop_with_a_very_short_time_to_pay_gives_urls_to_the_end(buyer, courses, settings):
    settings.ORDER_TTL_SECONDS = 30
    buyer.create_order(courses[:1])
    order = Order.objects.get()
    with time_machine.travel(order.expires_at - timedelta(seconds=1), tick=False):
        assert buyer.create_order(courses[:1])["payUrl"] is not None
    with time_machine.travel(order.expires_at, tick=False):
        assert buyer.create_order(courses[:1])["payUrl"] is None


def test_an_order_whose_attempt_was_closed_is_replayed_without_a_url(buyer, courses, order, payment):
    close(payment)
    with nothing_changes():
        answer = buyer.create_order(courses[:2])
    assert (answer["replayed"], answer["order"]["id"], answer["payUrl"]) == (True, order.number, None)


def test_owning_a_held_course_wins_over_the_order_that_holds_it(buyer, user, courses, order):
    own(user, courses[0])
    with nothing_changes():
        answer = buyer.create_order(courses[:2])
    assert (answer["__typename"], answer["courseIds"]) == ("AlreadyOwned", [str(courses[0].pk)])


def test_the_id_may_be_a_number_and_is_the_same_input(buyer, courses):
    first = buyer.create_order(courses[:1], idempotencyKey="k")
    asked = {"courseIds": [courses[0].pk], "totalAmount": "117.00", "idempotencyKey": "k"}
    again = buyer.ask(CREATE_ORDER, input=asked)["createOrder"]
    assert (again["replayed"], again["order"]["id"]) == (True, first["order"]["id"])
