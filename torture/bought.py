"""What must be true of what was bought over many machines: by the two books, by what each buyer was told, by events.

The rules of one order and of the books are the suite's; here they are asked of processes that have ended their work.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alipay_simulator.control import Control
from backend.events.models import Event
from backend.orders.models import Order
from tests.concurrency import books as one_order
from tests.engine.programs import Program
from tests.events.endpoint import Received
from tests.lifecycle import invariants
from tests.lifecycle.invariants import Books, Memory
from torture import leaks
from torture.machines import Machines
from torture.purchases import Purchase


def wrongs(machines: Machines, bought: Sequence[Purchase]) -> list[str]:
    alipay = Alipay(machines.control, machines.book)
    return [
        *(f"{this.key}: {wrong}" for this in bought for wrong in (*this.wrongs, *told_wrong(this))),
        *of_the_books(Books.read(alipay), bought),  # type: ignore[arg-type]
        *not_told(machines.endpoint.received, bought),
        *in_the_logs(machines.programs.running, machines.postgres_log),
    ]


@dataclass(frozen=True)
class Alipay:
    """What ``Books.read`` asks of a simulator, of one that is another process."""

    control: Control
    file: Path

    @property
    def book(self) -> "Alipay":
        return self

    def all(self, sql: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as book:
            book.row_factory = sqlite3.Row
            return [dict(row) for row in book.execute(sql)]

    def money(self) -> dict[str, dict[str, Any]]:
        return self.control.money()


def told_wrong(this: Purchase) -> Iterator[str]:
    """One order for one key; a status that never goes back, and ends with PAID."""
    if len(set(this.answers)) != 1:
        yield f"answered with {sorted(set(this.answers))}"
    first_paid = this.statuses.index("PAID") if "PAID" in this.statuses else len(this.statuses)
    if set(this.statuses[:first_paid]) - {"UNPAID"} or set(this.statuses[first_paid:]) != {"PAID"}:
        yield f"saw {this.statuses}"


def of_the_books(books: Books, bought: Sequence[Purchase]) -> Iterator[str]:
    """I1 to I9 of the whole database; then each order that was bought, which must be there and paid."""
    yield from invariants.i1_conservation(books)
    yield from invariants.i2_delivery(books)
    yield from invariants.i4_no_ghost(books)
    yield from invariants.i6_refunds(books)
    yield from invariants.i7_one_intent(books, {(this.buyer.user_id, this.key): set(this.answers) for this in bought})
    yield from invariants.i9_price_and_history(books, Memory())
    yield from invariants.at_rest(books, datetime.now(UTC))
    yield from (f"a discrepancy: {row.kind} {row.detail}" for row in books.discrepancies)
    orders = {order.number: order for order in books.orders}
    mine = {number for this in bought for number in this.answers}
    yield from (f"{number} was promised and is not there" for number in mine - set(orders))
    for number in mine & set(orders):
        yield from (f"{number} {wrong}" for wrong in one_order.wrongs(orders[number]))
        if orders[number].status != "PAID":
            yield f"{number} was paid at Alipay and is {orders[number].status}"
    of_buyers = Counter(order.user_id for order in books.orders)
    yield from (
        f"{this.key}: {of_buyers[this.buyer.user_id]} orders" for this in bought if of_buyers[this.buyer.user_id] != 1
    )


def not_told(received: Sequence[Received], bought: Sequence[Purchase]) -> Iterator[str]:
    """Every event was written once and arrived at the other system, signed."""
    heard = {request.key for request in received}
    mine = Order.objects.filter(number__in={number for this in bought for number in this.answers})
    events = list(
        Event.objects.filter(order_number__in=mine.values("number")).values_list("key", "order_number", "name")
    )
    yield from (f"{name} of {number} was not heard of" for key, number, name in events if key not in heard)
    times = Counter((number, name) for _, number, name in events)
    yield from (f"{name} of {number} is {many} events" for (number, name), many in times.items() if many > 1)
    yield from (
        f"{number} has no event order.paid"
        for number in mine.values_list("number", flat=True)
        if not times[number, "order.paid"]
    )
    yield from ("an event with a wrong signature came" for request in received if not request.genuine)


def in_the_logs(programs: Sequence[Program], postgres: Path | None = None) -> Iterator[str]:
    """No traceback of ours and no secret, in whatever any program said."""
    for program in programs:
        yield from (f"a traceback in {program.log.name}: {last}" for last in program.tracebacks())
    yield from leaks.in_logs(programs, postgres)
