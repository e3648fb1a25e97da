"""Two different things that happen to one order at the same moment."""

from functools import partial

import pytest

from backend.orders.models import Order, OrderStatus
from backend.payments.models import Notification, Payment, PaymentStatus
from tests.concurrency import child
from tests.concurrency.books import assert_paid_once, wrongs
from tests.concurrency.processes import CONTEXT, PATIENCE, Part, race
from tests.shop import AlipaySide, post_notify

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("round_", range(4))
def test_a_notify_and_pay_order(round_, buyer, order, payment, alipay):
    pay = partial(child.pay_order, buyer.token, order.number)
    body = alipay.paid_notify(payment)

    *pays, told, told_again = race([pay, pay, pay, partial(child.notify, body), partial(child.notify, body)])

    assert told == told_again == (200, "success")
    assert_paid_once(order)
    for answer in pays:
        # Before the money or after it, and never a second attempt for an order that has one open.
        if answer["__typename"] == "PayOrderSuccess":
            assert answer["order"]["outTradeNo"] == payment.out_trade_no
        else:
            assert answer["__typename"] in ("OrderNotPayable", "AlreadyOwned"), answer


def test_late_money_of_a_closed_attempt_and_pay_order_that_opens_another(buyer, order, payment, alipay):
    Payment.objects.filter(pk=payment.pk).update(status=PaymentStatus.CLOSED)
    pay = partial(child.pay_order, buyer.token, order.number)

    *pays, told = race([pay, pay, pay, partial(child.notify, alipay.paid_notify(payment))])

    assert told == (200, "success")
    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert order.events.filter(name="order.paid").count() == 1
    # At most one new attempt, whichever came first.
    assert order.payments.count() <= 2
    assert order.payments.filter(status=PaymentStatus.PAID).get() == payment
    allowed = {"PayOrderSuccess", "OrderNotPayable", "AlreadyOwned"}
    assert {answer.get("__typename") for answer in pays} <= allowed, pays


def test_two_notifies_of_two_trades_for_one_payment_are_one_payment_and_one_refusal(order, payment, alipay):
    bodies = [alipay.paid_notify(payment, trade_no=f"2026112222001{n:015d}") for n in (1, 2)]

    answers = race([partial(child.notify, body) for body in bodies])

    assert sorted(answers) == [(200, "fail"), (200, "success")]
    assert_paid_once(order)
    verdicts = sorted(Notification.objects.values_list("verdict", "verified"))
    assert verdicts == [("APPLIED", True), ("REFUSED", True)]


def notify_for(number: str, amount_fen: int) -> str:
    """What Alipay says of a payment that no reader sees yet."""
    return AlipaySide().paid_notify(Payment(pk=1, out_trade_no=number, amount_fen=amount_fen))


@pytest.fixture
def uncommitted(buyer, courses):
    """A createOrder that has done everything but commit: its process, its payment's number, and the word to commit."""
    done, commit = CONTEXT.Event(), CONTEXT.Event()
    given = {"courseIds": [str(courses[0].pk)], "totalAmount": "117.00"}
    click = partial(child.with_number, NUMBER, partial(child.create_order, buyer.token, given))
    part = Part(partial(child.held_open, click, done=done, commit=commit))
    assert done.wait(PATIENCE)
    yield part, commit
    commit.set()
    part.end()


@pytest.mark.postgres
def test_a_notify_before_the_orders_commit_is_fail_and_a_copy_after_it_success(uncommitted, buyer):
    creating, commit = uncommitted
    body = notify_for(NUMBER, 11700)

    assert Part(partial(child.status, buyer.token, NUMBER)).answer() is None
    assert Part(partial(child.notify, body)).answer() == (200, "fail")
    assert Order.objects.count() == 0
    commit.set()
    assert creating.answer()["__typename"] == "CreateOrderSuccess"
    assert wrongs(Order.objects.get()) == []

    assert Part(partial(child.notify, body)).answer() == (200, "success")
    assert_paid_once(Order.objects.get())
    assert Notification.objects.get().verdict == "APPLIED"


@pytest.mark.sqlite
def test_a_notify_before_the_orders_commit_waits_for_it(uncommitted, buyer):
    """There is one writer: a reader sees no order yet, and the inbox is written after the commit or not at all."""
    creating, commit = uncommitted
    begun = CONTEXT.Event()

    assert Part(partial(child.status, buyer.token, NUMBER)).answer() is None
    work = partial(child.announced, partial(child.notify, notify_for(NUMBER, 11700)), begun=begun)
    telling = Part(work)
    assert begun.wait(PATIENCE)
    assert not telling.pipe.poll(0.3), "it answered before anything was committed"
    assert Notification.objects.count() == Order.objects.count() == 0
    commit.set()

    assert creating.answer()["__typename"] == "CreateOrderSuccess"
    assert telling.answer() == (200, "success")
    assert_paid_once(Order.objects.get())


def test_an_order_that_was_rolled_back_leaves_its_notify_unpaid(buyer, courses):
    """The other end of the wait: nothing was committed, so nothing may be acknowledged."""
    response = post_notify(notify_for(NUMBER, 11700))
    assert response.content == b"fail"
    assert Notification.objects.get().reason == "unknown order"
