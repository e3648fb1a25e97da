"""The table of methods: each takes a checked call and answers with a body, or sends the browser to the cashier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .buyers import buyer_id, masked
from .clock import beijing
from .errors import BusinessError, invalid
from .incoming import Body, Call, optional_text
from .money import yuan
from .orders import parse_order
from .refund_methods import refund, refund_query, which_trade
from .trade import Trade

if TYPE_CHECKING:
    from .simulator import Simulator

# Protocol 5.1: the sandbox answers 0.00 here even when the trade is paid; only total_amount means anything.
SANDBOX_AMOUNTS = ("buyer_pay_amount", "invoice_amount", "point_amount", "receipt_amount")


@dataclass(frozen=True, slots=True)
class ToCashier:
    """The answer to page.pay: the browser goes to this session of the cashier."""

    pay_order_id: str


Method = Callable[["Simulator", Call], Body | ToCashier]


def page_pay(simulator: Simulator, call: Call) -> ToCashier:
    """alipay.trade.page.pay (protocol 3): opens a cashier session; the trade comes later, with the buyer."""
    order = parse_order(call, simulator.config, simulator.clock.now())
    return ToCashier(simulator.trades.open_session(order))


def query(simulator: Simulator, call: Call) -> Body:
    """alipay.trade.query (protocol 5.1): by out_trade_no or trade_no; an unvisited order does not exist."""
    out_trade_no = optional_text(call.biz, "out_trade_no", 64)
    trade_no = optional_text(call.biz, "trade_no", 64)
    if not (out_trade_no or trade_no):
        raise invalid("out_trade_no, trade_no")
    options = call.biz.get("query_options", [])
    if not isinstance(options, list):
        raise invalid("query_options")
    trade = simulator.trades.find(out_trade_no=out_trade_no, trade_no=trade_no)
    if trade is None:
        asked = {"out_trade_no": out_trade_no} if out_trade_no else {"trade_no": trade_no}
        raise BusinessError("ACQ.TRADE_NOT_EXIST", **asked, **dict.fromkeys(SANDBOX_AMOUNTS, "0.00"))
    body = trade_body(trade)
    if "fund_bill_list" in options and trade.paid_at is not None:
        body["fund_bill_list"] = [{"amount": yuan(trade.total_fen), "fund_channel": "ALIPAYACCOUNT"}]
    return body


def trade_body(trade: Trade) -> Body:
    """The fields of a trade in a query's reply; `send_pay_date` only once it is paid."""
    body: Body = {
        "code": "10000",
        "msg": "Success",
        "buyer_logon_id": masked(trade.account),
        "buyer_user_id": buyer_id(trade.account),
        "buyer_user_type": "PRIVATE",
        "out_trade_no": trade.out_trade_no,
        "total_amount": yuan(trade.total_fen),
        "trade_no": trade.trade_no,
        "trade_status": trade.status,
        **dict.fromkeys(SANDBOX_AMOUNTS, "0.00"),
    }
    if trade.paid_at is not None:
        body["send_pay_date"] = beijing(trade.paid_at)
    return body


def close(simulator: Simulator, call: Call) -> Body:
    """alipay.trade.close (protocol 5.2): only a trade that waits for its buyer; the answer has its two numbers."""
    optional_text(call.biz, "operator_id", 28)
    trade = which_trade(simulator, call)
    simulator.trades.close(trade, "the merchant's app asked")
    return {"code": "10000", "msg": "Success", "out_trade_no": trade.out_trade_no, "trade_no": trade.trade_no}


def cancel(_simulator: Simulator, _call: Call) -> Body:
    """alipay.trade.cancel is for face-to-face products (protocol 5.3): it would refund what was paid."""
    raise BusinessError("ACQ.CANCEL_NOT_ALLOWED")


def bill_url(simulator: Simulator, call: Call) -> Body:
    """alipay.data.dataservice.bill.downloadurl.query (protocol 5.6): where a day's bill can be had for 30 seconds."""
    url = simulator.bills.url(call.biz.get("bill_type"), call.biz.get("bill_date"))
    return {"code": "10000", "msg": "Success", "bill_download_url": url}


PAGE_PAY = "alipay.trade.page.pay"
METHODS: dict[str, Method] = {
    PAGE_PAY: page_pay,
    "alipay.trade.query": query,
    "alipay.trade.close": close,
    "alipay.trade.cancel": cancel,
    "alipay.trade.refund": refund,
    "alipay.trade.fastpay.refund.query": refund_query,
    "alipay.data.dataservice.bill.downloadurl.query": bill_url,
}
