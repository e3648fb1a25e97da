"""What must be true of a shop that was tortured: told from its rows, from Alipay's own book and from its buyers.

It knows nothing of what was done to the shop. The rules are those of ``tests.lifecycle.invariants``.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

from django.db import DatabaseError, connection

from backend.events.models import Delivery, DeliveryStatus, Event
from backend.orders.models import Order
from backend.payments.models import Payment, PaymentStatus, Refund, RefundStatus
from backend.payments.notifications import replay, unhandled
from tests.lifecycle import invariants
from tests.lifecycle.invariants import Books, Witness
from torture.buyers import Purchase
from torture.shop import Shop

SETTLE_SECONDS = 60
POLL_SECONDS = 0.03
ONCE = {"order.paid", "order.cancelled", "enrollment.opened"}
"""Events of which an order has one."""


class Reader(threading.Thread):
    """Looks at the database whenever Alipay has been told ``success``: what was acknowledged must be there already."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(daemon=True)
        self.book = shop.alipay.book
        self.seen, self.acknowledged = 0, 0
        self.forms: list[dict[str, str]] = []
        self.wrongs: list[str] = []
        self.enough, self.turn = threading.Event(), threading.Lock()

    def run(self) -> None:
        while not self.enough.is_set():
            self.look()
            self.enough.wait(POLL_SECONDS)
        connection.close()

    def look(self) -> None:
        with self.turn:
            for number, form in self.book.acknowledged(self.seen):
                self.wrongs += at_once(form)
                self.forms.append(form)
                self.seen, self.acknowledged = number, self.acknowledged + 1

    def stop(self) -> None:
        self.enough.set()
        self.join()

    def take(self) -> list[str]:
        """What was wrong since the last time, or is now: what was there may not have gone."""
        self.look()
        with self.turn:
            found = [*self.wrongs, *(wrong for form in self.forms for wrong in invariants.i8_acknowledged(form))]
            self.wrongs, self.forms = [], []
        return found


def at_once(form: dict[str, str]) -> list[str]:
    """As soon as the database can be asked: it may be down, but it may not have forgotten."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return invariants.i8_acknowledged(form)
        except DatabaseError as error:
            connection.close()
            if time.monotonic() > deadline:
                return [f"I8 {form['notify_id']} was acknowledged, and the database is gone: {error}"]
            time.sleep(POLL_SECONDS)


@dataclass
class Oracle:
    """One for a shop's life; ``look`` may be asked whenever nothing is going on."""

    shop: Shop
    replayed: int = 0
    """Messages that a death left in the inbox, each of which a later copy has overtaken: an operator replays them."""

    def __post_init__(self) -> None:
        self.witness = Witness(SimpleNamespace())
        self.reader = Reader(self.shop)
        self.reader.start()

    def settle(self) -> list[str]:
        """Wait until nothing is under way any more; what still is after a minute. Alipay sends what is late at once."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            self.shop.alipay.send_all()
            try:
                left = list(under_way(self.shop))
            except DatabaseError as error:
                connection.close()
                left = [f"the database: {error}"]
            if not left or time.monotonic() > deadline:
                return [f"after {SETTLE_SECONDS} s of quiet: {what}" for what in left]
            time.sleep(0.05)

    def look(self, purchases: list[Purchase]) -> list[str]:
        """Whatever is wrong, now that nothing is going on."""
        acknowledged, memory = self.reader.take(), self.witness.memory
        self.replayed += len(left := unhandled())
        not_applied = [f"the message {kept} cannot be replayed" for kept in left if not replay(kept)]
        books = Books.read(self.shop.alipay.book)  # type: ignore[arg-type]
        found = [
            *not_applied,
            *acknowledged,
            *invariants.i1_conservation(books),
            *invariants.i2_delivery(books),
            *invariants.i4_no_ghost(books),
            *invariants.i5_monotonic(books, memory),
            *invariants.i6_refunds(books),
            *invariants.i7_one_intent(books, answers_of(purchases)),
            *invariants.i9_price_and_history(books, memory),
            *invariants.i12_audit(books),
            *invariants.at_rest(books, datetime.now(UTC)),
            *(wrong for this in purchases for wrong in told_wrong(this)),
            *ended_as_wanted(books, purchases),
            *not_told(self.shop),
            *(f"discrepancy {row.kind}: {row.detail}" for row in books.discrepancies),
        ]
        self.witness.remember(books)
        return found

    def stop(self) -> None:
        self.reader.stop()


def under_way(shop: Shop) -> Iterator[str]:
    """What has not come to its end: payments, refunds, events, notifies."""
    waiting = Payment.objects.filter(status__in=[PaymentStatus.OPEN, PaymentStatus.CLOSING])
    yield from (f"{payment} is {payment.status}" for payment in waiting[:3])
    yield from (f"refund {refund} is pending" for refund in Refund.objects.filter(status=RefundStatus.PENDING)[:3])
    if Event.objects.exclude(dispatch_at=None).exists():
        yield "events wait in the outbox"
    if (left := Delivery.objects.exclude(status=DeliveryStatus.DELIVERED)).exists():
        yield f"{left.count()} deliveries are not done"
    if shop.alipay.book.waiting():
        yield "a notify is on its way"


def answers_of(purchases: list[Purchase]) -> dict[tuple[int, str], set[str]]:
    """Which orders each key of each buyer was answered with; of some nothing is known."""
    return {(this.user_id, this.key): this.numbers for this in purchases if this.numbers}


def told_wrong(this: Purchase) -> Iterator[str]:
    """One order for one key; a status that never goes back."""
    if this.wrong:
        yield f"{this.key}: {this.wrong}"
    if len(this.numbers) > 1:
        yield f"I7 {this.key} was answered with {sorted(this.numbers)}"
    if this.statuses not in ([], ["UNPAID"], ["UNPAID", "PAID"], ["PAID"]):
        yield f"I5 {this.key} saw {this.statuses}"


def ended_as_wanted(books: Books, purchases: list[Purchase]) -> Iterator[str]:
    """Each buyer has one order, and it ended as the buyer ended it. There is no other order."""
    of_buyer: dict[int, list[Order]] = {}
    for order in books.orders:
        of_buyer.setdefault(order.user_id, []).append(order)
    for this in purchases:
        orders = of_buyer.pop(this.user_id, [])
        wanted = "CANCELLED" if this.ending == "cancelled" else "PAID"
        if not this.wrong and [(order.number, order.status) for order in orders] != [(this.number, wanted)]:
            yield f"{this.key} wanted {wanted} and has {[(order.number, order.status) for order in orders]}"
    for orders in of_buyer.values():
        yield from (f"{order} is nobody's purchase" for order in orders)


def not_told(shop: Shop) -> Iterator[str]:
    """Every event was heard by the other system, signed, and is one event."""
    heard = {request.key for request in shop.endpoint.received}
    told: set[tuple[str, str]] = set()
    for key, number, name in Event.objects.values_list("key", "order_number", "name"):
        if key not in heard:
            yield f"{name} of {number} was not heard of"
        if name in ONCE and (number, name) in told:
            yield f"{name} of {number} is two events"
        told.add((number, name))
    yield from ("a forged event came" for request in shop.endpoint.received if not request.genuine)
