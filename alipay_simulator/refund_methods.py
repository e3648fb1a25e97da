"""alipay.trade.refund and alipay.trade.fastpay.refund.query: what a merchant sends and is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .buyers import buyer_id, masked
from .clock import beijing
from .errors import BusinessError, invalid
from .incoming import Body, Call, optional_text
from .money import parse_yuan, yuan

if TYPE_CHECKING:
    from .refunds import Refund
    from .simulator import Simulator
    from .trade import Trade


def which_trade(simulator: Simulator, call: Call) -> Trade:
    """Return the trade a call is about, by `trade_no` or `out_trade_no`; BusinessError without either or without it."""
    numbers = {name: optional_text(call.biz, name, 64) for name in ("out_trade_no", "trade_no")}
    if not any(numbers.values()):
        raise invalid("out_trade_no, trade_no")
    return simulator.trades.existing(**numbers)


def refund(simulator: Simulator, call: Call) -> Body:
    """`refund_fee` is the sum of all refunds; `fund_change` says whether this call moved money (protocol 5.4).

    `send_back_fee` is what this call moved; its meaning on a repeat is UNCONFIRMED.
    """
    amount_fen = parse_refund_amount(call.biz)
    out_request_no = optional_text(call.biz, "out_request_no", 64)
    reason = optional_text(call.biz, "refund_reason", 256)
    done, moved = simulator.refunds.by_app(which_trade(simulator, call), amount_fen, out_request_no, reason)
    trade = simulator.trades.existing(out_trade_no=done.out_trade_no)
    return {
        "code": "10000",
        "msg": "Success",
        "buyer_logon_id": masked(trade.account),
        "buyer_user_id": buyer_id(trade.account),
        "fund_change": "Y" if moved else "N",
        "gmt_refund_pay": beijing(done.refunded_at),
        "out_trade_no": trade.out_trade_no,
        "refund_fee": yuan(trade.refunded_fen),
        "send_back_fee": yuan(done.amount_fen if moved else 0),
        "trade_no": trade.trade_no,
    }


def parse_refund_amount(biz: dict[str, Any]) -> int:
    """A string in yuan above zero; one that is there but is none has a code of its own (protocol 5.4)."""
    if biz.get("refund_amount") in (None, ""):
        raise invalid("refund_amount")
    try:
        fen = parse_yuan(biz["refund_amount"])
    except ValueError:
        fen = 0
    if fen < 1:
        raise BusinessError("ACQ.REFUND_FEE_ERROR")
    return fen


def refund_query(simulator: Simulator, call: Call) -> Body:
    """A refund that is not known is no failure: the answer has only its code (protocol 5.5)."""
    out_request_no = optional_text(call.biz, "out_request_no", 64)
    if not out_request_no:
        raise invalid("out_request_no")
    options = call.biz.get("query_options", [])
    if not isinstance(options, list):
        raise invalid("query_options")
    trade = which_trade(simulator, call)
    found = simulator.refunds.find(trade, out_request_no)
    if found is None:
        return {"code": "10000", "msg": "Success"}
    body = refund_body(trade, found)
    if "gmt_refund_pay" in options:
        body["gmt_refund_pay"] = beijing(found.refunded_at)
    return body


def refund_body(trade: Trade, found: Refund) -> Body:
    """The fields of a refund in the reply to its query; a reason only where one was given."""
    body: Body = {
        "code": "10000",
        "msg": "Success",
        "out_request_no": found.out_request_no,
        "out_trade_no": trade.out_trade_no,
        "refund_amount": yuan(found.amount_fen),
        "refund_status": "REFUND_SUCCESS",
        "total_amount": yuan(trade.total_fen),
        "trade_no": trade.trade_no,
    }
    if found.reason:
        body["refund_reason"] = found.reason
    return body
