"""The stream's ASGI application in a thread of its own, and clients that read it byte by byte."""

import asyncio
import json
import os
import queue
import threading
import time
from contextlib import contextmanager

from backend.live import publishing
from backend.schema.stream import OrderStream

PATIENCE = 15
SSE = "text/event-stream"
APOLLO = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"
WATCH = "subscription ($id: ID!) { orderUpdated(id: $id) { status isTerminal } }"


def until(what, seconds=PATIENCE):
    """The first true value; fails the test when there is none."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value


class Listener:
    """Runs the application and its lifespan."""

    def __init__(self):
        self.app = OrderStream()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self.thread.start()
        started, self.stopping, self.stopped = threading.Event(), asyncio.Event(), threading.Event()
        messages = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))

        async def receive():
            message = next(messages)
            if message["type"] == "lifespan.shutdown":
                await self.stopping.wait()
            return message

        async def send(message):
            (started if "startup" in message["type"] else self.stopped).set()

        self.submit(self.app({"type": "lifespan"}, receive, send))
        assert started.wait(PATIENCE)

    def submit(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        assert self.stopped.wait(PATIENCE)

        async def wind_up():
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self.submit(wind_up()).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()

    def waiting(self):
        return len(self.app.hub)

    def open(
        self, body, *, accept=SSE, token="", method="POST", path="/graphql/stream", parts=1, withheld=False, **headers
    ):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"host": "testserver", "accept": accept, "content-type": "application/json"}
        given |= {"authorization": f"Bearer {token}"} if token else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = Connection(self, content, parts)
        if withheld:
            connection.body = []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(n.encode(), v.encode()) for n, v in given.items() if v is not None],
        }
        connection.done = self.submit(self.app(scope, connection.receive, connection.send))
        return connection

    def watch(self, order, shopper, query=WATCH, **more):
        body = {"query": query, "variables": {"id": order if isinstance(order, str) else order.number}}
        return self.open(body, token=shopper.token, **more)


class Connection:
    """One request and what comes of it."""

    def __init__(self, listener, content, parts):
        self.listener = listener
        step = max(1, -(-len(content) // parts))
        self.body = [content[at : at + step] for at in range(0, len(content), step)] or [b""]
        self.left = asyncio.Event()
        self.status, self.headers, self.chunks = None, {}, queue.Queue()

    async def receive(self):
        if self.body:
            piece = self.body.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self.body)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["body"]:
            self.chunks.put(message["body"])
        if message["type"] == "http.response.body" and not message["more_body"]:
            self.chunks.put(None)

    def chunk(self, seconds=PATIENCE):
        """The next bytes; None at the end of the answer."""
        return self.chunks.get(timeout=seconds)

    def state(self):
        """The data of the next server-sent ``next`` event; heartbeats are passed over."""
        while (chunk := self.chunk()) == b":\n\n":
            pass
        assert chunk is not None, "the stream ended"
        event, data, *rest = chunk.decode().split("\n")
        assert event == "event: next", chunk
        self.rest = "\n".join(rest)
        return json.loads(data.removeprefix("data: "))

    def status_now(self):
        return self.state()["data"]["orderUpdated"]["status"]

    def everything(self):
        """To the end of the answer."""
        found = b""
        while (chunk := self.chunk()) is not None:
            found += chunk
        self.done.result(PATIENCE)
        return found

    def leave(self):
        self.listener.loop.call_soon_threadsafe(self.left.set)


@contextmanager
def listening():
    listener = Listener()
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def publisher_idle():
    assert publishing.publisher(os.getpid()).settle(PATIENCE)
