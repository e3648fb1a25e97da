"""Refunds in Alipay's words: what is asked, and what the answers say.

- ``code`` 10000 only means that the call worked. ``fund_change`` "Y" means that this call moved the money; "N" or none
  that it did not: perhaps an earlier one had, so the refund must be asked for by its number.
- ``refund_fee`` is the sum refunded of the whole trade so far; only ``refund_amount`` is that of one refund.
- A query that finds nothing is a success without ``refund_status``: not received, in process or failed. It is no
  failure, and the same number may be sent again.
"""

from backend.money import format_yuan
from backend.payments.providers.alipay_answer import Node, check_names_trade, read_amount
from backend.payments.providers.alipay_trades import trade_number
from backend.payments.providers.alipay_values import clean_reason, is_out_request_no
from backend.payments.providers.base import ProviderUnavailable, RefundRequest, RefundResult, RefundState


def refund_numbers(request: RefundRequest) -> dict[str, str]:
    """What names one refund. Raises ProviderUnavailable for a number that cannot be ours."""
    if not is_out_request_no(request.out_request_no):
        raise ProviderUnavailable("not asked: no refund number of ours looks like this")
    return trade_number(request.out_trade_no) | {"out_request_no": request.out_request_no}


def refund_content(request: RefundRequest) -> dict[str, str]:
    """The content of a refund call. Raises ProviderUnavailable for what cannot be refunded."""
    if request.amount_fen < 1:
        raise ProviderUnavailable("not asked: a refund is 1 fen or more")
    try:
        content = refund_numbers(request) | {"refund_amount": format_yuan(request.amount_fen)}
    except ValueError as error:
        raise ProviderUnavailable("not asked: more than any trade of Alipay's") from error
    reason = clean_reason(request.reason)
    return content | {"refund_reason": reason} if reason else content


def refunded(node: Node, request: RefundRequest) -> RefundResult:
    """What a successful refund call says. Raises ProviderUnavailable for an answer that contradicts itself or us."""
    check_names_trade(node, request.out_trade_no)
    total = read_amount(node, "refund_fee") if "refund_fee" in node else None
    fund_change = node.get("fund_change")
    if fund_change is None or fund_change == "N":
        return RefundResult(RefundState.NOT_SEEN, refunded_fen=total)
    if fund_change != "Y":
        raise ProviderUnavailable("an answer that does not say whether the money moved")
    if total is not None and total < request.amount_fen:
        raise ProviderUnavailable("an answer in which less is refunded in all than this refund")
    return RefundResult(RefundState.SUCCEEDED, refunded_fen=total)


def found_refund(node: Node, request: RefundRequest) -> RefundResult:
    """What a successful refund query says. Raises ProviderUnavailable for a success that is not of this very refund."""
    status = node.get("refund_status")
    if status is None:
        return RefundResult(RefundState.NOT_SEEN)
    if status != "REFUND_SUCCESS":
        raise ProviderUnavailable("an answer with a status of refunds that we do not know")
    check_names_trade(node, request.out_trade_no)
    if node.get("out_request_no") != request.out_request_no:
        raise ProviderUnavailable("an answer that does not say which refund it is about")
    if read_amount(node, "refund_amount") != request.amount_fen:
        raise ProviderUnavailable("an answer about a refund of another amount")
    return RefundResult(RefundState.SUCCEEDED)
