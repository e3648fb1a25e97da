"""What is written down about a refund, and what its books come to: to the fen, and in the words of the history."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from backend.events.models import Event
from backend.orders.models import Order, OrderEvent
from backend.payments import refunding, refunds
from backend.payments.models import BilledRefund, Discrepancy, Payment, Refund, RefundCause
from backend.payments.providers.base import ProviderUnavailable, RefundResult, RefundState, TradeState
from backend.payments.trades import Effect, apply_trade
from tests.jobs.conftest import trade_of
from tests.jobs.test_refunds import DONE, NOT_SEEN, REFUND, ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(clock, order, payment):
    apply_trade(trade_of(payment, TradeState.PAID))
    return Order.objects.get()


def history(name):
    return list(OrderEvent.objects.filter(name=name).order_by("id").values_list("detail", flat=True))


def requested(staff, order, **more):
    """The row of a refund that was asked for."""
    assert ask(staff, order, **more)["__typename"] == "RefundOrderSuccess"
    return Refund.objects.latest("id")


def told(payment, fen, number, **more):
    """The provider's word of what was refunded in all, and by which number last."""
    more = {"paid_at": timezone.now(), "refunded_fen": fen, "refund_request_no": number, **more}
    return apply_trade(trade_of(payment, TradeState.PAID, **more))


# --- Asking for one ---------------------------------------------------------------------------------------------------


def test_what_an_operator_asks_for_is_kept(staff, courses, order, paid, payment, monkeypatch):
    nudges = []
    monkeypatch.setattr(refunds, "nudge", nudges.append)
    refund = requested(staff, paid, amount="39.00", closeCourseIds=[str(courses[1].pk)])
    assert refund.requested_by == staff.user
    assert refund.close_course_ids == [courses[1].pk]
    assert re.fullmatch(rf"{payment.out_trade_no}_[0-9a-f]{{16}}", refund.out_request_no)
    assert history("refund.requested") == ["39.00 STAFF"]
    assert nudges == ["refunds"]


def test_the_first_answer_is_no_repeat(staff, paid):
    assert ask(staff, paid)["replayed"] is False


def test_all_courses_of_an_order_may_be_named_and_no_other_id(staff, courses, stranger, paid):
    stranger.create_order(courses[2:3])  # so that the ids of lines run ahead of those of courses
    stranger.user.orders.all().update(status="CANCELLED")
    again = Order.objects.get(number=stranger.create_order(courses[:1])["order"]["id"])
    apply_trade(trade_of(again.payments.get(), TradeState.PAID))
    assert again.lines.get().pk != courses[0].pk
    given = {"orderId": again.number, "reason": "r" * 200, "idempotencyKey": "k", "amount": "1.00"}
    refused = staff.ask(REFUND, i={**given, "closeCourseIds": [str(again.lines.get().pk)]})["refundOrder"]
    assert refused["__typename"] == "InvalidInput"
    refund = requested(staff, again, amount="1.00", reason="r" * 200, closeCourseIds=[str(courses[0].pk)])
    assert (refund.close_course_ids, refund.reason) == ([courses[0].pk], "r" * 200)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"reason": ""}, "reason", "Say why in 1 to 200 characters, without control characters."),
        ({"reason": "a\nb"}, "reason", "Say why in 1 to 200 characters, without control characters."),
        ({"idempotencyKey": "键"}, "idempotencyKey", "A key is 1 to 128 printable ASCII characters."),
        ({"amount": "0.00"}, "amount", "A refund is of at least 0.01 yuan."),
        ({"closeCourseIds": ["0"]}, "closeCourseIds", "Only courses of this order can be closed by its refund."),
    ],
)
def test_a_refusal_says_what_is_wrong(staff, paid, change, field, message):
    answer = ask(staff, paid, **change)
    assert (answer["field"], answer["message"]) == (field, message)
    assert not Refund.objects.exists()


def test_one_fen_is_a_refund(staff, paid):
    assert requested(staff, paid, amount="0.01").amount_fen == 1


def test_it_is_taken_from_the_attempt_that_has_most_left(staff, paid, payment):
    """The first was given back at the provider; a second attempt still holds its money."""
    second = Payment.objects.create(
        order=paid, provider="alipay", amount_fen=15600, status="PAID", trade_no="another", paid_at=timezone.now(),
        created_at=timezone.now(), expires_at=paid.expires_at,
    )  # fmt: skip
    told(payment, 15600, None)
    assert requested(staff, paid).payment == second


# --- How it ends ------------------------------------------------------------------------------------------------------


def test_a_refund_that_succeeds_is_told_with_what_was_received_and_kept(later, provider, staff, paid):
    provider.answers("refund", DONE)
    refund = requested(staff, paid, amount="56.00")
    later(1)
    refund.refresh_from_db()
    assert (refund.status, refund.ended_at, refund.next_try_at) == ("SUCCEEDED", timezone.now(), None)
    assert history("refund.succeeded") == ["56.00 STAFF"]
    assert history("order.refunded") == ["100.00 kept"]
    body = Event.objects.get(name="order.refunded").body
    assert '"received":"156.00","kept":"100.00"' in body


def test_a_second_unpaid_attempt_is_no_money_received(later, provider, staff, paid):
    Payment.objects.create(
        order=paid, provider="alipay", amount_fen=15600, status="CLOSED",
        created_at=timezone.now(), expires_at=paid.expires_at,
    )  # fmt: skip
    provider.answers("refund", DONE)
    requested(staff, paid, amount="56.00")
    later(1)
    assert '"received":"156.00","kept":"100.00"' in Event.objects.get(name="order.refunded").body


def test_a_final_refusal_is_kept_in_the_providers_words_as_far_as_they_fit(later, provider, staff, paid):
    provider.answers("refund", RefundResult(RefundState.FAILED, code="C" * 99, message="m" * 299))
    provider.answers("query_refund", NOT_SEEN)
    refund = requested(staff, paid, amount="10.00")
    later(1)
    refund.refresh_from_db()
    assert (refund.status, refund.ended_at) == ("FAILED", timezone.now())
    assert (refund.provider_code, refund.provider_message) == ("C" * 64, "m" * 200)
    assert history("refund.failed") == [f"10.00 STAFF {'C' * 99}"]
    assert not Discrepancy.objects.exists(), "who asked for it sees it"


@pytest.mark.parametrize("ends", ["succeed", "fail"])
def test_the_consoles_part_is_booked_when_ours_has_ended(ends, staff, paid, payment):
    ours = requested(staff, paid, amount="10.00")
    told(payment, 3000, "console")
    assert Payment.objects.get().refunded_fen == 0
    if ends == "succeed":
        refunds.succeed(ours.pk)
    else:
        refunds.fail(ours.pk, code="X", message="")
    theirs = Refund.objects.get(cause=RefundCause.PROVIDER)
    assert (theirs.amount_fen, theirs.status) == (2000 if ends == "succeed" else 3000, "SUCCEEDED")
    assert (theirs.created_at, theirs.ended_at) == (timezone.now(), timezone.now())
    assert theirs.reason == str(RefundCause.PROVIDER.label)
    assert Payment.objects.get().refunded_fen == 3000
    assert f"{'20.00' if ends == 'succeed' else '30.00'} at the provider" in history("refund.succeeded")


@pytest.mark.parametrize("end", [refunds.succeed, lambda pk: refunds.fail(pk, code="X", message="")])
def test_what_has_ended_does_not_end_again(end, staff, paid):
    ours = requested(staff, paid, amount="10.00")
    refunds.succeed(ours.pk)
    before = list(Payment.objects.values()), list(Refund.objects.values()), OrderEvent.objects.count()
    end(ours.pk)
    assert before == (list(Payment.objects.values()), list(Refund.objects.values()), OrderEvent.objects.count())


def test_the_shops_own_refund_says_why_in_words(later, provider, settings, order, payment, clock):
    settings.LATE_PAYMENT = "refund"
    order.move_to("TIMED_OUT")
    apply_trade(trade_of(payment, TradeState.PAID, paid_at=order.expires_at + timedelta(seconds=1)))
    refund = Refund.objects.get()
    assert (refund.cause, refund.reason) == ("LATE", str(RefundCause.LATE.label))
    assert refund.out_request_no == f"{payment.out_trade_no}_LATE"
    assert history("payment.received") == [f"T{payment.pk}"]


# --- The provider's word ----------------------------------------------------------------------------------------------


def test_a_report_is_news_once_and_is_kept(paid, payment):
    assert told(payment, 1000, None) == Effect.REFUNDED
    assert Payment.objects.get().reported_refund_fen == 1000
    assert told(payment, 1000, None) == Effect.NOTHING_NEW
    assert told(payment, 400, None) == Effect.NOTHING_NEW, "an older report"
    assert Payment.objects.get().reported_refund_fen == 1000
    assert told(payment, 1001, None) == Effect.REFUNDED, "one fen more"
    assert Payment.objects.get().refunded_fen == 1001


def test_a_report_of_ours_is_news_once(staff, paid, payment):
    ours = requested(staff, paid, amount="10.00")
    assert told(payment, 1000, ours.out_request_no) == Effect.REFUNDED
    assert told(payment, 1000, ours.out_request_no) == Effect.NOTHING_NEW
    assert list(Refund.objects.values_list("status", flat=True)) == ["SUCCEEDED"]
    assert Payment.objects.get().refunded_fen == 1000


def test_a_report_while_ours_is_under_way_is_news_though_nothing_is_booked(staff, paid, payment):
    requested(staff, paid, amount="10.00")
    assert told(payment, 3000, "console") == Effect.REFUNDED
    assert told(payment, 3000, "console") == Effect.NOTHING_NEW
    assert Payment.objects.get().refunded_fen == 0


def test_no_more_than_was_paid_is_believed(paid, payment):
    told(payment, 5000, None)
    told(payment, 99999, None)
    found = Payment.objects.get()
    assert (found.reported_refund_fen, found.refunded_fen) == (15600, 15600)


def test_the_row_of_the_console_grows_and_says_when(clock, paid, payment):
    told(payment, 1000, "a")
    clock.shift(timedelta(minutes=5))
    told(payment, 2500, "b")
    row = Refund.objects.get()
    assert (row.amount_fen, row.ended_at) == (2500, timezone.now())
    assert row.created_at == timezone.now() - timedelta(minutes=5)
    assert history("refund.succeeded") == ["10.00 at the provider", "15.00 at the provider"]


def test_one_fen_at_the_console_is_booked(paid, payment):
    told(payment, 1, None)
    assert Payment.objects.get().refunded_fen == 1


def confirmed(payment, number, fen):
    """The provider confirms one refund by its number, as it does when it is asked about it."""
    return told(payment, None, number, refund_amount_fen=fen)


def test_refunds_that_are_confirmed_by_number_add_up(paid, payment):
    assert confirmed(payment, "a", 1000) == Effect.REFUNDED
    assert confirmed(payment, "b", 500) == Effect.REFUNDED
    assert confirmed(payment, "b", 500) == Effect.NOTHING_NEW
    assert sorted(BilledRefund.objects.values_list("out_request_no", "amount_fen")) == [("a", 1000), ("b", 500)]
    row = Refund.objects.get()
    assert (row.cause, row.amount_fen) == ("PROVIDER", 1500)
    assert Payment.objects.get().refunded_fen == 1500


def test_ours_is_confirmed_by_its_number_and_amount_alone(staff, paid, payment):
    ours = requested(staff, paid, amount="10.00")
    assert confirmed(payment, ours.out_request_no, 999) == Effect.NOTHING_NEW
    assert Refund.objects.get().status == "PENDING"
    assert confirmed(payment, ours.out_request_no, 1000) == Effect.REFUNDED
    assert Refund.objects.get().status == "SUCCEEDED"
    assert confirmed(payment, ours.out_request_no, 1000) == Effect.NOTHING_NEW
    assert not BilledRefund.objects.exists()


def test_one_that_failed_here_and_happened_there_is_booked_as_theirs(staff, paid, payment):
    ours = requested(staff, paid, amount="10.00")
    refunds.fail(ours.pk, code="X", message="")
    assert confirmed(payment, ours.out_request_no, 1000) == Effect.REFUNDED
    assert dict(Refund.objects.values_list("cause", "amount_fen")) == {"STAFF": 1000, "PROVIDER": 1000}
    assert Payment.objects.get().refunded_fen == 1000


def test_a_part_by_number_and_the_sum_in_one_word_are_not_counted_twice(paid, payment):
    assert told(payment, 1000, "a", refund_amount_fen=1000) == Effect.REFUNDED
    assert told(payment, 1000, "a", refund_amount_fen=1000) == Effect.NOTHING_NEW
    assert Payment.objects.get().refunded_fen == 1000


def test_a_number_for_a_sum_that_is_known_is_news_and_books_nothing_twice(paid, payment):
    told(payment, 1000, None)
    assert told(payment, 1000, "a", refund_amount_fen=1000) == Effect.REFUNDED
    assert BilledRefund.objects.get().out_request_no == "a"
    assert Payment.objects.get().refunded_fen == 1000


def test_no_report_books_more_than_was_paid_and_only_what_is_news_is_told(paid, payment):
    """Bills of two numbers may come to more than the payment; a part of it was booked before."""
    told(payment, 3900, "C1")
    payment.refresh_from_db()
    for number, fen in (("C1", 3900), ("C2", payment.amount_fen)):
        BilledRefund.objects.create(payment=payment, out_request_no=number, amount_fen=fen, found_at=timezone.now())
    assert refunds.reconcile_reported(payment, now=timezone.now()) is True
    payment.refresh_from_db()
    assert payment.refunded_fen == payment.amount_fen
    assert refunds.reconcile_reported(payment, now=timezone.now()) is False


# --- Trying -----------------------------------------------------------------------------------------------------------


def test_each_try_is_counted_and_the_next_comes_three_times_later_up_to_an_hour(later, provider, staff, paid, settings):
    settings.PROVIDER_RETRY_SECONDS = 10
    provider.answers("refund", ProviderUnavailable("time-out"))
    provider.answers("query_refund", NOT_SEEN)
    refund = requested(staff, paid)
    waits = []
    for tries in range(1, 9):
        later(3601)
        refund.refresh_from_db()
        assert refund.times_tried == tries
        waits.append((refund.next_try_at - timezone.now()).total_seconds())
    assert waits == [10, 30, 90, 270, 810, 2430, 3600, 3600]


def test_a_try_never_comes_sooner_than_the_shortest_pause(later, provider, staff, paid, settings):
    settings.PROVIDER_RETRY_SECONDS = 1
    provider.answers("refund", ProviderUnavailable("time-out"))
    refund = requested(staff, paid)
    later(1)
    refund.refresh_from_db()
    assert refund.next_try_at == timezone.now() + timedelta(seconds=3)


def test_the_provider_is_told_all_of_the_refund(later, provider, staff, paid, payment):
    asked = []
    provider.refund = lambda request, **more: asked.append(request) or DONE
    refund = requested(staff, paid, amount="10.00")
    later(1)
    (request,) = asked
    assert (request.out_trade_no, request.out_request_no) == (payment.out_trade_no, refund.out_request_no)
    assert (request.amount_fen, request.reason) == (1000, "买错了")


def test_an_unknown_outcome_is_logged_with_its_refund(later, provider, staff, paid, caplog):
    provider.answers("refund", ProviderUnavailable("no whole answer in time"))
    refund = requested(staff, paid)
    later(1)
    assert f"refund {refund.out_request_no}: no whole answer in time" in caplog.messages


def test_the_words_for_now_are_kept_as_far_as_they_fit(later, provider, staff, paid):
    provider.answers("refund", RefundResult(RefundState.WAITING, code="C" * 99, message="\x00m\n" * 299))
    refund = requested(staff, paid)
    later(1)
    refund.refresh_from_db()
    assert (refund.provider_code, refund.provider_message) == ("C" * 64, "m" * 200)


def test_words_without_what_no_database_stores():
    assert refunding.plain("a\x00b\u2028c\td 余额不足。") == "abcd 余额不足。"
