"""How a spoilt reply leaves over HTTP: not at all, in half, byte by byte, or without end. None of them blocks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .replies import Reply

MAX_OPEN = 64


class Places:
    """Room for so many slow responses; whoever comes when it is full is broken off at once."""

    def __init__(self) -> None:
        self.taken = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[bool]:
        """Take a place while the block runs; False when there was none."""
        free = self.taken < MAX_OPEN
        self.taken += free
        try:
            yield free
        finally:
            self.taken -= free


def broken_response(reply: Reply, places: Places) -> Response:
    """The response to a spoilt reply."""
    if reply.held is not None:
        return SilentResponse(reply, reply.held, places)
    if reply.drip is None and not reply.padding:
        return Response(reply.body, reply.status, media_type=reply.media_type)
    return SlowResponse(reply, places)


class SilentResponse(Response):
    """Says nothing for a while, or no more after a beginning, and then breaks the connection off; earlier if the
    client does.
    """

    def __init__(self, reply: Reply, seconds: float, places: Places) -> None:
        super().__init__(media_type=reply.media_type)
        del self.headers["content-length"]  # a beginning does not say how much should follow
        self.beginning = reply.body
        self.seconds = seconds
        self.places = places

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with self.places.one() as free, contextlib.suppress(TimeoutError):
            if free and self.beginning:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": self.beginning, "more_body": True})
            async with asyncio.timeout(self.seconds if free else 0):
                while (await receive())["type"] != "http.disconnect":
                    pass
        await break_off(receive)


class SlowResponse(StreamingResponse):
    """Sends its pieces as fast as the client takes them, or its bytes one by one."""

    def __init__(self, reply: Reply, places: Places) -> None:
        super().__init__(_pieces(reply), reply.status, media_type=reply.media_type)
        self.places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.places.one() as free:
            if free:
                await super().__call__(scope, receive, send)
                return
        await break_off(receive)


async def break_off(receive: Receive) -> None:
    """Close the connection without a word.

    ASGI has no word for that, so the server's own transport is used; where it cannot be reached, as in a test that
    calls the application directly, the caller gets the exception.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("the simulator broke the connection off")
    transport.abort()
    await asyncio.sleep(0)  # the server hears of it in the loop's next turn, and then expects no response


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    for chunk in reply.chunks():
        if reply.drip is None:
            yield chunk
            continue
        for position in range(len(chunk)):
            yield chunk[position : position + 1]
            await asyncio.sleep(reply.drip)
