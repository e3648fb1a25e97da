"""What Alipay's refusals mean: its sub_codes, by call.

Only what is documented is believed. For a close an unknown word is a plain no: nothing has happened. For a refund it
leaves the outcome unknown, because a refund that is given up wrongly is money kept that is the buyer's.

The documentation writes some words with "ACQ." and some without, and in places "AQC."; the three are one word here.
SYSTEM_ERROR never comes this far: it is no refusal (see alipay_answer).
"""

from backend.payments.providers.alipay_answer import plain_words
from backend.payments.providers.base import (
    CloseResult,
    ProviderRejected,
    ProviderUnavailable,
    RefundResult,
    RefundState,
)

NO_SUCH_TRADE = "TRADE_NOT_EXIST"

NOT_WAITING = frozenset(
    {
        "TRADE_STATUS_ERROR",  # paid, closed or finished
        "REASON_TRADE_STATUS_INVALID",
        "REASON_ILLEGAL_STATUS",
        "TRADE_HAS_SUCCESS",  # not in the list for close, but the documentation's own example of an error
        "TRADE_HAS_CLOSE",
    }
)
"""Of a close: the trade waits for money no more. So is every other word with _STATUS_ in it."""

FOR_NOW = frozenset({"SELLER_BALANCE_NOT_ENOUGH"})
"""Of a refund: somebody tops the balance up, then the same number succeeds."""

FOR_GOOD = frozenset(
    {
        # Not paid, or refunded in full already.
        NO_SUCH_TRADE,
        "TRADE_HAS_CLOSE",
        "TRADE_STATUS_ERROR",
        "REASON_TRADE_STATUS_INVALID",
        # The amount: more than is left of the trade, or malformed.
        "REASON_TRADE_REFUND_FEE_ERR",
        "REFUND_FEE_ERROR",
        # A fault of ours: a part without a number, a number used for another amount, a parameter.
        "REFUND_AMT_NOT_EQUAL_TOTAL",
        "DISCORDANT_REPEAT_REQUEST",
        "INVALID_PARAMETER",
        # The time for refunds is over, or the product allows none.
        "TRADE_HAS_FINISHED",
        "TRADE_NOT_ALLOW_REFUND",
        "NOT_ALLOW_PARTIAL_REFUND",
        # The trade is frozen in a dispute: for people to settle.
        "REASON_TRADE_BEEN_FREEZEN",
        # Accounts and agreements: for people to settle.
        "BUYER_NOT_EXIST",
        "BUYER_ENABLE_STATUS_FORBID",
        "BUYER_ERROR",
        "USER_NOT_MATCH_ERR",
        "CURRENCY_NOT_SUPPORT",
        "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
        "ALLOC_AMOUNT_VALIDATE_ERROR",
        "TRADE_SETTLE_ERROR",
        "REFUND_CHARGE_ERROR",
        "ENTERPRISE_PAY_BIZ_ERROR",
        "OVERDRAFT_ASSIGN_ACCOUNT_INVALID",
        "OVERDRAFT_AGREEMENT_NOT_MATCH",
        "REFUND_ACCOUNT_NOT_EXIST",
        "CUSTOMER_VALIDATE_ERROR",
        "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST",
        "REFUNDALLOC_UNAUTH_LIMIT",
    }
)
"""Of a refund: the same number will never succeed."""


def refused_close(refusal: ProviderRejected) -> CloseResult:
    """What a refused close says of the trade. Raises the refusal itself when it says nothing of it."""
    word = _word(refusal)
    if word == NO_SUCH_TRADE:
        return CloseResult.NOT_FOUND
    if word in NOT_WAITING or "_STATUS_" in word:
        return CloseResult.STATUS_CHANGED
    raise refusal


def refused_refund(refusal: ProviderRejected) -> RefundResult:
    """WAITING or FAILED. Raises ProviderUnavailable for a word that is not documented as either."""
    word = _word(refusal)
    if word in FOR_NOW:
        return _no(RefundState.WAITING, refusal)
    if word in FOR_GOOD:
        return _no(RefundState.FAILED, refusal)
    raise _unknown(refusal) from refusal


def refused_refund_query(refusal: ProviderRejected) -> RefundResult:
    """NOT_SEEN when there is no such trade. Raises ProviderUnavailable for all else: the question was refused."""
    if _word(refusal) == NO_SUCH_TRADE:
        return _no(RefundState.NOT_SEEN, refusal)
    raise _unknown(refusal) from refusal


def _word(refusal: ProviderRejected) -> str:
    return refusal.code.removeprefix("ACQ.").removeprefix("AQC.")


def _no(state: RefundState, refusal: ProviderRejected) -> RefundResult:
    return RefundResult(state, code=refusal.code, message=refusal.message)


def _unknown(refusal: ProviderRejected) -> ProviderUnavailable:
    return ProviderUnavailable(f"a refusal that does not settle the refund: {plain_words(refusal.code)}")
