"""The ASGI application: every route, and a lifespan that runs the notify sender."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from .api import Api
from .cashier import Cashier
from .config import Config
from .console import Console
from .control_api import ControlApi
from .controls import Controls
from .downloads import Downloads
from .gateway import Gateway
from .pages import HERE, Pages
from .sender import Post
from .simulator import Simulator


def create_app(config: Config, post: Post | None = None) -> Starlette:
    """Return the application; its `state.simulator` is the Simulator. Keys and book are made or opened at once.

    `post` replaces the way notifies leave (for tests and faults): it takes address and form, and returns an Answer.
    An application lives once: its book is closed when its lifespan ends.
    """
    simulator = Simulator(config, post)
    pages = Pages(config)
    routes = [
        Route("/gateway.do", Gateway(simulator, pages).answer, methods=["GET", "POST"]),
        *Downloads(simulator).routes(),
        *Cashier(simulator, pages).routes(),
        *Console(simulator, pages).routes(),
        *Controls(simulator, pages).routes(),
        *Api(simulator).routes(),
        *ControlApi(simulator).routes(),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    app = Starlette(routes=routes, lifespan=run_sender, middleware=[Middleware(AbsoluteForm)])
    app.state.simulator = simulator
    return app


class AbsoluteForm:
    """Takes `POST http://host/gateway.do` for `POST /gateway.do`, as every server must (RFC 9112, 3.2.2).

    The official SDK for Python writes its requests so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its path alone."""
        if scope["type"] == "http" and not scope["path"].startswith("/"):
            scope = {**scope, "path": urlsplit(scope["path"]).path or "/"}
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def run_sender(app: Starlette) -> AsyncIterator[None]:
    """Send notifies while the application is up; what is not delivered then stays in the book."""
    simulator: Simulator = app.state.simulator
    sender = asyncio.create_task(simulator.run())
    try:
        yield
    finally:
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sender
        simulator.close()
