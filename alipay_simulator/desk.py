"""Where a call is dealt with: checked, carried out, written down, and its reply spoilt if a fault is waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import BusinessError, GatewayError
from .faults import Fault
from .incoming import METHOD_SHAPE, Body, Checks, Params, merge, parse_biz
from .methods import METHODS, ToCashier, trade_body
from .replies import SPOILERS, Draft, Reply, honest, spoil
from .signing import reply_text

if TYPE_CHECKING:
    from .simulator import Simulator
    from .trade import Trade

LOGGED = 4096
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: a body to sign (or not), or the way to the cashier. `reason` is for people."""

    body: Body
    signed: bool = True
    reason: str = ""
    to: ToCashier | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """A call that was dealt with. `broken` is a reply no browser should be shown a page instead of."""

    outcome: Outcome
    reply: Reply
    broken: bool


class Desk:
    """Deals with one call at a time; knows nothing of HTTP."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.checks = Checks(simulator.config, simulator.clock, simulator.app_key.read, METHODS)

    def handle(self, pairs: Pairs | None, verb: str) -> Handled:
        """Answer a call given as pairs of name and value; None stands for a request that could not be read."""
        params = dict(pairs or ())
        number = self._number(params)
        method = params.get("method", "")
        fault = self.simulator.faults.take(method, number) if method in METHODS else None
        outcome = self._outcome(pairs, number, fault)
        draft = self._draft(method, outcome)
        reply = spoil(draft, fault) if fault else honest(draft)
        self._record(verb, params, number, outcome, reply, fault)
        return Handled(outcome, reply, broken=fault is not None and fault.kind in SPOILERS)

    def _outcome(self, pairs: Pairs | None, number: str, fault: Fault | None) -> Outcome:
        if fault is None:
            return self._carry_out(pairs)
        outcome = self._carry_out(pairs) if fault.processed else _refused(GatewayError("20000", "isp.unknow-error"))
        if fault.kind == "code_20000":
            return _refused(GatewayError("20000", "isp.unknow-error"))
        if fault.kind in ("system_error", "system_error_applied"):
            return _refused(BusinessError("ACQ.SYSTEM_ERROR"))
        if fault.kind == "other_order":
            return Outcome(self._of_another(dict(pairs or ())["method"], outcome.body, number, fault))
        return outcome

    def _carry_out(self, pairs: Pairs | None) -> Outcome:
        if pairs is None:
            return _refused(GatewayError("40002", "isv.invalid-parameter", signed=False))
        try:
            call = self.checks.pass_all(merge(pairs))
            result = METHODS[call.method](self.simulator, call)
        except GatewayError as error:
            return _refused(error)
        if isinstance(result, ToCashier):
            return Outcome({"code": "10000", "msg": "Success"}, to=result)
        return Outcome(result)

    def _of_another(self, method: str, body: Body, number: str, fault: Fault) -> Body:
        """What would be said of another trade: a named one, else the latest other one, else one that is made up."""
        other = self._other_trade(number, fault.value)
        if other and method == "alipay.trade.query":
            return trade_body(other)
        made_up = {"out_trade_no": fault.value or f"{number}_other", "trade_no": "2000010122001000000000000001"}
        names = {"out_trade_no": other.out_trade_no, "trade_no": other.trade_no} if other else made_up
        return {**body, **names}

    def _other_trade(self, number: str, wanted: str) -> Trade | None:
        trades = self.simulator.trades
        if wanted:
            return trades.find(out_trade_no=wanted)
        return next((trade for trade in trades.newest(2) if trade.out_trade_no != number), None)

    def _draft(self, method: str, outcome: Outcome) -> Draft:
        """The method's own node where it has a sound name, else an unsigned error_response."""
        named = METHOD_SHAPE.fullmatch(method) is not None
        node = f"{method.replace('.', '_')}_response" if named else "error_response"
        return Draft(node, reply_text(outcome.body), self.simulator.key if named and outcome.signed else None)

    def _number(self, params: Params) -> str:
        """The out_trade_no a call is about; "" when it cannot be told."""
        try:
            biz = parse_biz(params.get("biz_content", ""))
        except GatewayError:
            return ""
        trade_no, number = biz.get("trade_no"), biz.get("out_trade_no")
        if isinstance(trade_no, str) and (trade := self.simulator.trades.find(trade_no=trade_no or "-")):
            return trade.out_trade_no
        return number if isinstance(number, str) else ""

    def _record(
        self, verb: str, params: Params, number: str, outcome: Outcome, reply: Reply, fault: Fault | None
    ) -> None:
        data: dict[str, Any] = {
            "verb": verb,
            "method": params.get("method", ""),
            "code": outcome.body["code"],
            "sub_code": outcome.body.get("sub_code", ""),
            "params": params,
            "reply": outcome.to.pay_order_id if outcome.to else reply.body[:LOGGED].decode(errors="replace"),
        }
        if fault:
            data |= {"fault": fault.kind, "processed": fault.processed}
        self.simulator.book.record("call.answered", self.simulator.clock.now(), out_trade_no=number, data=data)


def _refused(error: GatewayError) -> Outcome:
    return Outcome(error.body(), signed=error.signed, reason=error.reason)
