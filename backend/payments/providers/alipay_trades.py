"""What Alipay says of a trade, in the answer to a query and in a notify."""

from collections.abc import Mapping

from backend.money import parse_yuan
from backend.payments.providers.alipay_answer import Node, check_names_trade, read_amount
from backend.payments.providers.alipay_values import NAME, STATES, beijing_moment, is_out_trade_no
from backend.payments.providers.base import MessageRefused, ProviderUnavailable, Trade, TradeState


def trade_number(out_trade_no: str) -> dict[str, str]:
    """What names one trade in a call. Raises ProviderUnavailable for a number that cannot be ours."""
    if not is_out_trade_no(out_trade_no):
        raise ProviderUnavailable("not asked: no number of ours looks like this")
    return {"out_trade_no": out_trade_no}


def queried_trade(node: Node, out_trade_no: str) -> Trade:
    """The trade in the answer to a query. Raises ProviderUnavailable for one that does not say enough."""
    trade_no, status = node.get("trade_no"), node.get("trade_status")
    check_names_trade(node, out_trade_no)
    if not isinstance(trade_no, str) or not 0 < len(trade_no.strip()) <= 64 or not isinstance(status, str):
        raise ProviderUnavailable("an answer without a trade number or a status")
    amount = read_amount(node, "total_amount")
    state = STATES.get(status, TradeState.PENDING)
    return Trade(NAME, out_trade_no, trade_no, state, amount, paid_at=beijing_moment(node.get("send_pay_date")))


def notified_trade(fields: Mapping[str, str]) -> Trade:
    """The trade in a notify whose signature is good. Raises MessageRefused (bad_amount)."""
    is_refund = "refund_fee" in fields or "gmt_refund" in fields
    return Trade(
        provider=NAME,
        out_trade_no=fields["out_trade_no"],
        trade_no=fields["trade_no"],
        state=STATES[fields["trade_status"]],
        amount_fen=told_amount(fields, "total_amount"),
        paid_at=beijing_moment(fields.get("gmt_payment")),
        refunded_fen=told_amount(fields, "refund_fee") if "refund_fee" in fields else None,
        refund_request_no=fields.get("out_biz_no") if is_refund else None,
    )


def told_amount(fields: Mapping[str, str], name: str) -> int:
    """The fen in the field ``name``. Raises MessageRefused (bad_amount)."""
    try:
        return parse_yuan(fields[name])
    except ValueError as error:
        raise MessageRefused(MessageRefused.BAD_AMOUNT, name, fields=fields) from error
