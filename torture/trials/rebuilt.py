"""T20: an order rebuilt from its history alone equals the order that is stored, and no line of the history is idle.

A life is lived as in T1. At its end every order is rebuilt from its events (T1 does so after every step, too), and then
each event in turn is taken away or said twice: the audit must find each of these.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.lifecycle.invariants import Books
from tests.lifecycle.lives import live
from tests.lifecycle.rebuilt import i12_audit
from torture.trial import Tally, Trial, dice
from torture.trials.schedules import STEPS, alipay_keys, take_in


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys:
        for case in cases:
            one(keys, case, dice(seed, case), tally)
            tally.case_done()


def one(keys: Path, case: int, chance: Random, tally: Tally) -> None:
    history = live(keys, chance, STEPS)
    take_in(tally, case, history)
    assert history.books is not None
    for what, books in tampered(history.books):
        tally.count("tamperings")
        if not list(i12_audit(books)):
            tally.violation(case, f"{what}, and the audit finds nothing")


def tampered(books: Books) -> Iterator[tuple[str, Books]]:
    """The books with one wrong line in the history of one order."""
    for order in books.orders:
        events = books.events[order.pk]
        for place, event in enumerate(events):
            rest = [*events[:place], *events[place + 1 :]]
            yield f"{order}: {event[1:]} is gone", changed(books, order.pk, rest)
            yield f"{order}: {event[1:]} twice", changed(books, order.pk, [*events[: place + 1], *events[place:]])


def changed(books: Books, pk: int, events: list[tuple[object, ...]]) -> Books:
    return replace(books, events={**books.events, pk: events})


REBUILT = Trial("T20", "orders rebuilt from their history", "schedules of 30 steps", 20, 500, "memory", run)
