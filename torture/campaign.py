"""Faults under a load of purchases, a burst of cases at a time; then all comes to its end, and books are compared."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from torture import leaks
from torture.histories import Histories
from torture.load import Load
from torture.oracle import Oracle
from torture.shop import Shop
from torture.trial import Tally


@dataclass
class Campaign:
    """A shop, who buys in it and who judges it."""

    shop: Shop
    load: Load
    oracle: Oracle
    histories: Histories
    allowed: tuple[str, ...] = ()
    """What a traceback of the shop may speak of; any other is wrong."""
    known: set[str] = field(default_factory=set)
    """What is wrong and was told: it is told once."""

    def bursts(self, cases: Iterable[int], size: int, tally: Tally) -> Iterator[list[int]]:
        """So many cases at a time, to be played while buyers buy. What is wrong afterwards is told with the first."""
        waiting = iter(cases)
        while burst := list(islice(waiting, size)):
            self.load.go(burst[0])
            yield burst
            self.load.rest()
            self.judge(burst, tally)
        self.count(tally)

    def judge(self, burst: list[int], tally: Tally, under: str = "") -> None:
        for wrong in self.wrongs():
            tally.violation(burst[0], f"to {burst[-1]}{under and f', {under}'}: {wrong}")
        for _ in burst:
            tally.case_done()

    def wrongs(self) -> list[str]:
        """Once all is quiet again."""
        found = [*self.oracle.settle(), *self.oracle.look(self.load.purchases)]
        found += self.histories.wrongs(self.load.purchases)
        found += [f"L0 {line}" for line in self.shop.tracebacks() if not any(name in line for name in self.allowed)]
        found += [f"T21 {leak}" for leak in self.leaks()]
        new = [wrong for wrong in dict.fromkeys(found) if wrong not in self.known]
        self.known.update(new)
        return new

    def leaks(self) -> list[str]:
        log = self.shop.postgres and self.shop.postgres.log
        return [*sorted(self.load.watch.seen), *leaks.in_logs(self.shop.programs.running, log)]

    def count(self, tally: Tally) -> None:
        tally.count("purchases", len(self.load.purchases))
        tally.count("requests", self.load.asked())
        tally.count(
            "orders that a repeat of createOrder found", sum(this.found_again > 0 for this in self.load.purchases)
        )
        tally.count("orders whose history is linearisable", self.histories.linearisable)
        tally.count("operations in their histories", self.histories.operations)
        tally.count("notifies acknowledged", self.oracle.reader.acknowledged)
        tally.count("messages replayed", self.oracle.replayed)
        for this in self.load.purchases:
            tally.count(f"orders {this.ending}")


@contextmanager
def under_load(
    shop: Shop, seed: str, *, clients: int = 4, pause: float = 0.0, allowed: tuple[str, ...] = ()
) -> Iterator[Campaign]:
    oracle = Oracle(shop)
    load = Load(shop.url, shop.alipay.control, seed, clients, pause)
    try:
        yield Campaign(shop, load, oracle, Histories(shop.alipay.book), allowed)
    finally:
        load.stop()
        oracle.stop()
