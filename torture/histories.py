"""What was heard of each order of a load, as a history that ``torture.linear`` can judge."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from operator import attrgetter

from django.conf import settings

from torture.alipay import Book
from torture.buyers import Purchase
from torture.linear import Operation, wrong_with

MOST = 12
"""Operations of clients in one history."""
SLACK_SECONDS = 0.05
"""Alipay's book is kept by the time of day, and that may be set meanwhile: what is later asks for less."""
REPEATED = ("create", "cancel", "pay", "refund part", "refund all")
"""Each is done once, however often it is asked for."""


@dataclass
class Histories:
    """Each purchase of a load is judged once, after its end."""

    book: Book
    judged: int = 0
    linearisable: int = 0
    operations: int = 0

    def wrongs(self, purchases: Sequence[Purchase]) -> list[str]:
        new, self.judged = purchases[self.judged :], len(purchases)
        acknowledged = acknowledged_at(self.book)
        return [f"{this.key}: {wrong}" for this in new if (wrong := self.judge(this, acknowledged))]

    def judge(self, this: Purchase, acknowledged: dict[str, float]) -> str:
        history = short(this.history)
        wrong = wrong_with([*history, *by_itself(history, acknowledged.get(this.out_trade_no, inf))])
        self.linearisable += not wrong
        self.operations += len(history)
        return wrong


def acknowledged_at(book: Book) -> dict[str, float]:
    """When Alipay had heard ``success`` to its word that the order is paid, on this process's monotonic clock."""
    rows = book.all(
        "SELECT events.out_trade_no, min(events.at) AS at FROM events JOIN notifies USING (notify_id)"
        " WHERE events.kind = 'notify.sent' AND json_extract(events.data, '$.accepted') = 1"
        " AND json_extract(notifies.params, '$.trade_status') IN ('TRADE_SUCCESS', 'TRADE_FINISHED')"
        " GROUP BY events.out_trade_no"
    )
    apart = time.monotonic() - time.time() + SLACK_SECONDS
    return {row["out_trade_no"]: row["at"] + apart for row in rows}


def by_itself(history: Iterable[Operation], acknowledged: float) -> Iterator[Operation]:
    """What nobody asked for: the shop may hear of the money as soon as it is paid, and ends an order in its time.

    By ``acknowledged`` it has heard. An order lives for ORDER_TTL_SECONDS from when it was asked for, at least.
    """
    called: dict[str, float] = {}
    for operation in history:
        called[operation.kind] = min(operation.called, called.get(operation.kind, inf))
    if "pay" in called:
        yield Operation("hear", called["pay"])
    if acknowledged < inf:
        yield Operation("notify", called.get("pay", acknowledged), acknowledged, "success")
    if "create" in called:
        yield Operation("expire", called["create"] + settings.ORDER_TTL_SECONDS)


def short(history: Iterable[Operation]) -> list[Operation]:
    """At most MOST operations that say as much. Fewer reads only ask for less: what is legal stays so."""
    kept = list(history)
    for kind in REPEATED:
        kept = only(kept, [one for one in kept if one.kind == kind and not one.is_known], first("called"))
    for status in {one.answer for one in kept if one.kind == "read"}:
        same = [one for one in kept if (one.kind, one.answer) == ("read", status)]
        kept = only(kept, same, first("answered"), last("called"))
    while len(kept) > MOST and (reads := [one for one in kept if one.kind in ("read", "courses")]):
        kept.remove(reads[len(reads) // 2])
    return kept


Choice = Callable[[Iterable[Operation]], Operation]


def first(moment: str) -> Choice:
    return lambda operations: min(operations, key=attrgetter(moment))


def last(moment: str) -> Choice:
    return lambda operations: max(operations, key=attrgetter(moment))


def only(kept: list[Operation], alike: list[Operation], *choices: Choice) -> list[Operation]:
    """Without those of ``alike`` that no choice falls on.

    Of requests with an unknown outcome the first stands for all: it may take effect whenever they may. Of reads of
    one status the first to be answered and the last to be asked do: a status that comes back is never legal.
    """
    if not alike:
        return kept
    spared = [choose(alike) for choose in choices]
    return [one for one in kept if one not in alike or one in spared]
