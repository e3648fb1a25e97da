"""Refunds: one number for ever, the sum within what was paid, and access that follows the money."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend.courses.models import Enrollment
from backend.orders.models import Order
from backend.payments.models import Discrepancy, Payment, Refund
from backend.payments.providers.base import ProviderUnavailable, RefundResult, RefundState, TradeState
from backend.payments.trades import apply_trade
from tests.jobs.conftest import trade_of

pytestmark = pytest.mark.django_db

REFUND = """mutation ($i: RefundOrderInput!) { refundOrder(input: $i) {
  __typename
  ... on RefundOrderSuccess { replayed refund { amount status reason } order { status refundState refundedAmount } }
  ... on UserError { code message }
  ... on InvalidInput { field }
} }"""
DONE = RefundResult(RefundState.SUCCEEDED)
NOT_SEEN = RefundResult(RefundState.NOT_SEEN)


@pytest.fixture
def paid(clock, order, payment):
    apply_trade(trade_of(payment, TradeState.PAID))
    return Order.objects.get()


def ask(shopper, order, **more):
    given = {"orderId": order.number, "reason": "买错了", "idempotencyKey": "r1", **more}
    return shopper.ask(REFUND, i=given)["refundOrder"]


def test_a_full_refund_closes_the_courses_and_they_can_be_bought_again(later, provider, staff, buyer, courses, paid):
    provider.answers("refund", DONE)
    answer = ask(staff, paid)
    assert answer["refund"] == {"amount": "156.00", "status": "PENDING", "reason": "买错了"}
    assert Enrollment.objects.open().count() == 2, "nothing closes before the money is back"
    later(1)
    shown = buyer.ask("query ($id: ID!) { order(id: $id) { status refundState refundedAmount refunds { status } } }",
                      id=paid.number)["order"]  # fmt: skip
    assert shown == {
        "status": "PAID",
        "refundState": "FULL",
        "refundedAmount": "156.00",
        "refunds": [{"status": "SUCCEEDED"}],
    }
    assert not Enrollment.objects.open().exists()
    assert buyer.create_order(courses[:2])["__typename"] == "CreateOrderSuccess"


def test_a_partial_refund_closes_only_what_it_names(later, provider, staff, courses, paid):
    provider.answers("refund", DONE)
    ask(staff, paid, amount="39.00", closeCourseIds=[str(courses[1].pk)])
    later(1)
    assert [row.course_id for row in Enrollment.objects.open()] == [courses[0].pk]
    ask(staff, paid, amount="17.00", idempotencyKey="r2")
    later(5)
    assert Enrollment.objects.open().count() == 1
    assert Payment.objects.get().refunded_fen == 5600


def test_parts_that_add_up_to_all_close_everything(later, provider, staff, paid):
    provider.answers("refund", DONE)
    for number, amount in enumerate(["100.00", "50.00", "6.00"]):
        ask(staff, paid, amount=amount, idempotencyKey=f"p{number}")
    for _ in range(3):
        later(4)
    assert Payment.objects.get().refunded_fen == 15600
    assert not Enrollment.objects.open().exists()


def test_the_sum_never_exceeds_what_was_paid(staff, paid):
    assert ask(staff, paid, amount="100.00")["__typename"] == "RefundOrderSuccess"
    assert ask(staff, paid, amount="56.01", idempotencyKey="r2")["__typename"] == "RefundTooLarge"
    assert ask(staff, paid, amount="56.00", idempotencyKey="r3")["__typename"] == "RefundOrderSuccess"
    assert ask(staff, paid, idempotencyKey="r4")["__typename"] == "NothingToRefund"
    assert sum(Refund.objects.values_list("amount_fen", flat=True)) == 15600


def test_the_same_key_is_the_same_refund(staff, paid):
    ask(staff, paid, amount="10.00")
    again = ask(staff, paid, amount="10.00")
    assert again["replayed"] is True
    assert ask(staff, paid, amount="11.00")["__typename"] == "IdempotencyKeyReused"
    assert Refund.objects.count() == 1


def test_who_may_refund(buyer, anonymous, paid):
    given = {"orderId": paid.number, "reason": "x", "idempotencyKey": "k"}
    assert buyer.errors(REFUND, i=given) == ["FORBIDDEN"]
    assert anonymous.errors(REFUND, i=given) == ["UNAUTHENTICATED"]
    assert not Refund.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"amount": "0.00"}, "amount"),
        ({"closeCourseIds": ["999"]}, "closeCourseIds"),
    ],
)
def test_bad_input(staff, paid, change, field):
    answer = ask(staff, paid, **change)
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", field)
    assert not Refund.objects.exists()


def test_an_unpaid_order_has_nothing_to_refund(staff, order):
    assert ask(staff, order)["__typename"] == "NothingToRefund"
    order.number = "1"
    assert ask(staff, order)["__typename"] == "OrderNotFound"


def test_a_time_out_ends_in_one_refund_by_the_same_number(later, provider, staff, paid):
    """The gateway applied the call whose answer we never saw: the question after it finds out."""
    provider.answers("refund", ProviderUnavailable("time-out"))
    ask(staff, paid)
    later(1)
    assert Refund.objects.get().status == "PENDING"
    provider.answers("query_refund", DONE)
    later(11)
    assert Refund.objects.get().status == "SUCCEEDED"
    assert len({number for call, number in provider.asked}) == 1
    assert provider.calls() == ["refund", "query_refund"]


def test_a_time_out_before_the_gateway_heard_is_called_again(later, provider, staff, paid):
    provider.answers("refund", ProviderUnavailable("time-out"), DONE)
    provider.answers("query_refund", NOT_SEEN)
    ask(staff, paid)
    later(1)
    later(11)
    assert Refund.objects.get().status == "SUCCEEDED"
    assert len({number for call, number in provider.asked}) == 1


def test_moved_by_an_earlier_call_is_found_by_asking(later, provider, staff, paid):
    provider.answers("refund", NOT_SEEN)
    provider.answers("query_refund", DONE)
    ask(staff, paid)
    later(1)
    assert Refund.objects.get().status == "SUCCEEDED"


def test_an_empty_seller_account_waits_and_tries_again(later, provider, staff, paid):
    poor = RefundResult(RefundState.WAITING, code="ACQ.SELLER_BALANCE_NOT_ENOUGH", message="卖家余额不足")
    provider.answers("refund", poor, DONE)
    provider.answers("query_refund", NOT_SEEN)
    ask(staff, paid)
    later(1)
    refund = Refund.objects.get()
    assert (refund.status, refund.provider_code) == ("PENDING", "ACQ.SELLER_BALANCE_NOT_ENOUGH")
    later(3600)
    refund.refresh_from_db()
    assert refund.status == "SUCCEEDED"


def test_a_refusal_is_believed_only_after_asking(later, provider, staff, paid):
    """The worker died after the gateway had applied the refund: its repeat is refused, because the trade is closed."""
    provider.answers("refund", RefundResult(RefundState.FAILED, code="ACQ.TRADE_HAS_CLOSE"))
    provider.answers("query_refund", DONE)
    ask(staff, paid)
    later(1)
    assert Refund.objects.get().status == "SUCCEEDED"


def test_a_final_refusal_frees_the_money_again(later, provider, staff, paid):
    provider.answers("refund", RefundResult(RefundState.FAILED, code="ACQ.REASON_TRADE_BEEN_FREEZEN", message="冻结"))
    provider.answers("query_refund", NOT_SEEN)
    ask(staff, paid)
    later(1)
    refund = Refund.objects.get()
    assert (refund.status, refund.provider_code, refund.provider_message) == (
        "FAILED",
        "ACQ.REASON_TRADE_BEEN_FREEZEN",
        "冻结",
    )
    assert Enrollment.objects.open().count() == 2
    assert not Discrepancy.objects.exists(), "the operator who asked sees it; only the shop's own refunds need a flag"
    assert ask(staff, paid, idempotencyKey="r2")["__typename"] == "RefundOrderSuccess"


def test_two_refunds_of_one_trade_are_three_seconds_apart(later, provider, staff, paid):
    provider.answers("refund", DONE)
    ask(staff, paid, amount="1.00")
    ask(staff, paid, amount="2.00", idempotencyKey="r2")
    later(0)
    assert provider.calls() == ["refund"]
    later(2)
    assert provider.calls() == ["refund"]
    later(1)
    assert provider.calls() == ["refund", "refund"]


# --- What the provider says of refunds --------------------------------------------------------------------------------


def reports(payment, *cumulative):
    """Statements of the trade as it went: paid, then refunded at the console up to each sum."""
    paid_at = timezone.now()
    yield trade_of(payment, TradeState.PAID, paid_at=paid_at)
    for fen in cumulative:
        state = TradeState.CLOSED if fen == payment.amount_fen else TradeState.PAID
        yield trade_of(payment, state, paid_at=paid_at, refunded_fen=fen, refund_request_no=f"console{fen}")


def books():
    """What must be the same whatever order the statements came in."""
    payment = Payment.objects.get()
    return (
        payment.status,
        payment.order.status,
        payment.refunded_fen,
        payment.refunding_fen,
        sorted(Refund.objects.values_list("out_request_no", "amount_fen", "status")),
        Enrollment.objects.open().count(),
    )


@pytest.mark.parametrize("cumulative", [(), (1000,), (1000, 5600), (1000, 5600, 15600)])
def test_every_order_of_the_statements_ends_alike(clock, order, payment, cumulative):
    from itertools import permutations

    from django.db import transaction

    seen = set()
    for statements in permutations(list(reports(payment, *cumulative))):
        with transaction.atomic():
            for statement in (*statements, statements[0]):
                apply_trade(statement)
            seen.add(repr(books()))
            transaction.set_rollback(True)
    assert len(seen) == 1
    kept = 15600 - (cumulative[-1] if cumulative else 0)
    assert f"'PAID', 'PAID', {15600 - kept}, 0" in seen.pop()


def test_a_console_refund_while_ours_is_under_way_is_told_apart(later, provider, staff, paid, payment):
    """Alipay reports one sum for both; ours is known by its number, the rest is the console's."""
    provider.answers("refund", ProviderUnavailable("time-out"))
    provider.answers("query_refund", NOT_SEEN)
    ask(staff, paid, amount="10.00")
    later(1)
    ours = Refund.objects.get()
    report = {"paid_at": timezone.now(), "refunded_fen": 3000}
    apply_trade(trade_of(payment, TradeState.PAID, **report, refund_request_no="console"))
    assert Payment.objects.get().refunded_fen == 0, "it may be ours: it waits until that is known"
    apply_trade(trade_of(payment, TradeState.PAID, **report, refund_request_no=ours.out_request_no))
    amounts = dict(Refund.objects.values_list("cause", "amount_fen"))
    assert amounts == {"STAFF": 1000, "PROVIDER": 2000}
    assert Payment.objects.get().refunded_fen == 3000


def test_a_trade_that_a_query_finds_closed_after_payment_was_refunded_in_full(clock, paid, payment):
    apply_trade(trade_of(payment, TradeState.CLOSED, paid_at=timezone.now()))
    assert Payment.objects.get().refunded_fen == 15600
    assert not Enrollment.objects.open().exists()


@pytest.mark.parametrize("back", [1e-6, 1, 3600])
def test_a_clock_that_steps_back_stops_no_refund(clock, paid, payment, back):
    """Two machines, two clocks: what is closed by the slower one was opened by the faster."""
    clock.shift(timedelta(seconds=-back))
    apply_trade(trade_of(payment, TradeState.CLOSED, paid_at=timezone.now()))
    assert Payment.objects.get().refunded_fen == 15600
    assert not Enrollment.objects.open().exists()


def test_closed_without_a_word_of_payment_takes_nothing_back(clock, paid, payment):
    before = books()
    apply_trade(trade_of(payment, TradeState.CLOSED))
    assert books() == before


def test_an_old_paid_notify_after_the_refund_changes_nothing(clock, later, provider, staff, paid, payment):
    provider.answers("refund", DONE)
    ask(staff, paid)
    later(1)
    before = books()
    apply_trade(trade_of(payment, TradeState.PAID))
    assert books() == before
