"""The two formats to the byte, and what stands around them."""

import json

import pytest
from django.test import Client as Browser

from backend.live.wire import EVENT_STREAM, MULTIPART, wire_for
from tests.api.helpers import end, nothing_changes
from tests.shop import Shopper
from tests.stream.listener import APOLLO, SSE, WATCH

UNPAID = b'{"data":{"orderUpdated":{"status":"UNPAID","isTerminal":false}}}'
CANCELLED = b'{"data":{"orderUpdated":{"status":"CANCELLED","isTerminal":true}}}'
PART = b"\r\ncontent-type: application/json\r\n\r\n"
CANCEL = "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }"


def cancel(shopper, order):
    assert shopper.ask(CANCEL, id=order.number) == {"cancelOrder": {"__typename": "CancelOrderSuccess"}}


def test_multipart_as_apollo_router_writes_it(listener, buyer, order, settings):
    settings.STREAM_HEARTBEAT_SECONDS = 0.2
    stream = listener.watch(order, buyer, accept=APOLLO)
    assert stream.chunk() == b"\r\n--graphql" + PART + b'{"payload":' + UNPAID + b"}\r\n--graphql"
    assert stream.chunk() == PART + b"{}\r\n--graphql"
    settings.STREAM_HEARTBEAT_SECONDS = 60
    cancel(buyer, order)
    rest = stream.everything()
    assert rest.removeprefix(PART + b"{}\r\n--graphql") == PART + b'{"payload":' + CANCELLED + b"}\r\n--graphql--\r\n"
    assert stream.status == 200
    assert stream.headers["content-type"] == 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'


def test_server_sent_events_as_graphql_sse_reads_them(listener, buyer, order, settings):
    settings.STREAM_HEARTBEAT_SECONDS = 0.2
    stream = listener.watch(order, buyer, accept=SSE)
    assert stream.chunk() == b"event: next\ndata: " + UNPAID + b"\n\n"
    assert stream.chunk() == b":\n\n"
    settings.STREAM_HEARTBEAT_SECONDS = 60
    cancel(buyer, order)
    rest = stream.everything().removeprefix(b":\n\n")
    assert rest == b"event: next\ndata: " + CANCELLED + b"\n\nevent: complete\ndata: \n\n"
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    ("accept", "wire"),
    [
        (APOLLO, MULTIPART),
        ("multipart/mixed;subscriptionSpec=1.0, application/json", MULTIPART),
        ('Multipart/Mixed; subscriptionSpec="1.0"', MULTIPART),
        (SSE, EVENT_STREAM),
        ("application/json, text/event-stream", EVENT_STREAM),
        ("text/event-stream, multipart/mixed", EVENT_STREAM),
        ("*/*", EVENT_STREAM),
        ("", EVENT_STREAM),
        ("application/json", None),
        ("text/html", None),
    ],
)
def test_the_format_is_what_the_client_accepts(accept, wire):
    assert wire_for(accept) is wire


@pytest.mark.parametrize("status", ["CANCELLED", "TIMED_OUT"])
def test_an_order_that_has_ended_is_shown_once(listener, buyer, order, status):
    end(order, status)
    stream = listener.watch(order, buyer)
    body = f'{{"data":{{"orderUpdated":{{"status":"{status}","isTerminal":true}}}}}}'
    assert stream.everything() == f"event: next\ndata: {body}\n\nevent: complete\ndata: \n\n".encode()
    assert listener.waiting() == 0


# --- Refusals --------------------------------------------------------------------------------------------------------


def refusals(stream):
    """The codes of a stream that is a refusal from beginning to end."""
    text = stream.everything().decode()
    assert text.startswith("event: next\ndata: ")
    assert text.endswith("\n\nevent: complete\ndata: \n\n")
    answer = json.loads(text.split("\n")[1].removeprefix("data: "))
    assert not answer.get("data")
    assert listener_is_empty(stream)
    return [error["extensions"]["code"] for error in answer["errors"]]


def listener_is_empty(stream):
    return stream.listener.waiting() == 0


def test_without_a_token(listener, order, anonymous):
    assert refusals(listener.watch(order, anonymous)) == ["UNAUTHENTICATED"]


def test_with_a_token_that_is_not_good(listener, order):
    assert refusals(listener.watch(order, Shopper(token="garbage"))) == ["UNAUTHENTICATED"]


def test_the_tutorials_word_before_the_token(listener, order, buyer):
    body = {"query": WATCH, "variables": {"id": order.number}}
    assert listener.open(body, authorization=f"luffy {buyer.token}").status_now() == "UNPAID"


def test_anothers_order_is_as_one_that_is_not_there(listener, order, stranger):
    foreign = listener.watch(order, stranger).everything()
    for number in ("2026112300000000000000", "1", "x", "", "\x00", "９" * 22, "1" * 10_000):
        assert listener.watch(number, stranger).everything() == foreign
    assert refusals(listener.watch(order, stranger)) == ["NOT_FOUND"]


def test_staff_watch_anyones(listener, order, staff):
    assert listener.watch(order, staff).status_now() == "UNPAID"


def test_apollo_reads_a_refusal_as_a_result(listener, order, anonymous):
    text = listener.watch(order, anonymous, accept=APOLLO).everything()
    assert text.startswith(b"\r\n--graphql" + PART + b'{"payload":{"data":null,"errors":[{"message":"Sign in first."')
    assert text.endswith(b"}\r\n--graphql--\r\n")


@pytest.mark.parametrize(
    "query",
    [
        "{ me { id } }",
        'mutation { cancelOrder(input: {orderId: "1"}) { __typename } }',
        "subscription { nothing }",
        "subscription {",
        'subscription { a: orderUpdated(id: "1") { id } b: orderUpdated(id: "1") { id } }',
        'subscription { orderUpdated(id: "1") @skip(if: true) { id } }',
        "subscription { __typename }",
    ],
)
def test_only_one_subscription_is_served(listener, buyer, order, query):
    with nothing_changes():
        assert set(refusals(listener.open({"query": query}, token=buyer.token))) == {"BAD_REQUEST"}


def test_a_document_that_is_too_large_is_refused_as_elsewhere(listener, buyer, order):
    many = " ".join(f"f{n}: status" for n in range(900))
    codes = refusals(
        listener.open({"query": f'subscription {{ orderUpdated(id: "1") {{ {many} }} }}'}, token=buyer.token)
    )
    assert codes == ["QUERY_TOO_COMPLEX"]


@pytest.mark.parametrize(
    ("status", "body", "more"),
    [
        (400, b"{", {}),
        (400, b"[]", {}),
        (400, b'{"query": 1}', {}),
        (400, b'{"query": "\xff"}', {}),
        (400, b'{"query": "{a}", "variables": []}', {}),
        (413, b" " * (128 * 1024 + 1), {}),
        (413, b"{}", {"content_length": "1000000"}),
        (415, b"{}", {"content_type": "text/plain"}),
        (415, b"{}", {"content_encoding": "gzip"}),
        (405, b"", {"method": "GET"}),
        (406, b"{}", {"accept": "application/json"}),
        (404, b"{}", {"path": "/graphql"}),
    ],
)
def test_what_is_no_subscription_request(listener, buyer, status, body, more):
    stream = listener.open(body, token=buyer.token, parts=3, **more)
    answer = json.loads(stream.everything())
    assert stream.status == status
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_REQUEST"]
    assert stream.headers["content-type"] == "application/json; charset=utf-8"
    assert listener.waiting() == 0


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "", None])
def test_another_host_is_not_served(listener, buyer, order, host):
    stream = listener.watch(order, buyer, host=host)
    assert b"This host is not served here." in stream.everything()
    assert stream.status == 400


def test_graphql_itself_serves_no_subscription(buyer, order):
    answer = buyer.post(WATCH, id=order.number).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_REQUEST"]
    assert not answer.get("data")


# --- Pages of other origins ------------------------------------------------------------------------------------------

OURS = "http://shop.example"
PREFLIGHT = {"access_control_request_method": "POST", "access_control_request_headers": "authorization,content-type"}


def shared(headers):
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("access-control-")}


def test_a_preflight_is_answered_as_for_graphql(listener):
    stream = listener.open(b"", method="OPTIONS", origin=OURS, **PREFLIGHT)
    assert stream.everything() == b""
    asked = {"origin": OURS, **{name.replace("_", "-"): value for name, value in PREFLIGHT.items()}}
    django = shared(Browser().options("/graphql", headers=asked).headers)
    assert (stream.status, {n: v for n, v in shared(stream.headers).items() if "expose" not in n}) == (
        200,
        {n: v for n, v in django.items() if "expose" not in n},
    )
    assert shared(stream.headers)["access-control-allow-origin"] == OURS


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://shop.example", "http://shop.example.evil"])
def test_a_foreign_page_is_let_in_nowhere(listener, buyer, order, origin):
    preflight = listener.open(b"", method="OPTIONS", origin=origin, **PREFLIGHT)
    preflight.everything()
    stream = listener.watch(order, buyer, origin=origin)
    assert stream.status_now() == "UNPAID"
    assert (shared(preflight.headers), shared(stream.headers)) == ({}, {})


def test_streams_and_refusals_may_be_read_by_the_storefront(listener, buyer, order):
    stream = listener.watch(order, buyer, origin=OURS)
    assert stream.status_now() == "UNPAID"
    refused = listener.open(b"{", origin=OURS)
    refused.everything()
    assert shared(stream.headers)["access-control-allow-origin"] == OURS
    assert shared(refused.headers)["access-control-allow-origin"] == OURS
    assert stream.headers["vary"] == "origin"
