"""The operator's pages of money. An order's own page gets its payments here: orders know of none."""

from backend.payments.admin import bills, discrepancies, inbox, payments

__all__ = ["bills", "discrepancies", "inbox", "payments"]
