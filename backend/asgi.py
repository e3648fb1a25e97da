"""The ASGI applications: the live stream alone, and the whole shop on one port.

Queries and mutations stay on WSGI threads in both: Django's own ASGI handler hops threads for every middleware.
"""

import asyncio
import signal
from types import FrameType
from typing import Any, cast

from a2wsgi import WSGIMiddleware

from backend.wsgi import application as shop

# Below the WSGI application, which sets Django up and refuses to start where the settings are wrong.
from backend.schema.stream import OrderStream, Receive, Scope, Send  # isort: skip

WSGI_THREADS = 8

_streams = OrderStream()
_shop: Any = WSGIMiddleware(cast("Any", shop), workers=WSGI_THREADS)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """POST /graphql/stream and nothing else: what `make serve` puts on its own port."""
    if scope["type"] == "lifespan":
        end_streams_on_sigterm(asyncio.get_running_loop())
    await _streams(scope, receive, send)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The stream, and the WSGI application for everything else: what `make run` serves."""
    if scope["type"] == "http" and scope["path"] != "/graphql/stream":
        await _shop(scope, receive, send)
    else:
        await stream(scope, receive, send)


def end_streams_on_sigterm(loop: asyncio.AbstractEventLoop) -> None:
    """A server that stops waits for its requests, and streams would wait for ever: they end first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = signal.getsignal(number)

        def stop(number: int, frame: FrameType | None, server: Any = server) -> None:
            loop.call_soon_threadsafe(_streams.hub.stop)
            if callable(server):
                server(number, frame)

        signal.signal(number, stop)
