"""T7: a hundred thousand messages that Alipay did not send, or not so: no state changes, no ``success``, no 5xx.

T7B is the part that chance might leave out: every bit of every byte of one notify, and every place at which the signed
text can be cut into other fields.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, transaction
from django.test import RequestFactory, override_settings

from backend.courses.models import Course
from backend.orders.models import Order, OrderStatus
from backend.payments.models import Payment
from tests.api.helpers import pay
from torture.customers import courses, new_order
from torture.digest import ALL, BOOKS, digest
from torture.forgeries import Forged, Forger, encoded, same_message
from torture.forging import forge
from torture.trial import Tally, Trial, dice

BYTES = 1400
"""More than a notify has: what lies behind its end is no case."""


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with victims() as payments:
        forger, shop = Forger(payments), Shop()
        for case in cases:
            forged = forge(forger, dice(seed, case))
            if forged is None:
                tally.count("the genuine message in another spelling, not sent")
            else:
                send(shop, forged, case, tally)
            tally.case_done()


def run_systematically(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with victims() as payments:
        forger, shop = Forger(payments[:1]), Shop()
        for case in cases:
            bit, place = divmod(case, BYTES)
            for forged in [*flipped(forger, bit, place), *(divided_at(forger, place) if bit == 0 else [])]:
                send(shop, forged, case, tally)
            tally.case_done()


def flipped(forger: Forger, bit: int, place: int) -> Iterator[Forged]:
    body = bytearray(forger.bodies[0].encode())
    if place < len(body):
        body[place] ^= 1 << bit
        if not same_message(bytes(body), forger.fields[0]):
            yield Forged("a bit flipped", bytes(body))


def divided_at(forger: Forger, place: int) -> Iterator[Forged]:
    """Neighbours in the signed text made one field: every pair, every three and so on, cut at each equals sign."""
    fields = {name: value for name, value in forger.fields[0].items() if name not in ("sign", "sign_type")}
    names = sorted(fields)
    width, start = divmod(place, len(names))
    end = start + width + 2
    if end > len(names):
        return
    merged = "&".join(f"{name}={fields[name]}" for name in names[start:end])
    rest = [(name, fields[name]) for name in names if name not in names[start:end]]
    tail = [("sign_type", "RSA2"), ("sign", forger.fields[0]["sign"])]
    for cut in (at for at, letter in enumerate(merged) if letter == "="):
        yield Forged("divided anew", encoded([*rest, (merged[:cut], merged[cut + 1 :]), *tail]))


class Shop:
    """The shop's own door, in this process, without the test client's layers; and its books before and after."""

    def __init__(self) -> None:
        self.handler, self.requests = WSGIHandler(), RequestFactory()
        self.books, self.all = digest(BOOKS), digest(ALL)

    def answer(self, forged: Forged) -> tuple[int, bytes]:
        environ = self.requests.post(forged.path, forged.body, content_type=forged.content_type).environ
        said: list[str] = []
        response = self.handler(environ, lambda line, headers: said.append(line))
        return int(said[0].split()[0]), b"".join(response)

    def changed(self, forged: Forged) -> bool:
        """What is genuine and cannot be applied may open a discrepancy for people, and nothing else."""
        if not forged.signed:
            return digest(ALL) != self.all
        self.all = digest(ALL)
        return digest(BOOKS) != self.books


def send(shop: Shop, forged: Forged, case: int, tally: Tally) -> None:
    status, body = shop.answer(forged)
    tally.count("messages")
    tally.count(forged.kind)
    if (status, body) != (200, b"fail"):
        tally.violation(case, f"{forged.kind}: HTTP {status}, {body[:80]!r}: {forged.path} {forged.body[:2000]!r}")
    if shop.changed(forged):
        tally.violation(case, f"{forged.kind}: the books have changed: {forged.body[:2000]!r}")
        shop.books, shop.all = digest(BOOKS), digest(ALL)


@contextmanager
def victims() -> Iterator[list[Payment]]:
    """A payment of each sort: open, paid, of an order that timed out, cancelled; gone when the cases are over.

    Without limits: they would keep most of the messages from being looked at and stored. All of it is one transaction
    that is undone, so a request may not begin by closing its connection.
    """
    logging.disable(logging.CRITICAL)
    request_started.disconnect(close_old_connections)
    try:
        with override_settings(RATE_LIMITS=False), transaction.atomic():
            stock = courses()
            yield [in_state(status, stock) for status in OrderStatus.values]
            transaction.set_rollback(True)
    finally:
        request_started.connect(close_old_connections)
        logging.disable(logging.NOTSET)


def in_state(status: str, stock: list[Course]) -> Payment:
    order = new_order(stock[:2])
    payment = order.payments.get()
    if status == OrderStatus.PAID:
        pay(payment)
    elif status != OrderStatus.UNPAID:
        Order.objects.get(pk=order.pk).move_to(status)
    payment.refresh_from_db()
    return payment


TRIAL = Trial("T7", "Forged and mutated notifies", "messages", 5000, 100_000, "memory", run, batch=5000)
SYSTEMATIC = Trial(
    name="T7B",
    title="Every bit of one notify flipped, and every other division of its signed text",
    unit="bits (those of the lowest place in the gate)",
    gate=BYTES,
    long=8 * BYTES,
    database="memory",
    run=run_systematically,
    batch=2800,
)
