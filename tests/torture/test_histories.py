"""The histories that the clients of a load write down, and how they are judged."""

from dataclasses import dataclass, field
from random import Random
from threading import Event
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import pytest
from django.conf import settings

from tests.torture.told import AGAIN, CREATE, LEGAL, NEW, PAID, PAY, READS, REFUSED, WRONG, history, some_history
from torture.buyers import Purchase, Stock
from torture.campaign import Campaign
from torture.histories import MOST, Histories, by_itself, short
from torture.leaks import watch
from torture.linear import wrong_with
from torture.shoppers import Client, NoAnswer, told
from torture.trial import Tally

# --- Short histories -------------------------------------------------------------------------------------------------


def test_a_history_that_is_made_short_has_the_same_verdict(monkeypatch):
    monkeypatch.setattr("torture.histories.MOST", 100)  # nothing more is left out
    chance, verdicts, left_out = Random(11), [], 0
    for _ in range(600):
        operations = [one for one in some_history(chance, 60, wrong=0.01) if one.is_known or one.kind not in READS]
        fewer = short(operations)
        verdicts.append(wrong_with(operations) == "")
        assert (wrong_with(fewer) == "") == verdicts[-1], operations
        left_out += len(operations) - len(fewer)
    assert min(verdicts.count(True), verdicts.count(False)) > 60
    assert left_out > 600


def test_a_long_history_keeps_what_was_done_and_the_first_and_last_of_what_was_seen():
    polls = [("read", 2 + number / 10, 2.05 + number / 10, "UNPAID") for number in range(30)]
    done = (("create", 0), ("create", 0.5), CREATE, PAY, ("pay", 9), ("pay", 9.5))
    slow = (("read", 1.9, 2.2, "UNPAID"), ("read", 2, 8, "UNPAID"))
    kept = short(history(*done, *polls, *slow, ("read", 20, 21, "PAID")))
    assert kept == history(("create", 0), CREATE, PAY, ("pay", 9), polls[0], polls[-1], ("read", 20, 21, "PAID"))


def test_no_more_than_twelve_are_kept():
    looks = [("courses", 30 + number, 30.5 + number, "all") for number in range(20)]
    assert len(short(history(*PAID, *looks))) == MOST
    assert len(short(history(CREATE, *[("create", 5 + number, 6 + number, AGAIN) for number in range(20)]))) == 21


def test_what_the_shop_does_by_itself():
    asked = history(("create", -1), CREATE, PAY, ("pay", 9))
    life = settings.ORDER_TTL_SECONDS
    heard, notified, expired = history(("hear", 9), ("notify", 9, 15.0, "success"), ("expire", life - 1))
    assert list(by_itself(asked, float("inf"))) == [heard, expired]
    assert list(by_itself(asked, 15.0)) == [heard, notified, expired]
    assert list(by_itself([], 15.0)) == history(("notify", 15.0, 15.0, "success"))


# --- What the clients write down -------------------------------------------------------------------------------------


@dataclass
class Told(Client):
    """Its shop gives these answers, one after the other; None is none."""

    answers: list = field(default_factory=list)

    def ask(self, token, query, variables):
        answer = self.answers.pop(0)
        if answer is None:
            raise NoAnswer
        return answer


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr("torture.shoppers.AGAIN_SECONDS", 0)
    monkeypatch.setattr("torture.shoppers.POLL_SECONDS", 0)
    return Told("", SimpleNamespace(), Random(7), Stock(["1", "2", "3"], "staff"), Event(), watch())


@pytest.fixture
def this():
    return Purchase(1, "", "key", "paid")


def created(*, replayed):
    order = {"id": "1", "outTradeNo": "no", "status": "UNPAID"}
    return {"createOrder": {"__typename": "CreateOrderSuccess", "payUrl": "", "replayed": replayed, "order": order}}


def look(status, count):
    return {"order": {"status": status}, "myCourses": {"totalCount": count}}


def test_a_client_writes_down_what_it_asked_and_was_answered(client, this):
    client.answers = [None, created(replayed=True), {"cancelOrder": {"__typename": REFUSED}}, look("UNPAID", 0), None]
    client.create(this)
    client.cancel(this)
    client.look(this)
    client.look(this)
    said = [(one.kind, one.is_known, one.answer) for one in this.history]
    assert said == [
        ("create", False, None), ("create", True, AGAIN), ("cancel", True, REFUSED), ("read", True, "UNPAID"),
        ("courses", True, "none"),
    ]  # fmt: skip
    assert this.tries == 5
    called = [one.called for one in this.history]
    assert called == sorted(called)
    assert all(one.called <= one.answered for one in this.history)


def test_a_poll_is_written_down(client, this):
    client.answers = [{"order": {"status": "UNPAID"}}, None, {"order": {"status": "PAID"}}]
    client.wait_until_paid(this)
    assert [(one.kind, one.answer) for one in this.history] == [("read", "UNPAID"), ("read", "PAID")]


def test_a_payment_is_written_down(client, this):
    """The cashier's button, pressed again when there was no answer."""
    tries = [httpx.ReadTimeout("no answer"), None]
    client.control = Mock(**{"pay_session.side_effect": tries})
    client.pay(this, "session")
    assert [(one.kind, one.is_known) for one in this.history] == [("pay", False), ("pay", True)]
    assert this.tries == 0  # of the shop nothing was asked


def test_a_second_window_asks_at_the_same_time(client, this):
    client.answers = [look("UNPAID", 0)] * 3
    client.chance = SimpleNamespace(random=lambda: 0.3)
    with client.another_window(this):
        pass
    assert [one.kind for one in this.history] == ["read", "courses"] * 3


def test_what_goes_wrong_in_the_second_window_is_told(client, this):
    client.chance = SimpleNamespace(random=lambda: 0.1)  # it clicks again, and there is no answer left
    with pytest.raises(IndexError), client.another_window(this):
        pass


def test_most_have_one_window(client, this):
    client.chance = SimpleNamespace(random=lambda: 0.9)
    with client.another_window(this):
        pass
    assert this.history == []


def test_courses_are_open_all_none_or_some(client):
    assert [client.how_many(count) for count in (0, 1, 3)] == ["none", "1 of 3", "all"]


def test_what_is_held_against_the_history_of_an_answer():
    assert told(created(replayed=False)["createOrder"]) == NEW
    assert told({"__typename": "RefundOrderSuccess", "replayed": False, "refund": {}}) is False
    assert told({"__typename": REFUSED}) == REFUSED


def test_each_purchase_is_judged_once(this):
    histories = Histories(SimpleNamespace(all=lambda sql: []))
    bad = Purchase(2, "", "bad", "paid", history=history(*WRONG["a poll goes back"]))
    this.history = history(*LEGAL["a cancel"])
    (wrong,) = histories.wrongs([this, bad])
    assert wrong.startswith("bad: no legal order of [create ")
    assert histories.wrongs([this, bad]) == []
    assert (histories.linearisable, histories.operations) == (1, 4 + 5)


def test_a_history_without_a_legal_order_is_a_violation_of_the_trial():
    bad = Purchase(2, "", "bad", "paid", history=history(*WRONG["a poll goes back"]))
    shop = SimpleNamespace(tracebacks=list, postgres=None, programs=SimpleNamespace(running=[]))
    calm = SimpleNamespace(settle=list, look=lambda purchases: [])
    load = SimpleNamespace(purchases=[bad], asked=int, watch=watch())
    campaign, tally = Campaign(shop, load, calm, Histories(SimpleNamespace(all=lambda sql: []))), Tally()
    campaign.judge([3, 4], tally)
    (violation,) = tally.violations
    assert violation.startswith("case 3: to 4: bad: no legal order of [create ")


def test_what_alipay_heard_is_held_against_what_buyers_saw(this):
    this.out_trade_no, this.history = "no", history(CREATE, PAY, ("read", 20, 21, "UNPAID"))
    assert Histories(None).judge(this, {"no": 30.0}) == ""
    assert "notify 10000.0 to 15000.0 success" in Histories(None).judge(this, {"no": 15.0})
