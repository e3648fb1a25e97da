"""What judges a tortured shop sees what is wrong with it."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from backend.events.models import Event
from backend.orders.models import Order
from backend.payments.models import Payment
from tests.events.endpoint import Received
from tests.lifecycle.invariants import Books
from tests.lifecycle.world import alipay_folder, new_world
from torture import histories, oracle
from torture.alipay import Book
from torture.buyers import TOTAL, Purchase
from torture.oracle import Oracle
from torture.trials import rotation, soak


@pytest.fixture
def world(db, tmp_path):
    """One order, paid and notified, and Alipay's book in its file."""
    with new_world(alipay_folder(tmp_path), in_memory=False) as made:
        number = made.create(0, [0, 1], key="k")["order"]["outTradeNo"]
        made.buy(number)
        made.deliver_all()
        yield made


@pytest.fixture
def this(world):
    order = Order.objects.get()
    return Purchase(
        world.buyers[0].pk, "", "k", "paid", TOTAL, {order.number}, order.payments.get().out_trade_no,
        ["UNPAID", "PAID"],
    )  # fmt: skip


@pytest.fixture
def judge(world, tmp_path, monkeypatch):
    """The oracle without its thread: it looks when it is asked."""
    monkeypatch.setattr(oracle.Reader, "start", lambda reader: None)
    heard = [
        Received("POST", "/", {}, json.dumps({"id": key}).encode(), genuine=True)
        for key in Event.objects.values_list("key", flat=True)
    ]
    alipay = SimpleNamespace(book=Book(tmp_path / "book.sqlite3"))
    return Oracle(SimpleNamespace(alipay=alipay, endpoint=SimpleNamespace(received=heard)))


def test_of_a_sound_shop_nothing_is_said(judge, this):
    assert judge.look([this]) == []
    assert (judge.reader.acknowledged, judge.replayed) == (2, 0)  # the buyer's visit, and the money
    assert judge.look([this]) == []


def test_what_was_acknowledged_and_is_gone_is_seen_at_once(judge, this):
    Payment.objects.update(status="OPEN", paid_at=None, trade_no=None)
    judge.reader.look()
    assert [wrong for wrong in judge.reader.wrongs if wrong.startswith("I8")]
    assert [wrong for wrong in judge.look([this]) if wrong.startswith("I8")]


def test_what_was_there_and_is_gone_is_seen_later(judge, this):
    assert judge.look([this]) == []
    Order.objects.update(status="UNPAID", paid_at=None)
    assert [wrong for wrong in judge.look([this]) if wrong.startswith("I5")]


WRONGS = {
    "another order": ({"numbers": {"1"}}, "wanted PAID and has"),
    "two orders": ({"numbers": {"1", "2"}}, "I7"),
    "a status that goes back": ({"statuses": ["UNPAID", "PAID", "UNPAID"]}, "I5"),
    "a status of nothing": ({"statuses": ["TIMED_OUT"]}, "I5"),
    "what went wrong for the buyer": ({"wrong": "AssertionError: no answer"}, "no answer"),
    "another end": ({"ending": "cancelled"}, "wanted CANCELLED"),
}


@pytest.mark.parametrize("what", WRONGS)
def test_what_a_buyer_met_wrong_is_seen(judge, this, what):
    changes, said = WRONGS[what]
    for name, value in changes.items():
        setattr(this, name, value)
    assert [wrong for wrong in judge.look([this]) if said in wrong]


def test_an_order_that_nobody_wanted_is_seen(world, this):
    books = Books.read(world.simulator)
    assert list(oracle.ended_as_wanted(books, [this])) == []
    assert [wrong for wrong in oracle.ended_as_wanted(books, []) if "nobody's purchase" in wrong]


def test_an_event_that_nobody_heard_of_or_that_is_two_is_seen(judge, this):
    event = Event.objects.get(name="order.paid")
    event.pk, event.key = None, "evt_2"
    event.save(force_insert=True)
    found = judge.look([this])
    assert [wrong for wrong in found if "was not heard of" in wrong]
    assert [wrong for wrong in found if "is two events" in wrong]


def test_what_is_under_way_is_seen(judge):
    judge.shop.alipay.book.waiting = list
    assert "events wait in the outbox" in list(oracle.under_way(judge.shop))
    Payment.objects.update(status="CLOSING", paid_at=None, trade_no=None)
    assert [what for what in oracle.under_way(judge.shop) if "is CLOSING" in what]


def test_when_alipay_heard_that_the_order_is_paid_is_known(world, this):
    """Not its word of the buyer's visit, which comes before, and not a word that was not heard."""
    book = world.simulator.book
    sent = (
        "SELECT at, notify_id FROM events JOIN notifies USING (notify_id) WHERE kind = 'notify.sent' AND params LIKE ?"
    )
    ((visit,), (money,)) = (book.all(sent, f"%{status}%") for status in ("WAIT_BUYER_PAY", "TRADE_SUCCESS"))
    for row, accepted in ((visit, True), (money, False)):
        data = {"accepted": accepted}
        book.record("notify.sent", 0, out_trade_no=this.out_trade_no, notify_id=row["notify_id"], data=data)
    ((number, at),) = histories.acknowledged_at(book).items()
    late = at - (money["at"] - time.time() + time.monotonic())
    assert number == this.out_trade_no
    assert 0 < late < histories.SLACK_SECONDS + 0.1


def test_a_true_notify_that_was_refused_is_seen(world, judge):
    assert rotation.refused(judge.shop) == []
    for status, body, found in ((None, "", 0), (200, "fail", 1), (500, "", 2)):
        data = {"accepted": False, "status": status, "body": body}
        world.simulator.book.record("notify.sent", 0, notify_id="1", data=data)
        assert len(rotation.refused(judge.shop)) == found


@pytest.mark.parametrize(("answer", "accepted"), [((200, b"fail"), 0), ((200, b"success"), 1), ((500, b""), 1)])
def test_a_forged_notify_that_was_taken_is_seen(chance, answer, accepted):
    forgers = rotation.Forgers(SimpleNamespace(), chance, [])
    client = SimpleNamespace(post=lambda path, body, headers: answer)
    forgers.forge(client, "0" * 32, rotation.ALIPAY_KEY.read_text())
    assert (forgers.answered, len(forgers.accepted)) == (1, accepted)


@pytest.fixture
def chance():
    return rotation.Random(7)


@pytest.mark.parametrize(
    ("sizes", "grown"),
    [
        ([100_000, 101_000, 102_000, 103_000], False),
        ([40_000, 100_000, 104_000, 108_000], False),
        ([100_000, 100_000, 110_000, 125_000], True),
        ([10_000, 10_000, 12_000, 15_000], False),
        ([100_000], False),
    ],
)
def test_growth_is_seen(sizes, grown):
    assert bool(soak.grown({1: sizes})) is grown


def test_only_a_worker_that_has_been_up_for_a_while_is_killed(monkeypatch):
    killed, ages = [], {1: 100.0, 2: 5.0}
    monkeypatch.setattr(soak.os, "kill", lambda pid, number: killed.append(pid))
    monkeypatch.setattr(soak, "age", ages.get)
    servers = SimpleNamespace(workers=lambda: [1, 2])
    soak.Servers.kill_a_worker(servers, None)
    assert killed == []
    ages[2] = 7.0
    soak.Servers.kill_a_worker(servers, None)
    assert killed == [2]


def test_a_process_is_younger_than_the_one_that_started_it():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert 0 <= soak.age(child.pid) <= soak.age(os.getpid())
        child.communicate(b"\n")
