"""The control API over HTTP, its client, and faults on a real connection."""

import asyncio
import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing
from urllib.error import HTTPError
from urllib.parse import urlencode

import httpx
import pytest

from alipay_simulator import broken
from alipay_simulator.control import Control, ControlError

REFUND = {"out_trade_no": "order_1", "refund_amount": "17.00", "out_request_no": "r1"}


@pytest.fixture
def control(sandbox):
    with Control(sandbox.url) as one:
        yield one


def refused(call, *arguments, **named):
    """(status, reason) of what the simulator would not do."""
    with pytest.raises(ControlError) as caught:
        call(*arguments, **named)
    return caught.value.status, caught.value.reason


def test_a_purchase_a_refund_and_the_money(control, merchant, listener, poll):
    location = control.pay(
        merchant.pay_url("order_1", notify_url=listener.url, return_url="http://127.0.0.1:9/back"),
        account="li@example.com",
    )
    assert location.startswith("http://127.0.0.1:9/back?charset=")
    assert control.pay(merchant.pay_url("order_2"), "stay") == ""
    assert control.pay(merchant.pay_url("order_3"), "leave") == ""
    reply = merchant.sdk.server_api("alipay.trade.refund", REFUND, timestamp=merchant.params()["timestamp"])
    assert reply["fund_change"] == "Y"
    console = control.console_refund("order_1", "5.00", "客服")
    assert (console["amount"], console["source"], console["reason"]) == ("5.00", "console", "客服")
    assert poll(lambda: len(listener.received) == 3)
    # Each notify has a sender of its own: the one that began first need not arrive first.
    assert {form.get("out_biz_no") for form in listener.forms()} == {None, "r1", console["out_request_no"]}
    money = control.money()
    assert {number: (one["paid_fen"], one["refunded_fen"]) for number, one in money.items()} == {
        "order_1": (11700, 2200),
        "order_2": (11700, 0),
    }
    assert [one["out_request_no"] for one in money["order_1"]["refunds"]] == ["r1", console["out_request_no"]]
    assert list(control.http.get("/api/money", params={"out_trade_no": "order_2"}).json()) == ["order_2"]
    trade = control.trade("order_1")
    assert (trade["refunded_fen"], trade["account"], trade["frozen"]) == (2200, "li@example.com", 0)
    assert [event["amount_fen"] for event in control.events("refund.paid")] == [-1700, -500]
    assert control.trade("none") is None


def test_what_alipay_does_by_itself(control, merchant):
    session = control.scan(merchant.pay_url("order_1"))
    control.close_trade("order_1")
    assert merchant.query(out_trade_no="order_1")["trade_status"] == "TRADE_CLOSED"
    assert refused(control.pay_session, session)[0] == 409
    assert refused(control.close_trade, "order_1") == (409, "ACQ.TRADE_STATUS_ERROR")
    assert refused(control.close_trade, "none") == (404, "ACQ.TRADE_NOT_EXIST")
    control.pay(merchant.pay_url("order_2"))
    control.freeze("order_2")
    assert refused(control.console_refund, "order_2", "1.00") == (409, "ACQ.REASON_TRADE_BEEN_FREEZEN")
    control.freeze("order_2", frozen=False)
    assert refused(control.console_refund, "order_2", "1.001")[0] == 400
    assert control.console_refund("order_2", "117.00")["amount_fen"] == 11700
    assert control.trade("order_2")["status"] == "TRADE_CLOSED"
    assert refused(control.open, merchant.pay_url("order_2"))[0] == 200


def test_the_rules_can_be_read_and_changed(control, merchant):
    rules = control.rules()
    assert rules["triggers"] == {
        "trade_success": True,
        "partial_refund": True,
        "full_refund": False,
        "trade_closed": False,
        "trade_finished": False,
        "wait_buyer_pay": False,
    }
    assert (rules["refund_window"], rules["seller_balance"]) == (365 * 86400, None)
    assert control.triggers(full_refund=True, trade_success=False)["triggers"]["full_refund"] is True
    changed = control.rules(refund_window=60, seller_balance="1.00")
    assert (changed["refund_window"], changed["seller_balance"]) == (60, "1.00")
    assert changed["triggers"]["trade_success"] is False
    control.pay(merchant.pay_url("order_1"))
    control.advance(60)
    assert control.trade("order_1")["status"] == "TRADE_FINISHED"


@pytest.mark.parametrize(
    "body",
    [
        {"triggers": {"x": True}},
        {"triggers": {"trade_success": 1}},
        {"triggers": []},
        {"refund_window": -1},
        {"refund_window": "1"},
        {"seller_balance": 5},
        {"refund_window": 5, "seller_balance": "x"},
        {"other": 1},
        {},
        [],
    ],
)
def test_rules_that_make_no_sense_change_nothing(control, body):
    before = control.rules()
    answer = control.http.post("/api/rules", json=body)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert control.rules() == before


def test_faults_are_listed_and_cleared(control):
    fault = control.fault("alipay.trade.refund", "timeout_after", seconds=2, out_trade_no="order_1", times=3)
    assert control.faults() == [fault]
    assert fault == {
        "id": 1,
        "target": "alipay.trade.refund",
        "kind": "timeout_after",
        "times": 3,
        "out_trade_no": "order_1",
        "seconds": 2,
    }
    control.clear_faults()
    assert control.faults() == []
    assert refused(control.fault, "alipay.trade.refund", "drop")[0] == 400
    assert control.http.post("/api/faults", content=b"{").status_code == 400
    assert control.http.post("/api/faults", json={}).status_code == 400


def test_reset_empties_everything_but_only_from_this_machine(control, merchant, sandbox):
    control.pay(merchant.pay_url("order_1"))
    control.fault("*", "empty")
    control.advance(1000)
    control.speed(50)
    control.reset()
    assert (control.money(), control.faults(), control.trade("order_1")) == ({}, [], None)
    clock = control.http.get("/api/clock").json()
    assert (clock["advanced"], clock["speed"]) == (0, 1)
    control.pay(merchant.pay_url("order_1"))

    async def ask_from(address, path):
        transport = httpx.ASGITransport(sandbox.app, client=(address, 50000))
        async with httpx.AsyncClient(transport=transport, base_url=sandbox.url) as client:
            return (await client.post(path)).status_code

    for path in ("/api/reset", "/console/controls/reset"):
        assert [asyncio.run(ask_from(address, path)) for address in ("192.0.2.7", "proxy")] == [403, 403]
    assert control.money()["order_1"]["paid_fen"] == 11700


def test_a_notify_on_its_way_survives_a_reset(control, merchant, listener, sandbox, poll):
    with socket.create_server(("127.0.0.1", 0)) as slow:
        control.pay(merchant.pay_url("order_1", notify_url=f"http://127.0.0.1:{slow.getsockname()[1]}/"))
        connection, _ = slow.accept()
        with connection:
            control.reset()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess")
    control.pay(merchant.pay_url("order_2", notify_url=listener.url))
    poll(lambda: control.events("notify.sent"))
    assert {event["out_trade_no"] for event in control.events("notify.sent")} == {"order_2"}


def test_the_client_may_use_a_connection_of_ones_own(sandbox, merchant):
    with httpx.Client(base_url=sandbox.url, trust_env=False, headers={"Accept-Language": "en"}) as own:
        mine = Control(client=own)
        mine.pay(merchant.pay_url("order_1"))
        assert mine.money()["order_1"]["paid_fen"] == 11700
        assert "not open the cashier" in refused(mine.pay, merchant.pay_url("order_1"))[1]


# On a real connection.


def test_the_book_tells_a_time_out_before_from_one_after(control, merchant):
    control.pay(merchant.pay_url("order_1"))
    for kind, refunded in (("timeout_before", 0), ("timeout_after", 1700)):
        control.fault("alipay.trade.refund", kind, seconds=0.05)
        with pytest.raises((OSError, http.client.HTTPException)) as caught:
            merchant.sdk.server_api("alipay.trade.refund", REFUND, timestamp=merchant.params()["timestamp"])
        assert "Remote" in type(caught.value).__name__ + str(caught.value) or "reset" in str(caught.value)
        assert control.money()["order_1"]["refunded_fen"] == refunded


def test_a_bad_gateway_is_a_page_with_its_status(control, merchant):
    control.fault("alipay.trade.query", "http_502")
    with pytest.raises(HTTPError) as caught:
        merchant.query(out_trade_no="order_1")
    assert (caught.value.code, caught.value.headers["content-type"]) == (502, "text/html; charset=utf-8")
    caught.value.close()


def test_a_held_call_holds_nobody_else_up_and_ends_with_its_caller(control, merchant, sandbox):
    control.fault("alipay.trade.query", "timeout_before", seconds=30)
    query = f"/gateway.do?{urlencode(merchant.params())}"
    with closing(http.client.HTTPConnection("127.0.0.1", sandbox.config.port, timeout=0.2)) as waiting:
        waiting.request("GET", query)
        with pytest.raises(TimeoutError):
            waiting.getresponse()
        started = time.monotonic()
        assert merchant.query(out_trade_no="order_1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"
        assert time.monotonic() - started < 2


def test_only_so_many_calls_are_held(control, merchant, sandbox, monkeypatch):
    monkeypatch.setattr(broken, "MAX_OPEN", 2)
    control.fault("alipay.trade.query", "timeout_before", seconds=30, times=3)
    query = f"/gateway.do?{urlencode(merchant.params())}"
    with ExitStack() as stack:
        calls = []
        for _ in range(3):
            call = stack.enter_context(
                closing(http.client.HTTPConnection("127.0.0.1", sandbox.config.port, timeout=0.3))
            )
            call.request("GET", query)
            calls.append(call)
            time.sleep(0.02)
        with pytest.raises(ConnectionError):
            calls[2].getresponse()
        for call in calls[:2]:
            with pytest.raises(TimeoutError):
                call.getresponse()


def test_a_dripping_answer_is_whole_in_the_end(control, merchant):
    control.fault("alipay.trade.query", "drip", seconds=0.001)
    with merchant.http.stream("GET", f"/gateway.do?{urlencode(merchant.params())}") as answer:
        pieces = [piece for piece in answer.iter_raw() if piece]
    assert len(pieces) > 20
    assert b"".join(pieces).startswith(b'{"alipay_trade_query_response"')


def test_a_huge_answer_is_given_up_without_harm(control, merchant):
    control.fault("alipay.trade.query", "huge")
    with merchant.http.stream("GET", f"/gateway.do?{urlencode(merchant.params())}") as answer:
        assert "content-length" not in answer.headers
        assert len(next(answer.iter_raw())) > 0
    assert merchant.query(out_trade_no="order_1")["code"] == "40004"


def test_a_huge_answer_has_a_hundred_megabytes(control, merchant):
    control.fault("alipay.trade.query", "huge")
    with merchant.http.stream("GET", f"/gateway.do?{urlencode(merchant.params())}") as answer:
        assert sum(map(len, answer.iter_raw())) > 100 * 1024 * 1024


def test_an_application_that_is_called_directly_gets_the_exception(control, merchant, sandbox):
    control.fault("alipay.trade.query", "timeout_before", seconds=0)

    async def call():
        transport = httpx.ASGITransport(sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=sandbox.url) as client:
            await client.get(f"/gateway.do?{urlencode(merchant.params())}")

    with pytest.raises(ConnectionAbortedError):
        asyncio.run(call())


def test_copies_of_a_notify_are_posted_at_the_same_time(control, merchant, poll):
    """Each copy is answered only when all have arrived: one after the other would never end."""
    together = threading.Barrier(3)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                together.wait(5)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess")

        for _ in range(3):
            threading.Thread(target=answer, daemon=True).start()
        control.fault("notify", "duplicate", copies=3)
        control.pay(merchant.pay_url("order_1", notify_url=f"http://127.0.0.1:{server.getsockname()[1]}/"))
        poll(lambda: control.trade("order_1")["notifies"][0]["state"] == "DELIVERED")
    [notify] = control.trade("order_1")["notifies"]
    assert (notify["sends"], len(notify["attempts"])) == (1, 3)


def test_a_delayed_and_a_reordered_notify_on_the_wire(control, merchant, listener, poll):
    control.fault("notify", "delay", seconds=100, out_trade_no="late")
    control.fault("notify", "reorder", out_trade_no="held")
    for number in ("late", "held", "last"):
        control.pay(merchant.pay_url(number, notify_url=listener.url))
    poll(lambda: len(listener.received) == 2)
    assert [form["out_trade_no"] for form in listener.forms()] == ["last", "held"]
    control.advance(100)
    poll(lambda: len(listener.received) == 3)
    assert listener.forms()[2]["out_trade_no"] == "late"


def test_a_send_by_hand_cannot_be_postponed_but_lost(control, merchant, listener, poll):
    listener.answer((200, b"fail"), (200, b"success"))
    control.fault("notify", "reorder", times=2)
    control.pay(merchant.pay_url("order_1", notify_url=listener.url))
    poll(lambda: control.events("fault.struck"))
    notify_id = control.trade("order_1")["notifies"][0]["notify_id"]
    assert control.send_now(notify_id)["body"] == "fail"
    assert len(control.faults()) == 1
    control.clear_faults()
    control.advance(240)
    poll(lambda: control.trade("order_1")["notifies"][0]["state"] == "DELIVERED")
    control.fault("notify", "drop")
    lost = control.send_now(notify_id)
    assert (lost["accepted"], lost["error"]) == (False, "lost on its way by a fault")
    assert len(listener.received) == 2


# The console's second page.


def levers(sandbox, form, **fields):
    return sandbox.http.post(f"/console/controls/{form}", data=fields)


def test_the_page_sets_and_clears_faults(control, sandbox):
    assert levers(sandbox, "fault", fault="notify duplicate", times="2", number="3", value="").status_code == 303
    levers(sandbox, "fault", fault="alipay.trade.refund timeout_after", times="1", number="0.5", out_trade_no="order_1")
    levers(sandbox, "fault", fault="notify wrong_amount", value="0.01")
    levers(sandbox, "fault", fault="notify drop_all", number="5")
    first, second, third, _ = control.faults()
    assert (first["kind"], first["times"], first["copies"]) == ("duplicate", 2, 3)
    assert (second["seconds"], second["out_trade_no"]) == (0.5, "order_1")
    assert third["value"] == "0.01"
    page = sandbox.http.get("/console/controls", params={"lang": "en"}).text
    assert page.count('<span class="tag pending">') == 4
    assert "until cleared" in page
    assert levers(sandbox, "clear").status_code == 303
    assert control.faults() == []


def test_the_page_switches_the_rules(control, sandbox):
    levers(sandbox, "triggers", full_refund="on", trade_success="on")
    assert [name for name, on in control.rules()["triggers"].items() if on] == ["trade_success", "full_refund"]
    levers(sandbox, "limits", refund_days="90", seller_balance="12.50")
    assert (control.rules()["refund_window"], control.rules()["seller_balance"]) == (90 * 86400, "12.50")
    levers(sandbox, "limits", refund_days="0.5", seller_balance="")
    assert (control.rules()["refund_window"], control.rules()["seller_balance"]) == (43200, None)


def test_the_page_acts_on_a_trade(control, sandbox, merchant):
    control.pay(merchant.pay_url("order_1"))
    control.scan(merchant.pay_url("order_2"))
    levers(sandbox, "trade", action="freeze", out_trade_no="order_1")
    answer = levers(sandbox, "trade", action="refund", out_trade_no="order_1", amount="5.00")
    assert answer.status_code == 409
    assert "ACQ.REASON_TRADE_BEEN_FREEZEN" in answer.text
    assert 'value="5.00"' in answer.text
    assert "冻结" in sandbox.http.get("/console", params={"lang": "zh"}).text
    levers(sandbox, "trade", action="thaw", out_trade_no="order_1")
    assert levers(sandbox, "trade", action="refund", out_trade_no="order_1", amount="5.00").status_code == 303
    assert levers(sandbox, "trade", action="close", out_trade_no="order_2").status_code == 303
    assert control.money()["order_1"]["refunded_fen"] == 500
    assert control.trade("order_2")["status"] == "TRADE_CLOSED"
    assert "¥5.00" in sandbox.http.get("/console").text


@pytest.mark.parametrize(
    ("form", "fields", "status"),
    [
        ("trade", {"action": "close", "out_trade_no": "none"}, 409),
        ("trade", {"action": "refund", "out_trade_no": "none", "amount": ""}, 400),
        ("trade", {"action": "explode"}, 400),
        ("fault", {"fault": "notify unsigned"}, 400),
        ("fault", {"fault": "notify delay", "number": "soon"}, 400),
        ("fault", {"fault": "notify delay", "number": "nan"}, 400),
        ("fault", {"fault": "notify delay", "number": "inf"}, 400),
        ("fault", {}, 400),
        ("limits", {"refund_days": "x"}, 400),
    ],
)
def test_the_page_says_what_it_did_not_do(sandbox, form, fields, status):
    answer = levers(sandbox, form, **fields)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_the_page_moves_the_clock_and_empties_the_book(control, sandbox, merchant):
    answer = sandbox.http.post("/console/clock", data={"advance": "500", "to": "controls"})
    assert answer.headers["location"] == "/console/controls"
    control.pay(merchant.pay_url("order_1", time_expire=None))
    assert levers(sandbox, "reset").status_code == 303
    assert (control.money(), control.http.get("/api/clock").json()["advanced"]) == ({}, 0)


def test_the_page_speaks_both_languages_and_fills_in_the_trade(sandbox):
    chinese, english = (
        sandbox.http.get("/console/controls", params={"lang": lang, "trade": "order_7"}).text for lang in ("zh", "en")
    )
    assert "故障注入" in chinese
    assert "Faults that are waiting" in english
    assert 'value="order_7"' in english
    assert "refresh" not in english
