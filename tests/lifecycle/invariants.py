"""What must be true of the shop after every step, told from its rows, the simulator's book and what was seen before.

I1–I9 are those of docs/torture.md, in today's words; I12 is in ``rebuilt``. Each is a function from what was seen
to a list of wrongs; the rules are written here anew and ask nothing of the shop's own code.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

from alipay_simulator.simulator import Simulator
from backend.courses.models import Enrollment
from backend.events.models import Event
from backend.money import parse_yuan
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderLine
from backend.payments.models import Discrepancy, Notification, Payment, Refund
from tests.lifecycle.rebuilt import i12_audit

Row = TypeVar("Row", bound=Model)
ARROWS = {
    "Order": {
        "UNPAID": {"PAID", "CANCELLED", "TIMED_OUT"},
        "TIMED_OUT": {"PAID"},
        "PAID": set(),
        "CANCELLED": set(),
    },
    "Payment": {
        "OPEN": {"CLOSING", "CLOSED", "PAID"},
        "CLOSING": {"CLOSED", "PAID"},
        "CLOSED": {"PAID"},
        "PAID": set(),
    },
    "Refund": {"PENDING": {"SUCCEEDED", "FAILED"}, "SUCCEEDED": set(), "FAILED": set()},
}
NOTHING = {"paid_fen": 0, "refunded_fen": 0, "refunds": []}
FULL_STOP = "0.00 kept"


def every(model: type[Row]) -> list[Row]:
    """All rows, oldest first."""
    compiler, sql, names, converters = _reading(model, connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows = compiler.apply_converters(cursor.fetchall(), converters) if converters else cursor.fetchall()
        return [model.from_db(connection.alias, names, row) for row in rows]


@cache
def _reading(model: type[Model], vendor: str) -> tuple[Any, str, list[str], Any]:
    """Django writes the statement once: that takes it longer than the database needs to answer it."""
    compiler: Any = model._base_manager.order_by("id").query.get_compiler(connection=connection)
    sql, _ = compiler.as_sql()
    columns = [column for column, _, _ in compiler.select]
    return compiler, sql, [column.target.attname for column in columns], compiler.get_converters(columns)


@dataclass
class Books:
    """All that the two sides have written down, at one moment."""

    orders: list[Order]
    lines: dict[int, list[OrderLine]]
    payments: list[Payment]
    refunds: list[Refund]
    enrollments: list[Enrollment]
    events: dict[int, list[tuple[Any, ...]]]
    told: dict[str, list[str]]
    """What other systems are told, by order number."""
    used_keys: dict[tuple[int, str], str]
    discrepancies: list[Discrepancy]
    trades: dict[str, dict[str, Any]]
    money: dict[str, dict[str, Any]]
    _sorted_out: dict[tuple[str, str], dict[int, list[Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, simulator: Simulator) -> "Books":
        lines: dict[int, list[OrderLine]] = defaultdict(list)
        for line in every(OrderLine):
            lines[line.order_id].append(line)
        events: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for event in every(OrderEvent):
            events[event.order_id].append((event.pk, event.name, event.at, event.detail))
        told: dict[str, list[str]] = defaultdict(list)
        for number, name in Event.objects.values_list("order_number", "name"):
            told[number].append(name)
        rows = simulator.book.all("SELECT * FROM trade_states")
        orders = every(Order)
        number_of = {order.pk: order.number for order in orders}
        return cls(
            orders=orders,
            lines=lines,
            payments=every(Payment),
            refunds=every(Refund),
            enrollments=every(Enrollment),
            events=events,
            told=told,
            used_keys={(used.user_id, used.key): number_of[used.order_id] for used in every(IdempotencyKey)},
            discrepancies=every(Discrepancy),
            trades={row["out_trade_no"]: dict(row) for row in rows},
            money=simulator.money(),
        )

    def account(self, payment: Payment) -> dict[str, Any]:
        return self.money.get(payment.out_trade_no, NOTHING)

    def payments_of(self, order: Order) -> list[Payment]:
        return self._of("payments", "order_id").get(order.pk, [])

    def refunds_of(self, payment: Payment) -> list[Refund]:
        return self._of("refunds", "payment_id").get(payment.pk, [])

    def refunds_for(self, order: Order) -> list[Refund]:
        return self._of("refunds", "order_id").get(order.pk, [])

    def access_by(self, line: OrderLine) -> list[Enrollment]:
        return self._of("enrollments", "line_id").get(line.pk, [])

    def _of(self, name: str, key: str) -> dict[int, list[Any]]:
        """The rows by what they belong to, sorted out once: a load of an hour has ten thousand orders."""
        if (name, key) not in self._sorted_out:
            found = self._sorted_out[name, key] = defaultdict(list)
            for row in getattr(self, name):
                found[getattr(row, key)].append(row)
        return self._sorted_out[name, key]

    def kept(self, order: Order) -> int:
        return sum(p.amount_fen - p.refunded_fen for p in self.payments_of(order) if p.status == "PAID")

    def through_alipay(self) -> list[Payment]:
        return [payment for payment in self.payments if payment.provider == "alipay"]


@dataclass
class Memory:
    """What was seen before: statuses, what never changes, and the events."""

    statuses: dict[tuple[str, int], str] = field(default_factory=dict)
    fixed: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    events: dict[int, list[tuple[Any, ...]]] = field(default_factory=dict)
    lines: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


Wrongs = Iterator[str]


def i1_conservation(books: Books) -> Wrongs:
    """We book no money that Alipay's book does not have, and none as given back that it has not given back."""
    for payment in books.through_alipay():
        account = books.account(payment)
        received = payment.amount_fen if payment.status == "PAID" else 0
        if received > account["paid_fen"]:
            yield f"I1 {payment}: {received} received, {account['paid_fen']} paid at Alipay"
        if payment.refunded_fen > account["refunded_fen"]:
            yield f"I1 {payment}: {payment.refunded_fen} refunded, {account['refunded_fen']} at Alipay"
        if account["paid_fen"] not in (0, payment.amount_fen):
            yield f"I1 {payment}: Alipay took {account['paid_fen']} for {payment.amount_fen}"


def i2_delivery(books: Books) -> Wrongs:
    """Money kept and access held go together, once."""
    order_of_line = {line.pk: order for order in books.orders for line in books.lines[order.pk]}
    by_line: dict[int, list[Enrollment]] = defaultdict(list)
    open_pairs: set[tuple[int, int]] = set()
    for row in books.enrollments:
        by_line[row.line_id or 0].append(row)
        if row.closed_at is None and (row.user_id, row.course_id) in open_pairs:
            yield f"I2 user {row.user_id} has course {row.course_id} twice"
        if row.closed_at is None:
            open_pairs.add((row.user_id, row.course_id))
        order = order_of_line.get(row.line_id or 0)
        if order is None or order.status != "PAID":
            yield f"I2 enrolment {row.pk} without a paid order's line"
    for order in books.orders:
        if order.status == "PAID":
            yield from _delivered(books, order, by_line)


def _delivered(books: Books, order: Order, by_line: dict[int, list[Enrollment]]) -> Wrongs:
    kept, refunds = books.kept(order), books.refunds_for(order)
    free = order.total_fen == 0
    closed_by_name = {pk for row in refunds if row.status == "SUCCEEDED" for pk in row.close_course_ids}
    was_empty = any(name == "order.refunded" and detail == FULL_STOP for _, name, _, detail in books.events[order.pk])
    for line in books.lines[order.pk]:
        rows = by_line[line.pk]
        if len(rows) > 1:
            yield f"I2 {order}: course {line.course_id} was opened {len(rows)} times"
        if any(row.closed_at is None for row in rows) and not (kept or free):
            yield f"I2 {order}: course {line.course_id} is open and nothing is kept"
        excused = was_empty or line.course_id in closed_by_name
        if rows and all(row.closed_at is not None for row in rows) and not excused:
            yield f"I2 {order}: course {line.course_id} is closed, no refund closed it, {kept} kept"
    never = sum(line.real_price_fen for line in books.lines[order.pk] if not by_line[line.pk])
    back = sum(row.amount_fen for row in refunds if row.cause == "OWNED")
    if never != back:
        yield f"I2 {order}: {never} for courses that were not opened, {back} given back for them"


def i4_no_ghost(books: Books) -> Wrongs:
    """PAID only with a paid trade of the same number and amount."""
    paid_orders = set()
    for payment in books.payments:
        if payment.status != "PAID":
            continue
        paid_orders.add(payment.order_id)
        if payment.provider == "free":
            if payment.amount_fen:
                yield f"I4 {payment}: {payment.amount_fen} free of charge"
            continue
        trade = books.trades.get(payment.out_trade_no)
        if trade is None or trade["paid_at"] is None:
            yield f"I4 {payment} is PAID and not at Alipay"
        elif (trade["trade_no"], trade["total_fen"]) != (payment.trade_no, payment.amount_fen):
            yield f"I4 {payment} is paid by another trade: {trade['trade_no']} of {trade['total_fen']}"
    for order in books.orders:
        if order.status == "PAID" and order.pk not in paid_orders:
            yield f"I4 {order} is PAID without a paid attempt"
        if order.status == "UNPAID" and order.pk in paid_orders:
            yield f"I3 {order} is UNPAID with a paid attempt"


def i5_monotonic(books: Books, memory: Memory, late_payment: str = "honour") -> Wrongs:
    """Statuses move along the arrows only; what was fixed once stays."""
    for kind, rows in (("Order", books.orders), ("Payment", books.payments), ("Refund", books.refunds)):
        seen = {row.pk for row in rows}
        yield from (f"I5 {name} {pk} is gone" for name, pk in memory.statuses if name == kind and pk not in seen)
        for row in rows:
            before = memory.statuses.get((kind, row.pk))
            if before is not None and not _reachable(kind, before, row.status):
                yield f"I5 {kind} {row}: from {before} to {row.status}"
            late = kind == "Order" and before == "TIMED_OUT" and row.status == "PAID" and row.paid_at > row.expires_at
            if late and late_payment == "refund":
                yield f"I5 {row}: late money was honoured although it is to be given back"
            for name in _fixed(kind, row):
                value, known = getattr(row, name), memory.fixed.get((kind, row.pk, name))
                if known is not None and value != known:
                    yield f"I5 {kind} {row}: {name} was {known} and is {value}"


def _reachable(kind: str, start: str, end: str) -> bool:
    seen, todo = {start}, [start]
    while todo:
        for status in ARROWS[kind][todo.pop()] - seen:
            seen.add(status)
            todo.append(status)
    return end in seen


def _fixed(kind: str, row: Any) -> tuple[str, ...]:
    return {
        "Order": ("number", "user_id", "total_fen", "expires_at", "paid_at"),
        "Payment": ("out_trade_no", "order_id", "amount_fen", "expires_at", "trade_no", "paid_at"),
        "Refund": ("out_request_no", "payment_id", *(() if getattr(row, "cause", "") == "PROVIDER" else FIXED_REFUND)),
    }[kind]


FIXED_REFUND = ("amount_fen", "ended_at", "cause")


def i6_refunds(books: Books) -> Wrongs:
    """Within what was paid, once for each number, the sums equal to the rows."""
    known = {}
    for payment in books.payments:
        rows = books.refunds_of(payment)
        pending = sum(row.amount_fen for row in rows if row.status == "PENDING")
        done = sum(row.amount_fen for row in rows if row.status == "SUCCEEDED")
        if (pending, done) != (payment.refunding_fen, payment.refunded_fen):
            sums = (payment.refunding_fen, payment.refunded_fen)
            yield f"I6 {payment}: rows say {pending} and {done}, the payment {sums[0]} and {sums[1]}"
        if pending + done > (payment.amount_fen if payment.status == "PAID" else 0):
            yield f"I6 {payment}: {pending + done} going back of {payment.amount_fen}, {payment.status}"
        causes = [row.cause for row in rows if row.cause != "STAFF"]
        if len(causes) != len(set(causes)):
            yield f"I6 {payment}: the same automatic refund twice: {causes}"
        known.update({row.out_request_no: row for row in rows})
    moved = [(entry, number) for number, account in books.money.items() for entry in account["refunds"]]
    at_alipay = {entry["out_request_no"]: entry for entry, _ in moved}
    if len(at_alipay) != len(moved):
        yield "I6 Alipay moved money twice for one number"
    for entry, number in moved:
        row = known.get(entry["out_request_no"])
        if entry["source"] == "app" and (row is None or row.amount_fen != entry["amount_fen"]):
            yield f"I6 {number}: Alipay gave {entry['amount_fen']} back for {entry['out_request_no']}, we {row}"
    for row in known.values():
        if row.cause != "PROVIDER" and (row.out_request_no in at_alipay, row.status) in {
            (False, "SUCCEEDED"),
            (True, "FAILED"),
        }:
            yield f"I6 {row} is {row.status}; money moved: {row.out_request_no in at_alipay}"


def i7_one_intent(books: Books, answers: dict[tuple[int, str], set[str]]) -> Wrongs:
    """One unpaid order for a buyer's course, one open attempt for an order, one answer for a key."""
    taken: dict[tuple[int, int], Order] = {}
    for order in books.orders:
        if order.status == "UNPAID":
            for line in books.lines[order.pk]:
                other = taken.setdefault((order.user_id, line.course_id), order)
                if other is not order:
                    yield f"I7 {order} and {other} are both unpaid and for course {line.course_id}"
        attempts = [p for p in books.payments_of(order) if p.status == "OPEN"]
        if len(attempts) > 1:
            yield f"I7 {order} has {len(attempts)} open attempts"
        if attempts and order.status == "CANCELLED":
            yield f"I7 {order} is cancelled and can be paid"
    for key, numbers in answers.items():
        if len(numbers) != 1:
            yield f"I7 key {key} was answered with {sorted(numbers)}"
        elif {books.used_keys.get(key)} != numbers:
            yield f"I7 key {key} is kept for {books.used_keys.get(key)}, answered with {numbers}"


def i8_acknowledged(form: dict[str, str]) -> list[str]:
    """What a notify says is in our rows, now that it was answered ``success``."""
    payment = Payment.objects.filter(out_trade_no=form["out_trade_no"]).first()
    kept = Notification.objects.filter(notify_id=form["notify_id"], verdict="APPLIED", verified=True)
    found = [] if kept.exists() else ["I8 the message is not kept as applied"]
    if payment is None:
        return [*found, "I8 success for a number that is not ours"]
    paid = form["trade_status"] in ("TRADE_SUCCESS", "TRADE_FINISHED") or "gmt_payment" in form
    if paid and (payment.status != "PAID" or payment.trade_no != form["trade_no"]):
        found.append(f"I8 {form['trade_status']} was acknowledged, and the payment is {payment.status}")
    if form["trade_status"] == "TRADE_CLOSED" and payment.status not in ("CLOSED", "PAID"):
        found.append(f"I8 TRADE_CLOSED was acknowledged, and the payment is {payment.status}")
    back = parse_yuan(form["refund_fee"]) if "refund_fee" in form else 0
    if payment.reported_refund_fen < back or (not payment.refunding_fen and payment.refunded_fen < back):
        found.append(f"I8 {back} given back was acknowledged; known {payment.refunded_fen}")
    mine = Refund.objects.filter(out_request_no=form.get("out_biz_no", "-")).first()
    if back and mine is not None and mine.status != "SUCCEEDED":
        found.append(f"I8 refund {mine} was acknowledged and is {mine.status}")
    return found


def i9_price_and_history(books: Books, memory: Memory) -> Wrongs:
    """What is charged is the sum of lines that never change; events are only added."""
    for order in books.orders:
        lines = books.lines[order.pk]
        if not lines or order.total_fen != sum(line.real_price_fen for line in lines):
            yield f"I9 {order}: {order.total_fen} for lines of {[line.real_price_fen for line in lines]}"
        frozen = memory.lines.get(order.pk)
        if frozen is not None and frozen != [frozen_line(line) for line in lines]:
            yield f"I9 {order}: its lines have changed"
        for payment in books.payments_of(order):
            trade = books.trades.get(payment.out_trade_no)
            if payment.amount_fen != order.total_fen or (trade and trade["total_fen"] != order.total_fen):
                yield f"I9 {order}: {order.total_fen} ordered, {payment.amount_fen} charged by {payment}"
        before, now = memory.events.get(order.pk, []), books.events[order.pk]
        if now[: len(before)] != before:
            yield f"I9 {order}: its history was rewritten"
    for pk in memory.events:
        if pk not in books.events:
            yield f"I9 the history of order {pk} is gone"


def frozen_line(line: OrderLine) -> dict[str, Any]:
    return {name: value for name, value in vars(line).items() if not name.startswith("_")}


def at_rest(books: Books, now: Any) -> Wrongs:
    """After all faults have stopped and all times are over: nothing is under way, the books are equal to the fen."""
    flagged = {row.out_trade_no for row in books.discrepancies}
    yield from _nothing_lost(books, flagged)
    yield from _nothing_under_way(books, now)
    for order in books.orders:
        paid = [payment for payment in books.payments_of(order) if payment.status == "PAID"]
        if any(payment.out_trade_no in flagged for payment in paid):
            continue
        if order.status in ("CANCELLED", "TIMED_OUT") and books.kept(order):
            yield f"I3 {order} is {order.status}, and {books.kept(order)} are kept"
        if len([payment for payment in paid if payment.amount_fen > payment.refunded_fen]) > 1:
            yield f"I3 {order} is paid for twice"


def _nothing_lost(books: Books, flagged: set[str]) -> Wrongs:
    ours = {payment.out_trade_no: payment for payment in books.payments}
    for number, account in books.money.items():
        payment = ours.get(number)
        if payment is None or (payment.status != "PAID" and number not in flagged):
            yield f"I3 {number}: {account['paid_fen']} taken at Alipay, and nothing here knows"
        elif payment.status == "PAID" and payment.refunded_fen != account["refunded_fen"]:
            yield f"I1 {number}: {payment.refunded_fen} refunded here, {account['refunded_fen']} at Alipay"


def _nothing_under_way(books: Books, now: Any) -> Wrongs:
    for payment in books.payments:
        if payment.status in ("OPEN", "CLOSING"):
            yield f"L1 {payment} is still {payment.status}"
        if payment.next_query_at is not None:
            yield f"L1 {payment} is still to be asked about"
    yield from (f"L2 refund {row} is still PENDING" for row in books.refunds if row.status == "PENDING")
    for order in books.orders:
        if order.status == "UNPAID" and now >= order.expires_at:
            yield f"L3 {order} is still UNPAID"


@dataclass
class Witness:
    """Looks at a world after each step and remembers what it saw."""

    world: Any
    memory: Memory = field(default_factory=Memory)
    books: Any = None
    """As they were when it last looked."""

    def __post_init__(self) -> None:
        self.world.watch_acknowledged = i8_acknowledged

    def look(self) -> list[str]:
        books = self.books = Books.read(self.world.simulator)
        found = [
            *self.world.wrongs,
            *(f"L0 {text}" for text in self.world.tracebacks.seen),
            *i1_conservation(books),
            *i2_delivery(books),
            *i4_no_ghost(books),
            *i5_monotonic(books, self.memory, self.world.late_payment),
            *i6_refunds(books),
            *i7_one_intent(books, self.world.answers),
            *i9_price_and_history(books, self.memory),
            *i12_audit(books),
        ]
        self.remember(books)
        return found

    def look_at_the_end(self) -> list[str]:
        return [*self.look(), *at_rest(self.books, self.world.now())]

    def remember(self, books: Books) -> None:
        for kind, rows in (("Order", books.orders), ("Payment", books.payments), ("Refund", books.refunds)):
            for row in rows:
                self.memory.statuses[kind, row.pk] = row.status
                for name in _fixed(kind, row):
                    if getattr(row, name) is not None:
                        self.memory.fixed.setdefault((kind, row.pk, name), getattr(row, name))
        self.memory.events = {pk: list(events) for pk, events in books.events.items()}
        for order in books.orders:
            self.memory.lines.setdefault(order.pk, [frozen_line(line) for line in books.lines[order.pk]])


def dump(simulator: Simulator) -> dict[str, Any]:
    """The state that must not depend on the order things happened in, nor on repeats, without times and keys."""
    return state(Books.read(simulator))


def state(books: Books) -> dict[str, Any]:
    return {
        "orders": [(o.status, o.total_fen, o.paid_at) for o in books.orders],
        "payments": [
            (p.status, p.trade_no, p.paid_at, p.refunding_fen, p.refunded_fen, p.reported_refund_fen, p.next_query_at)
            for p in books.payments
        ],
        "refunds": sorted((r.out_request_no, r.amount_fen, r.cause, r.status) for r in books.refunds),
        "enrollments": sorted((e.user_id, e.course_id, e.line_id, e.closed_at is None) for e in books.enrollments),
        "discrepancies": sorted((d.kind, d.out_trade_no) for d in books.discrepancies),
        "money": {number: (account["paid_fen"], account["refunded_fen"]) for number, account in books.money.items()},
    }
