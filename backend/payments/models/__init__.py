"""Attempts to pay an order, refunds, what the provider told us, and its bills."""

from backend.payments.models.bill import Bill, BilledRefund, BillStatus
from backend.payments.models.inbox import Discrepancy, Notification, Verdict
from backend.payments.models.payment import (
    SHORTEST_TIME_TO_PAY,
    Payment,
    PaymentStatus,
    ProviderName,
    new_out_trade_no,
)
from backend.payments.models.refund import Refund, RefundCause, RefundStatus

__all__ = [
    "SHORTEST_TIME_TO_PAY",
    "Bill",
    "BillStatus",
    "BilledRefund",
    "Discrepancy",
    "Notification",
    "Payment",
    "PaymentStatus",
    "ProviderName",
    "Refund",
    "RefundCause",
    "RefundStatus",
    "Verdict",
    "new_out_trade_no",
]
