"""`/api/` that changes things: faults, rules, what Alipay's own console can do to a trade, and the empty book."""

import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .errors import BusinessError
from .money import parse_yuan, yuan
from .simulator import Simulator

Handler = Callable[["ControlApi", Request], Awaitable[Response]]


def told(handler: Handler) -> Handler:
    """Say in JSON what went wrong: 400 nonsense, 404 no such trade, 409 the rules forbid it."""

    @wraps(handler)
    async def answer(api: "ControlApi", request: Request) -> Response:
        try:
            return await handler(api, request)
        except BusinessError as error:
            status = 404 if error.sub_code == "ACQ.TRADE_NOT_EXIST" else 409
            return JSONResponse({"error": error.sub_code, "reason": error.reason}, status)
        except (ValueError, TypeError, RecursionError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request; none at all is an empty one. ValueError for anything else."""
    body = json.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("send a JSON object")
    return body


class ControlApi:
    """The levers of the simulator, for test suites and scripts."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        """The part of the site that changes things."""
        trade = "/api/trades/{out_trade_no}"
        return [
            Route("/api/faults", self.faults, methods=["GET"]),
            Route("/api/faults", self.add_fault, methods=["POST"]),
            Route("/api/faults", self.clear_faults, methods=["DELETE"]),
            Route("/api/rules", self.rules, methods=["GET"]),
            Route("/api/rules", self.change_rules, methods=["POST"]),
            Route("/api/money", self.money, methods=["GET"]),
            Route(f"{trade}/refund", self.refund, methods=["POST"]),
            Route(f"{trade}/close", self.close, methods=["POST"]),
            Route(f"{trade}/freeze", self.freeze, methods=["POST"]),
            Route("/api/reset", self.reset, methods=["POST"]),
        ]

    async def faults(self, _request: Request) -> Response:
        """What is waiting to go wrong."""
        return JSONResponse({"faults": self.simulator.faults.waiting()})

    @told
    async def add_fault(self, request: Request) -> Response:
        """`{"target", "kind", "times", "out_trade_no", ...}`: see the README for each kind's parameters."""
        fault = self.simulator.fault(**{"target": None, "kind": None, **await read_object(request)})
        return JSONResponse(fault.as_json(), 201)

    async def clear_faults(self, _request: Request) -> Response:
        """Nothing more goes wrong."""
        self.simulator.faults.clear()
        return JSONResponse({"faults": []})

    async def rules(self, _request: Request) -> Response:
        """The triggers, the refund window and the seller's balance."""
        return JSONResponse(self.simulator.rules.as_json())

    @told
    async def change_rules(self, request: Request) -> Response:
        """Some of what GET shows; the rest stays."""
        self.simulator.rules.change(await read_object(request))
        return await self.rules(request)

    async def money(self, request: Request) -> Response:
        """Per out_trade_no `{"paid_fen", "refunded_fen", "refunds"}`; with `?out_trade_no=` only that one."""
        return JSONResponse(self.simulator.money(request.query_params.get("out_trade_no", "")))

    @told
    async def refund(self, request: Request) -> Response:
        """`{"amount": "5.00", "reason": ""}`: Alipay's own console gives money back."""
        wanted = await read_object(request)
        amount_fen = parse_yuan(wanted.get("amount"))
        refund = self.simulator.console_refund(_number(request), amount_fen, str(wanted.get("reason", "")))
        return JSONResponse({**asdict(refund), "amount": yuan(refund.amount_fen)}, 201)

    @told
    async def close(self, request: Request) -> Response:
        """The buyer, or somebody at Alipay, closes a trade that was not paid."""
        self.simulator.close_trade(_number(request))
        return JSONResponse({"trade_status": "TRADE_CLOSED"})

    @told
    async def freeze(self, request: Request) -> Response:
        """`{"frozen": true}` (default) or false: a dispute holds the money back."""
        frozen = (await read_object(request)).get("frozen", True)
        if not isinstance(frozen, bool):
            raise ValueError("frozen is true or false")
        self.simulator.freeze_trade(_number(request), frozen=frozen)
        return JSONResponse({"frozen": frozen})

    async def reset(self, request: Request) -> Response:
        """Empty the book; only for callers on this machine."""
        if not is_local(request):
            return JSONResponse({"error": "only from the same machine"}, 403)
        self.simulator.reset()
        return JSONResponse({"reset": True})


def _number(request: Request) -> str:
    return str(request.path_params["out_trade_no"])


def is_local(request: Request) -> bool:
    """Whether the caller is on this machine."""
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
