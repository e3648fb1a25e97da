"""The console's first page: it shows the whole book and refreshes itself; the levers are in `controls`."""

import contextlib
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .api import event_json, next_send_in, turn
from .incoming import read_form
from .pages import Pages
from .simulator import Simulator

ROWS = 50
CALLS = 100


class Console:
    """GET / and /console; the forms post back and return there."""

    def __init__(self, simulator: Simulator, pages: Pages) -> None:
        self.simulator = simulator
        self.book = simulator.book
        self.pages = pages

    def routes(self) -> list[Route]:
        """The console's own part of the site."""
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/console", self.show, methods=["GET"]),
            Route("/console/send-now", self.send_now, methods=["POST"]),
            Route("/console/clock", self.clock, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Trades, sessions, notifies, attempts and calls, the newest first; `?pause` stops the refreshing."""
        notifies = self.book.all("SELECT * FROM notifies ORDER BY rowid DESC LIMIT ?", ROWS)
        return self.pages.show(
            request,
            "console.html",
            paused="pause" in request.query_params,
            clock=self.simulator.clock,
            app_key=self.simulator.app_key.read() is not None,
            trades=self.simulator.trades.newest(ROWS),
            sessions=[self._session(row) for row in self._sessions()],
            notifies=[{**dict(row), "next_send_in": next_send_in(self.simulator, row)} for row in notifies],
            attempts=self._events("notify.sent", CALLS),
            calls=self._events("call.answered", CALLS),
        )

    async def send_now(self, request: Request) -> Response:
        """The button next to a notify."""
        form = await read_form(request)
        await self.simulator.sender.send_now(form.get("notify_id", ""))
        return RedirectResponse("/console", 303)

    async def clock(self, request: Request) -> Response:
        """The two fields of the clock; what is no number is ignored, the page shows what holds."""
        form = await read_form(request)
        with contextlib.suppress(ValueError):
            turn(self.simulator, **{name: float(form[name]) for name in ("speed", "advance") if form.get(name)})
        return RedirectResponse("/console/controls" if form.get("to") == "controls" else "/console", 303)

    def _sessions(self) -> Any:
        return self.book.all("SELECT * FROM sessions ORDER BY opened_at DESC, rowid DESC LIMIT ?", ROWS)

    @staticmethod
    def _session(row: Any) -> dict[str, Any]:
        return {**dict(row), "order": json.loads(row["order_data"])}

    def _events(self, kind: str, limit: int) -> list[dict[str, Any]]:
        rows = self.book.all("SELECT * FROM events WHERE kind = ? ORDER BY seq DESC LIMIT ?", kind, limit)
        return [event_json(row) for row in rows]
