"""Every row lock the shop takes, in the one order they may be taken: buyer → orders by id → payments by id.

Locks are FOR NO KEY UPDATE: they hold off each other, and let rows that refer to the locked ones be written. On SQLite
a transaction holds the whole database (BEGIN IMMEDIATE), and these only read.
"""

from backend.accounts.models import User
from backend.payments.models import Payment


def lock_buyer(user_id: int) -> None:
    """Take a buyer's purchases one after the other."""
    User.objects.select_for_update(no_key=True).only("id").get(pk=user_id)


def lock_payment(out_trade_no: str) -> Payment | None:
    """The payment with its order (``payment.order``), both locked and read after the lock; None where there is none."""
    return (
        Payment.objects.select_related("order")
        .select_for_update(of=("order", "self"), no_key=True)
        .filter(out_trade_no=out_trade_no)
        .first()
    )
