"""The operator's pages: everything can be looked at, and nothing with a status or money can be changed."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, override

from backend.accounts.models import AccessToken, User
from backend.courses.models import Course, Enrollment
from backend.events.delivery import plan
from backend.events.models import Delivery, Event
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderLine
from backend.payments import discrepancies
from backend.payments.bills import take
from backend.payments.discrepancies import open_discrepancy, settle
from backend.payments.models import Bill, Discrepancy, Notification, Payment, Refund
from backend.payments.refunds import fail, request_refund
from tests.shop import post_notify
from tools.messages import messages

READ_ONLY = [
    Order, IdempotencyKey, Payment, Refund, Notification, Discrepancy, Bill, Event, Delivery, AccessToken, Enrollment,
]  # fmt: skip
SHOWN = [*READ_ONLY, Course, User]
# Ours that a Chinese page says in English too: names, and words inside of addresses and mark-up.
SAME_IN_CHINESE = {"GraphQL"}


@pytest.fixture
def operator(client, db):
    client.force_login(User.objects.create_superuser("zhao", password="paper clip"))
    return client


@pytest.fixture
def sold(buyer, courses, alipay):
    """One paid order, with everything that comes with it."""
    answer = buyer.create_order(courses[:2], idempotencyKey="k1")
    order = Order.objects.get(number=answer["order"]["id"])
    post_notify(alipay.paid_notify(order.payments.get()))
    order.refresh_from_db()
    give_back(order, "Bought by mistake")
    find("first")
    plan([Event.objects.latest("pk").pk], urls=["https://lms.example/"])
    take(timezone.localdate() - timedelta(days=1))
    return order


def give_back(order, reason):
    """A refund of one fen that is on its way."""
    refund, _ = request_refund(
        number=order.number,
        amount_fen=1,
        reason=reason,
        idempotency_key=reason,
        close_course_ids=[str(order.lines.first().course_id)],
        staff_id=order.user_id,
    )
    return refund


def find(key):
    open_discrepancy(
        discrepancies.REFUND_FAILED,
        key=key,
        out_trade_no=f"number of {key}",
        detail=f"found {key}",
    )
    return Discrepancy.objects.get(key=key)


def address(row, page="change"):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[quote(row.pk)])


def address_of(model, page="changelist"):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")


def test_everything_that_is_ours_is_registered():
    assert {model for model in admin.site._registry if model.__module__.startswith("backend.")} >= set(SHOWN)


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("model", SHOWN, ids=lambda model: model.__name__)
def test_list_and_detail_pages_open_in_both_languages(operator, sold, model, language):
    row = model._default_manager.order_by("-pk").first()
    for url in (address_of(model), address(row), address(row, "history")):
        response = operator.get(url, headers={"accept-language": language})
        assert response.status_code == 200
        with override(language):
            assert str(model._meta.verbose_name).lower() in response.content.decode().lower()


@pytest.mark.parametrize("model", SHOWN, ids=lambda model: model.__name__)
def test_a_chinese_page_names_our_fields_in_chinese(operator, sold, model):
    row = model._default_manager.order_by("-pk").first()
    data = {str(value) for value in model._default_manager.values().get(pk=row.pk).values()}
    ours = set(messages()) - SAME_IN_CHINESE - data
    for url in (address_of(model), address(row)):
        said = words_of(operator.get(url, headers={"accept-language": "zh-hans"}).content.decode())
        assert said & ours == set()


def words_of(html):
    """The texts between the tags, without colons and stops behind them."""
    from html.parser import HTMLParser

    class Texts(HTMLParser):
        skipped = False

        def __init__(self):
            super().__init__()
            self.found = set()

        def handle_starttag(self, tag, attributes):
            self.skipped = tag in ("script", "style")

        def handle_endtag(self, tag):
            self.skipped = False

        def handle_data(self, data):
            if not self.skipped:
                self.found.add(data.strip().rstrip(":："))

    texts = Texts()
    texts.feed(html)
    return texts.found


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)
def test_what_has_a_status_or_money_cannot_be_written(operator, sold, model):
    row = model._default_manager.order_by("-pk").first()
    before = model._default_manager.values().get(pk=row.pk)
    assert operator.get(address_of(model, "add")).status_code == 403
    assert operator.post(address_of(model, "add"), {}).status_code == 403
    assert operator.post(address(row), {"status": "CANCELLED"}).status_code == 403
    assert operator.post(address(row, "delete"), {"post": "yes"}).status_code == 403
    operator.post(address_of(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert model._default_manager.values().get(pk=row.pk) == before


def test_lines_and_events_of_an_order_cannot_be_written_through_it(operator, sold):
    before = list(OrderLine.objects.values()), list(OrderEvent.objects.values())
    form = {"lines-TOTAL_FORMS": "0", "lines-INITIAL_FORMS": "0", "events-TOTAL_FORMS": "0"}
    assert operator.post(address(sold), form).status_code == 403
    assert (list(OrderLine.objects.values()), list(OrderEvent.objects.values())) == before


def test_an_order_shows_its_lines_payments_and_timeline_in_yuan(operator, sold):
    html = operator.get(address(sold), headers={"accept-language": "en"}).content.decode()
    payment = sold.payments.get()
    for text in ("¥156.00", "¥117.00", "¥39.00", payment.out_trade_no, payment.trade_no, "order.paid", sold.number):
        assert text in html
    assert "15600" not in html


def test_an_order_is_found_by_each_of_its_numbers(operator, sold):
    payment = sold.payments.get()
    for words in (sold.number, sold.number[:10], payment.out_trade_no, payment.trade_no, sold.user.username):
        assert sold.number in operator.get(address_of(Order), {"q": words}).content.decode(), words
    assert sold.number not in operator.get(address_of(Order), {"q": "0" * 32}).content.decode()


@pytest.mark.parametrize(
    "model", [Order, Payment, Refund, Discrepancy, IdempotencyKey, Enrollment], ids=lambda model: model.__name__
)
def test_a_longer_list_takes_no_more_queries(
    operator, buyer, courses, sold, model, django_assert_max_num_queries, alipay
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as few:
        operator.get(address_of(model))
    most = len(few)  # now: the next request empties the log
    buyer.create_order([courses[2]], idempotencyKey="k2")
    post_notify(alipay.paid_notify(Payment.objects.latest("id")))
    give_back(Order.objects.latest("id"), "Another")
    find("second")
    with django_assert_max_num_queries(most):
        operator.get(address_of(model))


def test_an_order_and_its_payment_show_the_refunds_with_how_each_stands(operator, sold):
    failed = give_back(sold, "Second thoughts")
    fail(failed.pk, code="ACQ.NO", message="no")
    for row in (sold, sold.payments.get()):
        html = operator.get(address(row), headers={"accept-language": "en"}).content.decode()
        for text in ("Bought by mistake", "Second thoughts", "¥0.01", "pending", "failed", failed.out_request_no):
            assert text in html, text


def test_a_refund_tells_which_courses_it_closes_and_what_the_provider_said(operator, sold):
    refund = give_back(sold, "Second thoughts")
    fail(refund.pk, code="ACQ.NO", message="the provider's own words")
    html = operator.get(address(refund), headers={"accept-language": "en"}).content.decode()
    for text in (sold.lines.first().name, "ACQ.NO", "the provider&#x27;s own words", sold.number, sold.user.username):
        assert text in html, text


def settle_by_hand(client, *rows):
    chosen = {"action": "mark_as_settled", "_selected_action": [row.pk for row in rows]}
    return client.post(address_of(Discrepancy), chosen, follow=True, headers={"accept-language": "en"})


def test_an_operator_marks_discrepancies_as_settled_and_it_is_kept_who_did(operator, sold):
    first, second = Discrepancy.objects.get(), find("second")
    find("third")
    settle([second.pk])
    second.refresh_from_db()
    assert "Settled: 1." in settle_by_hand(operator, first, second).content.decode()
    closed = dict(Discrepancy.objects.values_list("key", "closed_at"))
    assert closed["first"] is not None
    assert closed["second"] == second.closed_at, "what was closed keeps its time"
    assert closed["third"] is None
    assert list(LogEntry.objects.values_list("object_id", "user__username")) == [(str(first.pk), "zhao")]


def test_open_discrepancies_are_listed_apart_from_closed_ones_with_what_to_do(operator, sold):
    settle([find("second").pk])
    for state, there, gone in (("yes", "found first", "found second"), ("no", "found second", "found first")):
        html = operator.get(address_of(Discrepancy), {"open": state}, headers={"accept-language": "zh-hans"})
        assert there in html.content.decode()
        assert gone not in html.content.decode()
        assert "请在支付宝商家平台退款" in html.content.decode()


def test_staff_without_the_right_may_look_and_not_settle(client, sold):
    looker = User.objects.create_user("qian", password="paper clip", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_discrepancy"))
    client.force_login(looker)
    assert "found first" in client.get(address_of(Discrepancy)).content.decode()
    settle_by_hand(client, Discrepancy.objects.get())
    assert Discrepancy.objects.get().closed_at is None


def test_whatever_the_machine_finds_has_its_words_in_chinese():
    kinds = [value for value in vars(discrepancies).values() if isinstance(value, discrepancies.Kind)]
    assert set(kinds) == set(discrepancies.KINDS)
    with override("zh-hans"):
        for kind in kinds:
            assert gettext(kind.name) != kind.name
            assert gettext(kind.what_to_do) != kind.what_to_do


def course_form(course, **changes):
    return {"name": course.name, "summary": course.summary, "price_fen": "117.00", "on_sale": "on", **changes}


def test_a_course_is_edited_in_yuan(operator, courses):
    course = courses[0]
    assert 'value="117.00"' in operator.get(address(course)).content.decode()
    assert operator.post(address(course), course_form(course, name="新名", price_fen="0.50")).status_code == 302
    course.refresh_from_db()
    assert (course.name, course.price_fen, course.on_sale) == ("新名", 50, True)


@pytest.mark.parametrize("price", ["", "1", "1.5", "1e2", "-1.00", "+1.00", "１.00", "NaN", "1,000.00", "999999999.00"])
def test_a_price_of_another_spelling_is_refused_and_nothing_changes(operator, courses, price):
    course = courses[0]
    response = operator.post(address(course), course_form(course, name="新名", price_fen=price))
    assert response.status_code == 200
    assert list(response.context["errors"]) != []
    course.refresh_from_db()
    assert (course.name, course.price_fen) == ("Python 全栈开发", 11700)


def test_a_course_is_added_and_taken_off_sale(operator, courses):
    form = {"name": "新课", "summary": "", "price_fen": "0.00", "on_sale": "on"}
    assert operator.post(address_of(Course, "add"), form).status_code == 302
    assert Course.objects.get(name="新课").price_fen == 0
    rows = Course.objects.order_by("-pk")
    listed = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": len(rows), "_save": "1"}
    listed.update({f"form-{i}-id": row.pk for i, row in enumerate(rows)})
    assert operator.post(address_of(Course), listed).status_code == 302
    assert not Course.objects.on_sale().exists()


def test_a_user_with_orders_is_not_deleted(operator, sold):
    operator.post(address(sold.user, "delete"), {"post": "yes"})
    assert User.objects.filter(pk=sold.user_id).exists()


def test_a_password_set_here_ends_the_users_tokens(operator, buyer):
    url = reverse("admin:auth_user_password_change", args=[buyer.user.pk])
    form = {"password1": "a new correct horse", "password2": "a new correct horse", "usable_password": "true"}
    assert buyer.errors("{ me { username } }") == []
    assert operator.post(url, form).status_code == 302
    assert buyer.errors("{ me { username } }") == ["UNAUTHENTICATED"]


def test_buyers_and_visitors_are_sent_to_the_sign_in(client, user, courses):
    assert client.get(address_of(Order)).status_code == 302
    client.force_login(user)
    assert client.get(address_of(Order)).status_code == 302


def test_an_expired_token_is_listed(operator, user):
    now = timezone.now()
    AccessToken.objects.create(user=user, created_at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    assert user.username in operator.get(address_of(AccessToken)).content.decode()


def sign_in(client, password):
    return client.post(reverse("admin:login"), {"username": "zhao", "password": password})


def test_the_sign_in_of_the_admin_is_limited_like_every_other(client, db):
    User.objects.create_superuser("zhao", password="paper clip")
    for _ in range(5):
        assert sign_in(client, "wrong").status_code == 200
    refused = sign_in(client, "paper clip")
    assert refused.status_code == 200
    assert "尝试次数过多" in refused.content.decode()
    assert "_auth_user_id" not in client.session


def test_staff_signs_in_and_others_do_not(client, db):
    User.objects.create_superuser("zhao", password="paper clip")
    User.objects.create_user("li", password="correct horse")
    assert client.post(reverse("admin:login"), {"username": "li", "password": "correct horse"}).status_code == 200
    assert "_auth_user_id" not in client.session
    assert sign_in(client, "paper clip").status_code == 302
    assert "_auth_user_id" in client.session
