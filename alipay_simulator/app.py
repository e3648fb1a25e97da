"""The ASGI application: every route, and a lifespan that runs the notify sender."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .api import Api
from .cashier import Cashier
from .config import Config
from .console import Console
from .gateway import Gateway
from .notify import Post
from .pages import HERE, Pages
from .simulator import Simulator


def create_app(config: Config, post: Post | None = None) -> Starlette:
    """Return the application; its `state.simulator` is the Simulator. Keys and book are made or opened at once.

    `post` replaces the way notifies leave (for tests and faults): it takes address and form, and returns an Answer.
    """
    simulator = Simulator(config, post)
    pages = Pages(config)
    gateway = Gateway(simulator, pages)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sender = asyncio.create_task(simulator.run())
        try:
            yield
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
            simulator.close()

    app = Starlette(
        routes=[
            Route("/gateway.do", gateway.answer, methods=["GET", "POST"]),
            *Cashier(simulator, pages).routes(),
            *Console(simulator, pages).routes(),
            *Api(simulator).routes(),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        lifespan=lifespan,
    )
    app.state.simulator = simulator
    return app
