"""The shop with a protection taken out, and two processes made to meet where it is missing.

Each is put on in a child process. A negative control that stays green with these would show that its test sees nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connection

from backend.orders import placement
from backend.payments.models import Payment
from backend.stored import Change

MEETING_SECONDS = 15


def one_by_one_no_more() -> Any:
    """On SQLite the transaction itself is the lock (BEGIN IMMEDIATE): to take the lock out is to take it out."""
    if connection.vendor == "postgresql":
        return nullcontext()
    none = SimpleNamespace(atomic=nullcontext, get_connection=lambda: connection)
    return patch("backend.transactions.transaction", none)


@contextmanager
def no_transaction() -> Iterator[None]:
    """The naive handler: each statement is committed by itself."""
    none = SimpleNamespace(atomic=nullcontext, get_connection=lambda: connection)
    with (
        patch("backend.transactions.transaction", none),
        patch("backend.payments.checkout.lock_buyer"),
        patch("backend.payments.trades.lock_payment", unlocked),
    ):
        yield


def unlocked(out_trade_no: str) -> Payment | None:
    return Payment.objects.select_related("order").filter(out_trade_no=out_trade_no).first()


def unguarded(*changes: Change) -> list[int]:
    """Rows are written whatever their status is by now."""
    for model, written, where in changes:
        model._base_manager.filter(pk=where["pk"]).update(**written)
    return [1] * len(changes)


def read_then_meet(meeting: Any) -> Callable[[str], Payment | None]:
    def read(out_trade_no: str) -> Payment | None:
        payment = unlocked(out_trade_no)
        meeting.wait(MEETING_SECONDS)
        return payment

    return read


@contextmanager
def no_lock(meeting: Any) -> Iterator[None]:
    """Payments are read without a lock; both processes have read before either writes."""
    with one_by_one_no_more(), patch("backend.payments.trades.lock_payment", read_then_meet(meeting)):
        yield


@contextmanager
def no_lock_and_no_guard(meeting: Any) -> Iterator[None]:
    with no_lock(meeting), patch("backend.status.update_together", unguarded):
        yield


@contextmanager
def no_buyer_lock(meeting: Any) -> Iterator[None]:
    """A buyer's purchases are not taken in turn: both have looked for a standing order before either writes."""
    look = placement._standing_order

    def look_then_meet(*args: Any) -> Any:
        found = look(*args)
        meeting.wait(MEETING_SECONDS)
        return found

    with (
        one_by_one_no_more(),
        patch("backend.payments.checkout.lock_buyer"),
        patch("backend.orders.placement._standing_order", look_then_meet),
    ):
        yield


@contextmanager
def deferred_transactions(meeting: Any) -> Iterator[None]:
    """SQLite's own default: a transaction that has read is refused when it begins to write after another's commit."""
    connection.close()
    connection.settings_dict["OPTIONS"]["transaction_mode"] = "DEFERRED"
    look = placement._standing_order

    def look_then_meet(*args: Any) -> Any:
        found = look(*args)
        meeting.wait(MEETING_SECONDS)
        return found

    with patch("backend.orders.placement._standing_order", look_then_meet):
        yield
