"""`/gateway.do`: checks a request, runs its method and writes the answer; HTTP 200 whatever it says (protocol 9)."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .errors import GatewayError
from .incoming import METHOD_SHAPE, Checks, Params, merge, parse_biz, read_pairs
from .methods import METHODS, PAGE_PAY, Body, ToCashier
from .pages import Pages
from .signing import envelope, reply_text, sign
from .simulator import Simulator
from .words import REASONS


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: a body to sign (or not), or the way to the cashier. `reason` is for people."""

    body: Body
    signed: bool = True
    reason: str = ""
    to: ToCashier | None = None


class Gateway:
    """The one endpoint of the wire protocol, GET and POST."""

    def __init__(self, simulator: Simulator, pages: Pages) -> None:
        self.simulator = simulator
        self.pages = pages
        self.checks = Checks(simulator.config, simulator.clock, simulator.app_key.read, METHODS)

    async def answer(self, request: Request) -> Response:
        """Answer one request; nothing that a merchant sends makes this anything but HTTP 200 or the 302."""
        try:
            pairs = await read_pairs(request)
        except ValueError:
            pairs, outcome = [], _refused(GatewayError("40002", "isv.invalid-parameter", signed=False))
        else:
            outcome = self._answer(pairs)
        params = dict(pairs)
        raw = self._raw(params, outcome)
        self._record(request.method, params, outcome, raw)
        if outcome.to:
            prefix = self.simulator.config.cashier_prefix
            return RedirectResponse(f"{prefix}/cashier?payOrderId={outcome.to.pay_order_id}", 302)
        if ("method", PAGE_PAY) in pairs:
            return self.pages.show(
                request,
                "refused.html",
                error=outcome.body,
                reason=outcome.reason,
                english=REASONS[outcome.body["sub_code"]],
            )
        return Response(raw, media_type="application/json; charset=utf-8")

    def _answer(self, pairs: list[tuple[str, str]]) -> Outcome:
        try:
            call = self.checks.pass_all(merge(pairs))
            result = METHODS[call.method](self.simulator, call)
        except GatewayError as error:
            return _refused(error)
        if isinstance(result, ToCashier):
            return Outcome({"code": "10000", "msg": "Success"}, to=result)
        return Outcome(result)

    def _raw(self, params: Params, outcome: Outcome) -> str:
        """The reply's bytes: the method's own node where it has a sound name, else an unsigned error_response."""
        method = params.get("method", "")
        named = METHOD_SHAPE.fullmatch(method) is not None
        node = f"{method.replace('.', '_')}_response" if named else "error_response"
        text = reply_text(outcome.body)
        return envelope(node, text, sign(text, self.simulator.key) if named and outcome.signed else None)

    def _record(self, verb: str, params: Params, outcome: Outcome, raw: str) -> None:
        data: dict[str, Any] = {
            "verb": verb,
            "method": params.get("method", ""),
            "code": outcome.body["code"],
            "sub_code": outcome.body.get("sub_code", ""),
            "params": params,
            "reply": outcome.to.pay_order_id if outcome.to else raw,
        }
        book = self.simulator.book
        book.record("call.answered", self.simulator.clock.now(), out_trade_no=_number(params), data=data)


def _refused(error: GatewayError) -> Outcome:
    return Outcome(error.body(), signed=error.signed, reason=error.reason)


def _number(params: Params) -> str:
    """The out_trade_no a call is about, for the log; "" when it cannot be told."""
    try:
        value = parse_biz(params.get("biz_content", "")).get("out_trade_no", "")
    except GatewayError:
        return ""
    return value if isinstance(value, str) else ""
