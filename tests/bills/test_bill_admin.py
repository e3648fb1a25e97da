"""The operator's page of bills: what it shows, in both languages, and its one action."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from backend.accounts.models import User
from backend.payments import jobs
from backend.payments.models import Bill
from tests.bills.days import DAY, MANY, morning_after, sold, sold_untold, tables

LIST = "admin:payments_bill_changelist"
CHINESE, ENGLISH = {"accept-language": "zh-hans"}, {"accept-language": "en"}


@pytest.fixture
def compared(make_world):
    """A bill with findings; the world, the row and the trade that is missing there."""
    world, _ = make_world()
    _, missing = sold(world)
    sold(world)
    sold_untold(world)
    world.simulator.fault("bill", "row_missing", out_trade_no=missing, times=MANY)
    world.simulator.fault("bill", "foreign_row", value="<b>stranger</b>", times=MANY)
    morning_after(world)
    jobs.BILLS.run()
    return world, Bill.objects.get(), missing


@pytest.fixture
def operator(client, db):
    return signed_in(client)


def signed_in(client):
    client.force_login(User.objects.create_superuser("zhao", password="paper clip"))
    return client


def page(client, bill, headers):
    response = client.get(reverse("admin:payments_bill_change", args=[bill.pk]), headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_shows_what_is_to_be_looked_at(compared, operator):
    response = operator.get(reverse(LIST), headers=CHINESE)
    html = response.content.decode()
    assert response.status_code == 200
    for name, value in (("matched", 1), ("repaired", 1), ("to_look_at", 2)):
        assert f'class="field-{name}">{value}<' in html
    for words in ("账单", "已对账", "重新对账"):
        assert words in html


def test_the_detail_lists_the_findings_in_the_readers_words(compared, operator):
    _, bill, missing = compared
    chinese = page(operator, bill, CHINESE)
    english = page(operator, bill, ENGLISH)
    assert f"missing there: {missing}" in english
    assert f"missing there: {missing}" not in chinese
    assert missing in chinese
    assert "missing here: 1" in english
    assert "¥195.00" in english
    assert "<b>stranger" not in english + chinese
    assert "&lt;b&gt;stranger&lt;/b&gt;" in english
    for words in ("missing there", "missing here", "unknown order", "paid ¥", "repaired"):
        assert words not in chinese


def test_a_bill_that_was_never_compared_can_be_looked_at(make_world, client):
    world, _ = make_world()
    operator = signed_in(client)
    bill = Bill.objects.create(provider="alipay", day=DAY, since=world.now(), next_try_at=world.now())
    assert operator.get(reverse(LIST)).status_code == 200
    page(operator, bill, CHINESE)


def compare_once_more(client, bill):
    chosen = {"action": "compare_once_more", "_selected_action": [bill.pk]}
    return client.post(reverse(LIST), chosen, follow=True, headers=CHINESE)


def test_the_action_compares_once_more(compared, operator):
    world, bill, _ = compared
    world.simulator.faults.clear()
    before = tables()
    assert compare_once_more(operator, bill).status_code == 200
    bill.refresh_from_db()
    assert (bill.status, bill.next_try_at, bill.times_tried) == ("WAITING", world.now(), 0)
    assert tables() == before
    jobs.BILLS.run()
    bill.refresh_from_db()
    assert (bill.status, sum(bill.summary["found"].values())) == ("DONE", 0)
    assert jobs.RESOLVED.run() == 1  # the payment that was missing there


def test_who_may_only_look_cannot_have_it_compared(compared, client):
    _, bill, _ = compared
    looker = User.objects.create_user("qian", password="paper clip", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_bill"))
    client.force_login(looker)
    assert client.get(reverse(LIST)).status_code == 200
    compare_once_more(client, bill)
    bill.refresh_from_db()
    assert bill.status == "DONE"


def test_nothing_else_of_a_bill_can_be_changed(compared, operator):
    _, bill, _ = compared
    before = Bill.objects.values().get(pk=bill.pk)
    address = reverse("admin:payments_bill_change", args=[bill.pk])
    assert operator.get(reverse("admin:payments_bill_add")).status_code == 403
    assert operator.post(address, {"status": "WAITING"}).status_code == 403
    assert operator.post(reverse("admin:payments_bill_delete", args=[bill.pk]), {"post": "yes"}).status_code == 403
    assert Bill.objects.values().get(pk=bill.pk) == before
