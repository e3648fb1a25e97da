"""`/api/`: the book and the clock as JSON, for tests and scripts."""

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .book import Row
from .clock import beijing
from .control_api import read_object
from .money import yuan
from .simulator import Simulator
from .trade import Trade

PAGE = 1000
MAX_PAGE = 10_000


class Api:
    """Read everything; move the clock; send a notify now."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.book = simulator.book

    def routes(self) -> list[Route]:
        """The JSON part of the site."""
        return [
            Route("/healthz", self.health, methods=["GET"]),
            Route("/api/trades", self.trades, methods=["GET"]),
            Route("/api/trades/{out_trade_no}", self.trade, methods=["GET"]),
            Route("/api/book", self.journal, methods=["GET"]),
            Route("/api/notifies/{notify_id}/send-now", self.send_now, methods=["POST"]),
            Route("/api/clock", self.clock, methods=["GET"]),
            Route("/api/clock", self.set_clock, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Up, and whether the merchant's key is there."""
        return JSONResponse({"status": "ok", "app_key": self.simulator.app_key.read() is not None})

    async def trades(self, request: Request) -> Response:
        """The newest trades first; `?limit=`, by default 1000."""
        trades = self.simulator.trades.newest(_limit(request))
        return JSONResponse({"trades": [trade_json(trade) for trade in trades]})

    async def trade(self, request: Request) -> Response:
        """One trade with its notifies and each of their attempts; 404 while it does not exist."""
        number = request.path_params["out_trade_no"]
        trade = self.simulator.trades.find(out_trade_no=number)
        if trade is None:
            return JSONResponse({"error": "no such trade"}, 404)
        notifies = self.book.all("SELECT * FROM notifies WHERE out_trade_no = ? ORDER BY rowid", number)
        return JSONResponse({**trade_json(trade), "notifies": [self._notify_json(notify) for notify in notifies]})

    async def journal(self, request: Request) -> Response:
        """Events after `?after=` (a seq), oldest first, at most `?limit=`; ask again from `last` while `more`."""
        limit = _limit(request)
        after = _number(request, "after", 0)
        rows = self.book.all("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", after, limit + 1)
        events = [event_json(row) for row in rows[:limit]]
        last = events[-1]["seq"] if events else after
        return JSONResponse({"events": events, "last": last, "more": len(rows) > limit})

    async def send_now(self, request: Request) -> Response:
        """Send a notify at once and answer with what came back."""
        answer = await self.simulator.sender.send_now(request.path_params["notify_id"])
        if answer is None:
            return JSONResponse({"error": "no such notify"}, 404)
        return JSONResponse(
            {"status": answer.status, "body": answer.body, "error": answer.error, "accepted": answer.accepted}
        )

    async def clock(self, _request: Request) -> Response:
        """The time of the wire, and how the two hands run."""
        return JSONResponse(self._clock_json())

    async def set_clock(self, request: Request) -> Response:
        """`{"speed": 60}` and/or `{"advance": 240}`; 400 for anything else."""
        try:
            wanted = await read_object(request)
            if not wanted or set(wanted) - {"speed", "advance"}:
                raise ValueError("send speed, advance or both")
            turn(self.simulator, **{name: float(value) for name, value in wanted.items()})
        except (ValueError, TypeError, RecursionError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(self._clock_json())

    def _clock_json(self) -> dict[str, Any]:
        clock = self.simulator.clock
        return {
            "now": clock.now(),
            "beijing": beijing(clock.now()),
            "ticks": clock.ticks(),
            "speed": clock.dial.speed,
            "advanced": clock.dial.offset,
        }

    def _notify_json(self, row: Row) -> dict[str, Any]:
        attempts = self.book.all(
            "SELECT * FROM events WHERE notify_id = ? AND kind = 'notify.sent' ORDER BY seq", row["notify_id"]
        )
        return {
            "notify_id": row["notify_id"],
            "url": row["url"],
            "state": row["state"],
            "sends": row["sends"],
            "next_send_in": next_send_in(self.simulator, row),
            "attempts": [{"at": event["at"], **json.loads(event["data"])} for event in attempts],
        }


def turn(simulator: Simulator, speed: float | None = None, advance: float | None = None) -> None:
    """Change the clock's speed, move it forward, or both; ValueError when it cannot be."""
    if speed is not None:
        simulator.clock.set_speed(speed)
    if advance is not None:
        simulator.advance(advance)
    simulator.sender.wake()


def next_send_in(simulator: Simulator, row: Row) -> float | None:
    """Seconds of the schedule until a pending notify is sent; None when none is due any more."""
    if row["state"] != "PENDING":
        return None
    return max(0.0, round(float(row["next_tick"]) - simulator.clock.ticks(), 3))


def trade_json(trade: Trade) -> dict[str, Any]:
    """A trade with its amount in fen and in yuan, and times in epoch seconds."""
    return {**asdict(trade), "total_amount": yuan(trade.total_fen)}


def event_json(row: Row) -> dict[str, Any]:
    """An event of the journal."""
    return {**dict(row), "data": json.loads(row["data"])}


def _limit(request: Request) -> int:
    return max(1, min(MAX_PAGE, _number(request, "limit", PAGE)))


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default
