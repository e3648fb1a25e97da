"""POST /graphql/stream: orders as they change, over plain HTTP, for any number of clients that mostly wait.

It is written against ASGI itself: Django's request and response would cost each waiting client more than the rest. The
database is touched in a few threads, never in the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import orjson
from cross_web import HTTPException
from django.conf import settings
from django.db import close_old_connections

from backend.live.edge import JSON, Headers, cors_headers, preflight, refuse_foreign_host
from backend.live.hub import Hub, State
from backend.live.sources import follow, source_for
from backend.live.wire import Wire, wire_for
from backend.logs import new_request_id
from backend.schema import watching
from backend.schema.requests import MAX_BODY, check_length, too_large
from backend.schema.watching import Client, Question

logger = logging.getLogger("coursepay.live")

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

THREADS = 4
"""That let clients in. Who waits already is told by a thread apart, and does not wait for those who arrive."""
BODY_SECONDS = 10
SWEEP_SECONDS = 20.0


class OrderStream:
    """The ASGI application. One process has one, with one hub; its lifespan is the server's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stream")
        self._telling = ThreadPoolExecutor(1, thread_name_prefix="telling")
        self.hub: Hub[Client] = Hub(lambda batch: on_database(watching.show, batch), self._telling)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        tasks = [asyncio.ensure_future(job) for job in (self.hub.run(), self._follow(), self._sweep())]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.hub.stop()
        for task in tasks:
            task.cancel()
        for threads in (self._threads, self._telling):
            threads.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def in_thread(self, threads: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, on_database, work, *arguments)

    async def _follow(self) -> None:
        async def tail(newest: int | None) -> tuple[int, list[str]]:
            return await self.in_thread(self._telling, watching.events_behind, newest)

        await follow(source_for(tail), self.hub)

    async def _sweep(self) -> None:
        """Find what no message told: orders that ended, tokens that did. Two queries, however many wait."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            clients = self.hub.everyone()
            try:
                self.hub.changed(await self.in_thread(self._telling, watching.ended_among, clients))
                for client in await self.in_thread(self._telling, watching.signed_out_among, clients):
                    client.deliver(State(watching.SIGNED_OUT, is_last=True))
            except Exception:
                logger.exception("the sweep over the waiting clients failed")

    # --- One request -------------------------------------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            refuse_foreign_host(headers)
            if scope["path"] != "/graphql/stream":
                await self._say_how_it_is(scope["path"], send)
            elif scope["method"] == "OPTIONS":
                await answer(send, 200, b"", preflight(headers))
            elif scope["method"] != "POST":
                raise HTTPException(405, "Send your subscription by POST.")
            else:
                await self._stream(headers, receive, send)
        except HTTPException as refusal:
            error = {"message": refusal.reason, "extensions": {"code": "BAD_REQUEST"}}
            body = orjson.dumps({"errors": [error]})
            await answer(send, refusal.status_code, body, [JSON, *cors_headers(headers)])

    async def _say_how_it_is(self, path: str, send: Send) -> None:
        """For whoever runs the server; the proxy in front of it passes only the stream on."""
        if path == "/healthz/live":
            await answer(send, 200, b"ok", [(b"content-type", b"text/plain")])
        else:
            raise HTTPException(404, "Only POST /graphql/stream is served here.")

    async def _stream(self, headers: dict[str, str], receive: Receive, send: Send) -> None:
        wire = wire_for(headers.get("accept", ""))
        if wire is None:
            raise HTTPException(406, "Accept multipart/mixed or text/event-stream.")
        check_length(headers.get("content-length", "0"))
        question = Question(
            content_type=headers.get("content-type", ""),
            content_encoding=headers.get("content-encoding", ""),
            authorization=headers.get("authorization"),
            body=await whole_body(receive),
            request_id=new_request_id(None),
        )
        outcome = await self._admit(question)
        more = [
            (b"content-type", wire.media_type),
            (b"x-accel-buffering", b"no"),
            (b"x-request-id", question.request_id.encode()),
            *cors_headers(headers),
        ]
        if isinstance(outcome, bytes):
            await answer(send, 200, wire.opening + wire.result(outcome) + wire.complete, more)
            return
        gone = asyncio.ensure_future(until_gone(receive))
        gone.add_done_callback(lambda _: outcome.close())
        try:
            await start(send, 200, more)
            await send_states(outcome, wire, send)
        finally:
            self.hub.remove(outcome)
            gone.cancel()

    async def _admit(self, question: Question) -> Client | bytes:
        """A client that waits now, or the answer to one that may not, or need not."""
        if len(self.hub) + self.hub.arriving >= settings.STREAMS_PER_PROCESS:
            return watching.TOO_MANY
        with self.hub.arrival() as add:
            outcome = await self.in_thread(self._threads, watching.admit, question)
            if isinstance(outcome, Client):
                if self.hub.of_owner(outcome.owner) >= settings.STREAMS_PER_USER:
                    return watching.TOO_MANY_OF_YOURS
                add(outcome)
        return outcome


async def send_states(client: Client, wire: Wire, send: Send) -> None:
    """States as they come, a heartbeat where none does, until the last state, the token's end or the client's."""
    opening = wire.opening
    while True:
        left = client.expires_at - time.time()
        state = await client.next(min(settings.STREAM_HEARTBEAT_SECONDS, max(left, 0)))
        if client.is_closed:
            break
        if state is None and client.expires_at <= time.time():
            state = State(watching.SIGNED_OUT, is_last=True)
        if state is not None and state.is_last:
            await say(send, opening + wire.result(state.body) + wire.complete, more=False)
            return
        await say(send, opening + (wire.heartbeat if state is None else wire.result(state.body)), more=True)
        opening = b""
    await say(send, b"", more=False)  # cut, and not complete


async def until_gone(receive: Receive) -> None:
    """The body is read: all that still comes is the end."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole_body(receive: Receive) -> bytes:
    """At most MAX_BODY bytes, within BODY_SECONDS."""
    body = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                body += message.get("body", b"")
                if len(body) > MAX_BODY:
                    raise too_large()
                if not message.get("more_body", False):
                    return bytes(body)
    raise HTTPException(400, "The body did not arrive whole.")


async def start(send: Send, status: int, headers: Headers) -> None:
    common = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *common]})


async def say(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    await start(send, status, [*headers, (b"content-length", str(len(body)).encode())])
    await say(send, body, more=False)


def on_database(work: Callable[..., T], *arguments: Any) -> T:
    """Work that touches the database, in a thread, which gives its connection back as a request would."""
    close_old_connections()
    try:
        return work(*arguments)
    finally:
        close_old_connections()
