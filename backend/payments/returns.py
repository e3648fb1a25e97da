"""The browser comes back from the cashier. What it brings proves nothing: it is a reason to ask the provider, now."""

import logging
import threading
from dataclasses import dataclass

from backend.orders.models import Order, OrderStatus
from backend.payments.models import Payment, PaymentStatus
from backend.payments.providers.base import ProviderError, ProviderUnavailable, ReturnClaim, TradeNotFound
from backend.payments.registry import get_provider
from backend.payments.trades import TradeRefused, apply_trade

logger = logging.getLogger("coursepay.returns")

DEADLINE_SECONDS = 3.0
"""In all, for the call that a waiting buyer pays for."""
_asking = threading.BoundedSemaphore(2)
"""At most two such calls at a time in a process: a slow provider must not take all our threads."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What we know after a return. ``payment`` is None where the number is not ours."""

    claim: ReturnClaim
    payment: Payment | None

    @property
    def order(self) -> Order | None:
        return self.payment.order if self.payment else None

    @property
    def is_paid(self) -> bool:
        return self.order is not None and self.order.status == OrderStatus.PAID


def confirm_return(*, provider: str, query: str, user_id: int | None = None, ask: bool = True) -> Returned:
    """Verify the claim and, while its order is unpaid, ask the provider unless told not to. Raises MessageRefused.

    With ``user_id`` only that buyer's order is known. The answer to our question, not the claim, may mark it paid.
    """
    claim = get_provider(provider).parse_return(query)
    payment = find(claim.out_trade_no, user_id)
    if ask and payment is not None and may_have_changed(payment):
        ask_provider(payment)
        payment = find(claim.out_trade_no, user_id)
    return Returned(claim, payment)


def find(out_trade_no: str, user_id: int | None) -> Payment | None:
    rows = Payment.objects.select_related("order").filter(out_trade_no=out_trade_no)
    return (rows if user_id is None else rows.filter(order__user_id=user_id)).first()


def may_have_changed(payment: Payment) -> bool:
    return payment.status in (PaymentStatus.OPEN, PaymentStatus.CLOSING)


def ask_provider(payment: Payment) -> None:
    """One bounded question to the provider, outside any transaction; whatever it answers, nobody is kept waiting."""
    if not _asking.acquire(blocking=False):
        return
    try:
        apply_trade(get_provider(payment.provider).query(payment.out_trade_no, deadline=DEADLINE_SECONDS))
    except (TradeNotFound, ProviderUnavailable) as outcome:
        logger.info("asked about %s: %s", payment.out_trade_no, outcome)
    except (ProviderError, TradeRefused) as outcome:
        logger.error("asked about %s: %s", payment.out_trade_no, outcome)
    finally:
        _asking.release()
