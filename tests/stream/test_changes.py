"""What a waiting client is told, over every transport; and what happens when one fails."""

import asyncio
import threading
import time
from itertools import pairwise

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from backend.accounts.tokens import end_token, issue_token, user_of
from backend.live import publishing
from backend.live.hub import ANY, Hub, Waiter
from backend.orders.lifecycle import mark_timed_out, record
from backend.schema import peers, watching
from backend.schema import stream as stream_module
from tests.api.helpers import PAY_ORDER, close
from tests.shop import Shopper, post_notify
from tests.stream.listener import PATIENCE, SSE, until
from tests.stream.test_wire import cancel, refusals

STATUS = "subscription ($id: ID!) { orderUpdated(id: $id) { status } }"
OWNED = "subscription ($id: ID!) { orderUpdated(id: $id) { status lines { course { owned } } } }"
HISTORY = "subscription ($id: ID!) { orderUpdated(id: $id) { status outTradeNo timeline { name } } }"


def history(state):
    return [event["name"] for event in state["data"]["orderUpdated"]["timeline"]]


def test_a_notify_reaches_who_waits(transport, listener, buyer, order, payment, alipay):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    assert stream.status_now() == "PAID"
    assert stream.rest == "\nevent: complete\ndata: \n\n"
    assert stream.chunk() is None
    until(lambda: not listener.waiting())


def test_each_change_in_order_of_time(transport, listener, buyer, order, payment, alipay):
    stream = listener.watch(order, buyer, HISTORY)
    assert history(stream.state()) == ["order.created"]
    close(payment)
    assert history(stream.state())[-1] == "payment.closed"
    answer = buyer.ask(PAY_ORDER, input={"orderId": order.number})["payOrder"]
    again = stream.state()
    assert history(again)[-1] == "payment.opened"
    assert again["data"]["orderUpdated"]["outTradeNo"] == answer["order"]["outTradeNo"] != payment.out_trade_no
    post_notify(alipay.paid_notify(order.payments.get(out_trade_no=answer["order"]["outTradeNo"])))
    last = stream.state()
    assert last["data"]["orderUpdated"]["status"] == "PAID"
    assert history(last)[-2:] == ["order.paid", "enrollment.opened"]
    assert stream.chunk() is None


def test_all_who_wait_for_one_order_cost_one_read(transport, listener, buyer, staff, order, monkeypatch):
    streams = [listener.watch(order, shopper) for shopper in (buyer, buyer, staff)]
    assert [stream.status_now() for stream in streams] == ["UNPAID"] * 3
    batches = []
    show = watching.show
    monkeypatch.setattr(
        watching, "show", lambda batch: batches.append({n: len(c) for n, c in batch.items()}) or show(batch)
    )
    cancel(buyer, order)
    assert [stream.status_now() for stream in streams] == ["CANCELLED"] * 3
    assert batches == [{order.number: 3}]


def test_each_sees_what_they_own_themselves(listener, buyer, staff, order, payment, alipay):
    streams = [listener.watch(order, shopper, OWNED) for shopper in (buyer, staff)]
    assert [stream.status_now() for stream in streams] == ["UNPAID"] * 2
    post_notify(alipay.paid_notify(payment))
    last = [stream.state()["data"]["orderUpdated"] for stream in streams]
    assert [state["status"] for state in last] == ["PAID"] * 2
    owned = [{line["course"]["owned"] for line in state["lines"]} for state in last]
    assert owned == [{True}, {False}]


def test_a_change_while_a_client_is_let_in_is_not_missed(transport, listener, buyer, order, monkeypatch):
    """It has read the order, and does not wait for it yet."""
    hub, admit, heard = listener.app.hub, watching.admit, threading.Event()
    changed = hub.changed
    monkeypatch.setattr(hub, "changed", lambda numbers: (changed(numbers), heard.set()))

    def changed_behind(question):
        outcome = admit(question)
        cancel(buyer, order)
        assert heard.wait(PATIENCE)
        return outcome

    monkeypatch.setattr(watching, "admit", changed_behind)
    stream = listener.watch(order, buyer)
    while (status := stream.status_now()) == "UNPAID":
        pass
    assert status == "CANCELLED"


def test_who_is_let_in_while_nothing_is_heard_reads_again():
    hub = Hub(lambda batch: [], None)
    calm, missed = Waiter(number="1", owner=1), Waiter(number="2", owner=1)
    with hub.arrival() as add:
        add(calm)
    assert hub._due == {}
    with hub.arrival() as add:
        hub.read_again()
        hub._due.clear()
        add(missed)
    assert hub._due == {"2": {missed}}


def test_who_comes_after_a_change_has_read_it():
    hub = Hub(lambda batch: [], None)
    before, after = Waiter(number="1", owner=1), Waiter(number="1", owner=1)
    with hub.arrival() as add_before:
        hub.changed(["1"])
        with hub.arrival() as add_after:
            add_after(after)
        assert hub._due == {}
        add_before(before)
    assert hub._due == {"1": {before, after}}
    assert hub._changes == {}


def test_what_changes_while_clients_are_let_in_is_kept_once_and_not_without_end(monkeypatch):
    monkeypatch.setattr("backend.live.hub.MOST_CHANGES", 3)
    hub = Hub(lambda batch: [], None)
    waiter = Waiter(number="1", owner=1)
    with hub.arrival() as add, hub.arrival():
        for number in ("1", "2", "3", "2", "4"):
            hub.changed([number])
        assert hub._changes == {ANY: 5}
        add(waiter)
    assert hub._due == {"1": {waiter}}


def test_who_waits_is_told_however_many_are_being_let_in(listener, buyer, order, monkeypatch):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    admit, arrived, told, in_time = watching.admit, threading.Semaphore(0), threading.Event(), []

    def admit_later(question):
        arrived.release()
        in_time.append(told.wait(PATIENCE / 2))
        return admit(question)

    monkeypatch.setattr(watching, "admit", admit_later)
    arriving = [listener.watch(order, buyer) for _ in range(stream_module.THREADS + 1)]
    for _ in range(stream_module.THREADS):
        assert arrived.acquire(timeout=PATIENCE)
    cancel(buyer, order)
    assert stream.status_now() == "CANCELLED"
    told.set()
    assert [late.status_now() for late in arriving] == ["CANCELLED"] * len(arriving)
    assert all(in_time)


def test_a_change_that_the_document_does_not_show_is_not_sent(transport, listener, buyer, order, payment, monkeypatch):
    stream = listener.watch(order, buyer, STATUS)
    assert stream.status_now() == "UNPAID"
    shown = threading.Event()
    show = watching.show
    monkeypatch.setattr(watching, "show", lambda batch: [*show(batch), shown.set()][:-1])
    close(payment)
    assert shown.wait(PATIENCE)
    cancel(buyer, order)
    assert stream.status_now() == "CANCELLED"


def test_what_is_rolled_back_is_not_told(transport, listener, buyer, order):
    stream = listener.watch(order, buyer, HISTORY)
    assert history(stream.state()) == ["order.created"]
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        mark_timed_out(order, now=order.created_at)
        raise RuntimeError
    cancel(buyer, order)
    assert history(stream.state()) == ["order.created", "order.cancelled"]


def test_the_status_never_goes_back(listener, buyer, order):
    """Messages that come late, twice or too early only cause another read."""
    stream = listener.watch(order, buyer, HISTORY)
    seen = [stream.state()]
    for name in ("payment.closed", "payment.opened", "payment.closed"):
        record(order, name, at=order.created_at)
        listener.loop.call_soon_threadsafe(listener.app.hub.changed, [order.number, "unknown", order.number])
    cancel(buyer, order)
    while (chunk := stream.chunk()) is not None:
        stream.chunks.queue.appendleft(chunk)
        seen.append(stream.state())
    # The history is read after the status: it may run ahead of it, in two states with one history, never back.
    lengths = [len(history(state)) for state in seen]
    assert lengths == sorted(lengths)
    assert all(earlier != later for earlier, later in pairwise(seen))
    assert [state["data"]["orderUpdated"]["status"] for state in seen][-2:] == ["UNPAID", "CANCELLED"]


# --- The clients -----------------------------------------------------------------------------------------------------


def test_a_client_that_leaves_leaves_nothing_behind(listener, buyer, order):
    streams = [listener.watch(order, buyer) for _ in range(3)]
    assert [stream.status_now() for stream in streams] == ["UNPAID"] * 3
    assert listener.waiting() == 3
    for stream in streams:
        stream.leave()
    until(lambda: not listener.waiting())
    for stream in streams:
        stream.done.result(PATIENCE)
    hub = listener.app.hub
    assert (hub.everyone(), hub._waiters, hub._due, hub._per_owner) == ([], {}, {}, {})
    until(lambda: not tasks_of_requests(listener))


def tasks_of_requests(listener):
    async def names():
        return [repr(task.get_coro()) for task in asyncio.all_tasks()]

    return [name for name in listener.submit(names()).result(PATIENCE) if "until_gone" in name or "__call__" in name][
        1:
    ]


def test_a_client_that_leaves_before_its_body_is_there(listener, buyer):
    stream = listener.open(b"{}", token=buyer.token, withheld=True)
    stream.leave()
    until(stream.done.done)
    assert listener.waiting() == 0


def test_too_many_streams_of_one_user(listener, buyer, order, settings, staff):
    settings.STREAMS_PER_USER = 2
    streams = [listener.watch(order, buyer) for _ in range(2)]
    assert [stream.status_now() for stream in streams] == ["UNPAID"] * 2
    third = listener.watch(order, buyer)
    assert b'"code":"RATE_LIMITED"' in third.everything()
    assert listener.waiting() == 2
    assert listener.watch(order, staff).status_now() == "UNPAID"
    streams[0].leave()
    until(lambda: listener.waiting() == 2)
    assert listener.watch(order, buyer).status_now() == "UNPAID"


def test_too_many_streams_of_one_process(listener, buyer, staff, order, settings):
    settings.STREAMS_PER_PROCESS = 1
    assert listener.watch(order, buyer).status_now() == "UNPAID"
    with CaptureQueriesContext(connection) as queries:
        assert b'"code":"RATE_LIMITED"' in listener.watch(order, staff).everything()
    assert len(queries) == 0
    assert listener.waiting() == 1


def test_those_who_are_being_let_in_count_too(listener, buyer, staff, order, settings, monkeypatch):
    settings.STREAMS_PER_PROCESS = 1
    admit, arrived, may = watching.admit, threading.Event(), threading.Event()
    monkeypatch.setattr(watching, "admit", lambda question: (arrived.set(), may.wait(PATIENCE), admit(question))[-1])
    first = listener.watch(order, buyer)
    assert arrived.wait(PATIENCE)
    assert b'"code":"RATE_LIMITED"' in listener.watch(order, staff).everything()
    may.set()
    assert first.status_now() == "UNPAID"


def test_who_waits_has_alipay_asked_soon_and_a_stranger_has_not(listener, buyer, stranger, order, payment):
    planned = payment.next_query_at
    listener.watch(order, stranger).everything()
    payment.refresh_from_db()
    assert (payment.asked_at, payment.next_query_at) == (None, planned)
    assert listener.watch(order, buyer).status_now() == "UNPAID"
    payment.refresh_from_db()
    assert payment.asked_at == payment.next_query_at < planned


def test_the_end_of_the_token_ends_the_stream(listener, user, order):
    stream = listener.watch(order, Shopper(token=issue_token(user, ttl_seconds=2).text))
    assert stream.status_now() == "UNPAID"
    state = stream.state()
    assert [error["extensions"]["code"] for error in state["errors"]] == ["UNAUTHENTICATED"]
    assert stream.rest == "\nevent: complete\ndata: \n\n"
    assert stream.chunk() is None
    until(lambda: not listener.waiting())


def test_a_token_that_has_ended_opens_no_stream(listener, user, order):
    token = issue_token(user, ttl_seconds=1).text
    until(lambda: not is_good(token))
    assert refusals(listener.watch(order, Shopper(token=token))) == ["UNAUTHENTICATED"]


def is_good(token):
    try:
        return user_of(f"Bearer {token}")
    except Exception:
        return None


def test_a_stop_cuts_the_streams_without_calling_them_complete(listener, buyer, order):
    streams = [listener.watch(order, buyer, accept=accept) for accept in (SSE, SSE)]
    assert [stream.status_now() for stream in streams] == ["UNPAID"] * 2
    listener.loop.call_soon_threadsafe(listener.app.hub.stop)
    assert [stream.everything() for stream in streams] == [b"", b""]
    assert listener.waiting() == 0
    late = listener.watch(order, buyer)
    assert late.everything() == b""


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch, listener, buyer):
    monkeypatch.setattr(stream_module, "BODY_SECONDS", 0.05)
    stream = listener.open(b"{}", token=buyer.token, withheld=True)
    assert b"did not arrive whole" in stream.everything()
    assert stream.status == 400


# --- The sweep -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sweeping(monkeypatch):
    monkeypatch.setattr(stream_module, "SWEEP_SECONDS", 0.1)


def deaf(monkeypatch):
    """Messages do not come any more."""
    monkeypatch.setattr(publishing.Publisher, "put", lambda self, number: None)
    monkeypatch.setattr(watching, "events_behind", lambda newest: (newest or 0, []))


def test_an_end_that_no_message_told_is_found(monkeypatch, sweeping, listener, buyer, order):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    deaf(monkeypatch)
    cancel(buyer, order)
    assert stream.status_now() == "CANCELLED"


def test_the_sweep_is_two_queries_however_many_wait(buyer, stranger, order, courses):
    clients = [
        watching.Client(order.number, watching.GraphQLRequestData("q", None, None, None), user_of(f"Bearer {s.token}"),
                        expires_at=time.time(), request_id="") for s in (buyer, stranger) for _ in range(20)
    ]  # fmt: skip
    with CaptureQueriesContext(connection) as queries:
        assert watching.ended_among(clients) == []
        assert watching.signed_out_among(clients) == []
    assert len(queries) == 2


def test_who_is_gone_before_the_answer_begins_leaves_nothing_behind(listener, buyer, order, monkeypatch):
    async def broken(*given):
        raise ConnectionResetError

    monkeypatch.setattr(stream_module, "start", broken)
    with pytest.raises(ConnectionResetError):
        listener.watch(order, buyer).done.result(PATIENCE)
    assert listener.waiting() == 0


@pytest.mark.parametrize("how", ["logout", "password", "inactive"])
def test_who_signs_out_is_told_no_more(sweeping, listener, user, buyer, order, how):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    if how == "logout":
        end_token(user_of(f"Bearer {buyer.token}")[1])
    elif how == "password":
        user.set_password("another")
        user.save()
    else:
        type(user).objects.update(is_active=False)
    assert stream.state()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert stream.chunk() is None


def test_a_read_that_fails_is_done_again(listener, buyer, order, monkeypatch):
    stream = listener.watch(order, buyer)
    assert stream.status_now() == "UNPAID"
    monkeypatch.setattr("backend.live.hub.PAUSE_SECONDS", 0.01)
    show, failures = watching.show, [1, 2]

    def fails_twice(batch):
        if failures:
            failures.pop()
            raise psycopg.OperationalError
        return show(batch)

    monkeypatch.setattr(watching, "show", fails_twice)
    cancel(buyer, order)
    assert stream.status_now() == "CANCELLED"
    assert failures == []


@pytest.mark.postgres
def test_a_connection_that_is_lost_between_two_reads_is_not_a_clients_last_word(listener, buyer, order, monkeypatch):
    stream = listener.watch(order, buyer, HISTORY)
    assert history(stream.state()) == ["order.created"]
    monkeypatch.setattr("backend.live.hub.PAUSE_SECONDS", 0.01)
    as_peers, ended = watching.as_peers, []
    monkeypatch.setattr(watching, "as_peers", lambda orders: (as_peers(orders), ended or ended.append(end_session())))
    cancel(buyer, order)
    assert history(stream.state()) == ["order.created", "order.cancelled"]
    assert ended == [None]


def end_session():
    """This thread's."""
    with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


def test_a_read_that_fails_on_a_good_connection_is_told_and_not_done_for_ever(listener, buyer, order, monkeypatch):
    def takes_too_long(*given):
        raise OperationalError

    stream = listener.watch(order, buyer, HISTORY)
    assert history(stream.state()) == ["order.created"]
    monkeypatch.setattr(peers, "fetch", takes_too_long)
    cancel(buyer, order)
    assert [error["extensions"]["code"] for error in stream.state()["errors"]] == ["INTERNAL"]
    assert stream.chunk() is None
