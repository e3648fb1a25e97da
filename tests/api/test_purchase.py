"""The main job: an order, a notify, an open course; once."""

from backend.courses.models import Enrollment
from backend.orders.models import Order, OrderEvent
from backend.payments.models import Notification, Payment
from tests.shop import params_of, post_notify


def test_a_paid_notify_pays_the_order_and_opens_its_courses(buyer, courses, alipay):
    answer = buyer.create_order(courses[:2], idempotencyKey="k1")
    assert answer["__typename"] == "CreateOrderSuccess"
    assert answer["order"]["totalAmount"] == "156.00"
    number = answer["order"]["outTradeNo"]
    assert buyer.status(number) == "UNPAID"

    response = post_notify(alipay.paid_notify(Payment.objects.get(out_trade_no=number)))

    assert (response.status_code, response.content, response["content-type"]) == (
        200,
        b"success",
        "text/plain; charset=utf-8",
    )
    assert buyer.status(number) == "PAID"
    assert set(Enrollment.objects.open().values_list("course_id", flat=True)) == {c.pk for c in courses[:2]}
    events = list(OrderEvent.objects.order_by("id").values_list("name", flat=True))
    assert events == ["order.created", "order.paid", "enrollment.opened"]
    assert Notification.objects.get().verdict == "APPLIED"


def test_the_same_notify_again_is_success_and_changes_nothing(buyer, courses, alipay, payment):
    body = alipay.paid_notify(payment)
    answers = [post_notify(body).content for _ in range(3)]
    assert answers == [b"success"] * 3
    assert Enrollment.objects.count() == 2
    assert OrderEvent.objects.filter(name="order.paid").count() == 1
    assert Notification.objects.get().times_received == 3


def test_a_retry_with_a_new_time_and_sign_is_success_and_changes_nothing(payment, alipay):
    post_notify(alipay.paid_notify(payment))
    assert post_notify(alipay.paid_notify(payment, notify_time="2026-11-23 09:00:00")).content == b"success"
    assert Notification.objects.count() == 2
    assert OrderEvent.objects.filter(name="order.paid").count() == 1


def test_the_pay_url_says_what_the_order_says(buyer, courses):
    answer = buyer.create_order(courses[:1])
    params = params_of(answer["payUrl"])
    order = Order.objects.get(number=answer["order"]["id"])
    assert params["method"] == "alipay.trade.page.pay"
    assert params["notify_url"] == "http://127.0.0.1:8000/payments/alipay/notify/"
    assert params["return_url"] == "http://shop.example/pay/success"
    assert order.expires_at.microsecond == 0
    assert f'"time_expire":"{order.expires_at.astimezone().strftime("%Y-%m-%d")}' in params["biz_content"]


def test_a_free_basket_is_paid_at_once(buyer, courses):
    courses[0].price_fen = 0
    courses[0].save()
    answer = buyer.create_order(courses[:1])
    assert answer["order"]["status"] == "PAID"
    assert answer["payUrl"] is None
    assert Enrollment.objects.open().get().course_id == courses[0].pk
