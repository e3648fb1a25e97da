"""Notifies: their fields, their signature, and their patience (protocol 4)."""

import asyncio
import itertools
import json
import socket
from datetime import datetime

import pytest

from alipay_simulator import Config, create_app
from alipay_simulator.deliveries import Answer
from alipay_simulator.simulator import Simulator

DELAYS = [240, 600, 600, 3600, 7200, 21600, 54000]


def test_a_paid_notify_has_the_real_fields_and_verifies(sandbox, merchant, listener, vector, poll):
    sandbox.buy(merchant.pay_url("order_1", notify_url=f"{listener.url}/notify", subject="a+b 课 - 1"))
    poll(lambda: listener.received)
    [message] = listener.received
    params = dict(message["pairs"])
    assert message["path"] == "/notify"
    assert message["headers"]["Content-Type"] == "application/x-www-form-urlencoded; text/html; charset=utf-8"
    assert [name for name, _ in message["pairs"]] == list(vector("yansongda_notify_trade_success")["params"])
    assert merchant.verifies(params)
    assert not merchant.verifies({**params, "total_amount": "1.00"})
    assert params["subject"] == "a+b 课 - 1"
    assert params["trade_status"] == "TRADE_SUCCESS"
    assert params["seller_id"] == sandbox.config.seller_id
    assert params["fund_bill_list"] == '[{"amount":"117.00","fundChannel":"ALIPAYACCOUNT"}]'
    assert params["trade_no"] == merchant.query(out_trade_no="order_1")["trade_no"]
    assert len(params["notify_id"]) == 34
    assert params["buyer_id"] == merchant.query(out_trade_no="order_1")["buyer_user_id"]


def test_body_and_passback_come_back_and_nothing_is_blank(sandbox, merchant, listener, poll):
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url, body="b", passback_params="x%3D1&y"))
    sandbox.buy(merchant.pay_url("order_2", notify_url=listener.url, body=""))
    poll(lambda: len(listener.received) == 2)
    forms = {form["out_trade_no"]: form for form in listener.forms()}
    assert (forms["order_1"]["body"], forms["order_1"]["passback_params"]) == ("b", "x%3D1&y")
    assert "body" not in forms["order_2"]
    for form in forms.values():
        assert merchant.verifies(form)
        assert all(form.values())


def test_without_an_address_nothing_is_sent(sandbox, merchant):
    sandbox.buy(merchant.pay_url("order_1"))
    assert sandbox.events("notify.queued") == []
    assert sandbox.trade("order_1")["notifies"] == []


def test_eight_sends_on_the_schedule_with_one_id_and_fresh_times(sandbox, merchant, listener, poll):
    listener.answer((200, b"fail"))
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    for count, delay in enumerate(DELAYS, 1):
        poll(lambda: len(sandbox.attempts("order_1")) == count)  # noqa: B023
        [notify] = sandbox.trade("order_1")["notifies"]
        assert delay - 30 < notify["next_send_in"] <= delay
        sandbox.clock(advance=delay - 30)
        assert sandbox.trade("order_1")["notifies"][0]["next_send_in"] > 0
        assert len(listener.received) == count
        sandbox.clock(advance=30)
    poll(lambda: len(sandbox.attempts("order_1")) == 8)
    [notify] = sandbox.trade("order_1")["notifies"]
    assert (notify["state"], notify["sends"], notify["next_send_in"]) == ("EXHAUSTED", 8, None)
    forms = listener.forms()
    assert len({form["notify_id"] for form in forms}) == 1
    assert len({form["sign"] for form in forms}) == len({form["notify_time"] for form in forms}) == 8
    assert all(merchant.verifies(form) for form in forms)
    times = [datetime.fromisoformat(form["notify_time"]).timestamp() for form in forms]
    gaps = [round(b - a) for a, b in itertools.pairwise(times)]
    assert all(abs(gap - delay) < 20 for gap, delay in zip(gaps, DELAYS, strict=True))
    varying = {"notify_time", "sign"}
    assert len({json.dumps({k: v for k, v in form.items() if k not in varying}) for form in forms}) == 1


def test_a_fast_clock_hurries_the_schedule_but_not_the_deadlines(start, merchant_of, listener, poll):
    sandbox = start(clock_speed=100_000)
    merchant = merchant_of(sandbox)
    listener.answer((500, b"success"))
    sandbox.act("scan", sandbox.open(merchant.pay_url("waiting")))
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    poll(lambda: sandbox.trade("order_1")["notifies"][0]["state"] == "EXHAUSTED", seconds=15)
    assert len(listener.received) == 8
    assert sandbox.trade("waiting")["status"] == "WAIT_BUYER_PAY"


@pytest.mark.parametrize(
    "refusal",
    [
        (200, b"success\n"),
        (200, b" success"),
        (200, b"SUCCESS"),
        (200, b'"success"'),
        (200, b""),
        (200, b"fail"),
        (201, b"success"),
        (500, b"success"),
        (404, b"success"),
    ],
)
def test_only_the_exact_word_with_200_stops_it(sandbox, merchant, listener, poll, refusal):
    listener.answer(refusal, (200, b"success"))
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    poll(lambda: sandbox.attempts("order_1"))
    assert sandbox.trade("order_1")["notifies"][0]["state"] == "PENDING"
    sandbox.clock(advance=240)
    poll(lambda: len(sandbox.attempts("order_1")) == 2)
    assert sandbox.trade("order_1")["notifies"][0]["state"] == "DELIVERED"
    attempts = [(one["status"], one["body"], one["accepted"]) for one in sandbox.attempts("order_1")]
    assert attempts == [(refusal[0], refusal[1].decode(), False), (200, "success", True)]


def test_delivered_is_the_end(sandbox, merchant, listener, poll):
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    poll(lambda: sandbox.trade("order_1")["notifies"][0]["state"] == "DELIVERED")
    sandbox.clock(advance=2 * 86400)
    sandbox.buy(merchant.pay_url("order_2", notify_url=listener.url, time_expire=None))
    poll(lambda: sandbox.trade("order_2")["notifies"][0]["state"] == "DELIVERED")
    assert [form["out_trade_no"] for form in listener.forms()] == ["order_1", "order_2"]


def test_a_redirect_is_a_failure_and_is_not_followed(sandbox, merchant, listener, poll):
    listener.answer((302, b"success", {"Location": f"{listener.url}/elsewhere"}), (200, b"success"))
    sandbox.buy(merchant.pay_url("order_1", notify_url=f"{listener.url}/notify"))
    poll(lambda: sandbox.attempts("order_1"))
    assert [(one["status"], one["accepted"]) for one in sandbox.attempts("order_1")] == [(302, False)]
    assert [one["path"] for one in listener.received] == ["/notify"]


def test_a_silent_merchant_is_given_up_after_the_time_out(start, merchant_of, poll):
    sandbox = start(notify_timeout=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        sandbox.buy(merchant_of(sandbox).pay_url("order_1", notify_url=url))
        [attempt] = poll(lambda: sandbox.attempts("order_1"))
    assert (attempt["status"], attempt["accepted"]) == (None, False)
    assert "0.2 s" in attempt["error"]


def test_a_merchant_that_is_down_is_tried_again(sandbox, merchant, listener, poll):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    sandbox.buy(merchant.pay_url("order_1", notify_url=url))
    [attempt] = poll(lambda: sandbox.attempts("order_1"))
    assert attempt["status"] is None
    assert "Connect" in attempt["error"]
    assert sandbox.trade("order_1")["notifies"][0]["state"] == "PENDING"


def test_only_the_start_of_an_answer_is_kept(sandbox, merchant, listener, poll):
    listener.answer((200, b"x" * 1000))
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    [attempt] = poll(lambda: sandbox.attempts("order_1"))
    assert attempt["body"] == "x" * 200


def test_send_now_is_the_next_send(sandbox, merchant, listener, poll):
    listener.answer((200, b"fail"), (200, b"success"))
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    poll(lambda: sandbox.attempts("order_1"))
    notify_id = sandbox.trade("order_1")["notifies"][0]["notify_id"]
    answer = sandbox.http.post(f"/api/notifies/{notify_id}/send-now").json()
    assert answer == {"status": 200, "body": "success", "error": "", "accepted": True}
    [notify] = sandbox.trade("order_1")["notifies"]
    assert (notify["state"], notify["sends"]) == ("DELIVERED", 2)
    assert [one["manual"] for one in notify["attempts"]] == [False, True]


def test_a_delivered_notify_can_be_sent_once_more(sandbox, merchant, listener, poll):
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    poll(lambda: sandbox.trade("order_1")["notifies"][0]["state"] == "DELIVERED")
    listener.answer((500, b""))
    notify_id = listener.forms()[0]["notify_id"]
    assert sandbox.http.post(f"/api/notifies/{notify_id}/send-now").json()["accepted"] is False
    assert sandbox.trade("order_1")["notifies"][0]["state"] == "DELIVERED"
    assert [form["notify_id"] for form in listener.forms()] == [notify_id] * 2
    assert sandbox.http.post("/api/notifies/none/send-now").status_code == 404


def test_a_restart_goes_on_where_it_stopped(start, merchant_of, listener, poll):
    listener.answer((500, b""))
    first = start()
    first.buy(merchant_of(first).pay_url("order_1", notify_url=listener.url))
    poll(lambda: first.attempts("order_1"))
    first.clock(advance=100)
    first.stop()
    second = start()
    [notify] = second.trade("order_1")["notifies"]
    assert notify["sends"] == 1
    assert 100 < notify["next_send_in"] <= 140
    assert second.http.get("/api/clock").json()["advanced"] == 100
    listener.answer((200, b"success"))
    second.clock(advance=140)
    poll(lambda: second.trade("order_1")["notifies"][0]["state"] == "DELIVERED")
    assert len({form["notify_id"] for form in listener.forms()}) == 1


def test_the_sender_stops_even_when_it_was_woken_the_same_moment(data):
    """asyncio.wait_for loses such a cancellation before Python 3.12, and the simulator would never end."""
    simulator = Simulator(Config(data=data))

    async def wake_and_cancel():
        task = asyncio.create_task(simulator.run())
        await asyncio.sleep(0.05)
        simulator.sender.wake()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.5)
        task.cancel()
        return bool(done)

    assert asyncio.run(wake_and_cancel())
    simulator.close()


def test_what_was_never_sent_is_sent_after_a_restart(start, merchant_of, listener, poll):
    slow = start(notify_delays=(3600, 60))
    slow.buy(merchant_of(slow).pay_url("order_1", notify_url=listener.url))
    slow.stop()
    assert listener.received == []
    again = start()
    again.clock(advance=3600)
    poll(lambda: again.trade("order_1")["notifies"][0]["state"] == "DELIVERED")


def test_the_content_type_is_a_setting(start, merchant_of, listener, poll):
    sandbox = start(notify_content_type="application/x-www-form-urlencoded; charset=UTF-8")
    sandbox.buy(merchant_of(sandbox).pay_url("order_1", notify_url=listener.url))
    poll(lambda: listener.received)
    assert listener.received[0]["headers"]["Content-Type"].endswith("charset=UTF-8")


def test_many_notifies_go_out_though_one_merchant_is_slow(sandbox, merchant, listener, poll):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sandbox.buy(merchant.pay_url("slow", notify_url=f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        for number in range(5):
            sandbox.buy(merchant.pay_url(f"order_{number}", notify_url=listener.url))
        poll(lambda: len(listener.received) == 5, seconds=4)
        assert sandbox.attempts("slow") == []


def test_the_way_out_can_be_replaced(data, merchant_of, start):
    """What the fault knobs and an in-process test hook into."""

    async def post(url, form):
        return Answer(200, "success", "", accepted=True)

    app = create_app(Config(data=data), post=post)
    assert app.state.simulator.sender.post is post
    app.state.simulator.close()


@pytest.mark.parametrize(
    "change", [{}, {"speed": 0}, {"speed": "x"}, {"advance": -1}, {"other": 1}, [], {"advance": "nan"}, {"speed": None}]
)
def test_the_clock_refuses_nonsense(sandbox, change):
    before = sandbox.http.get("/api/clock").json()
    assert sandbox.http.post("/api/clock", json=change).status_code == 400
    after = sandbox.http.get("/api/clock").json()
    assert (after["speed"], after["advanced"]) == (before["speed"], before["advanced"])
