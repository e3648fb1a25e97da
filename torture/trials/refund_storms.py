"""T10: an order's money goes back in twenty parts, asked for and carried out by many at once, while the gateway times
out before or after it has done what it was asked. In the end both books are equal to the fen."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from django.db import connections

from backend.accounts.models import User
from backend.courses.models import Enrollment
from backend.orders.models import OrderEvent
from backend.payments.jobs import REFUNDS
from backend.payments.models import Payment, Refund
from backend.payments.providers.base import ProviderUnavailable
from backend.sweeps import run_due
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import Call, World, new_world
from torture.customers import empty
from torture.trial import Tally, Trial, dice
from torture.trials.schedules import alipay_keys

PARTS, THREADS, WORKERS = 20, 8, 3
FOUR_TOO_MANY, REPEATS = 4, 8
TIMEOUTS = 0.3
STORM_ROUNDS, MOST_ROUNDS = 20, 400
PAUSE = 4
"""Seconds between two looks of the workers: a trade is called every three at the most."""


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with a_world() as world:
        for case in cases:
            payment = paid(world)
            part = payment.amount_fen // PARTS
            answers = ask_for_parts(world, payment, part, dice(seed, case))
            line_in_a_storm(world, seed, case)
            rounds = work_until_it_is_over(world, payment)
            payment.refresh_from_db()
            for wrong in [*answers_wrong(answers), *books_wrong(world, payment, part)]:
                tally.violation(case, wrong)
            tally.count("refunds", payment.refunds.count())
            tally.count("rounds of the workers", rounds)
            tally.case_done()
        for wrong in Witness(world).look():
            tally.violation(-1, wrong)


@contextmanager
def a_world() -> Iterator[World]:
    empty()
    with alipay_keys() as keys, new_world(keys) as world:
        yield world


def paid(world: World) -> Payment:
    """A paid order of somebody new for one course, that opens it."""
    world.buyers[0] = User.objects.create(username=f"stormy {User.objects.count()}")
    trade = world.create(0, [0])["order"]["outTradeNo"]
    world.buy(trade)
    world.deliver_all()
    return Payment.objects.select_related("order").get(out_trade_no=trade)


def line_in_a_storm(world: World, seed: int, case: int) -> None:
    """Each call is lost with the same odds, on its way there or on its way back; by its number, not by the clock."""
    calls: dict[tuple[str, str], int] = {}

    def around(call: Call, carry_out: Callable[[], bytes]) -> bytes:
        number = calls[call.method, call.out_request_no] = calls.get((call.method, call.out_request_no), 0) + 1
        luck = Random(f"{seed}/{case}/{call.method}/{len(calls)}/{number}").random()
        if luck < TIMEOUTS / 2:
            raise ProviderUnavailable("lost on its way there")
        answer = carry_out()
        if luck < TIMEOUTS:
            raise ProviderUnavailable("lost on its way back")
        return answer

    world.line.around = around


def ask_for_parts(world: World, payment: Payment, part: int, luck: Random) -> list[tuple[str, dict[str, Any]]]:
    """Every part once, some of them twice, and some more than there is money for: from threads, all at once."""
    keys = [f"part {number}" for number in range(PARTS + FOUR_TOO_MANY)]
    keys += luck.sample(keys[:PARTS], REPEATS)
    luck.shuffle(keys)
    heard: list[tuple[str, dict[str, Any]]] = []

    def ask(mine: Sequence[str]) -> None:
        heard.extend((key, world.refund(payment.order.number, part, key=key)) for key in mine)

    together([lambda mine=keys[start::THREADS]: ask(mine) for start in range(THREADS)])
    return heard


def work_until_it_is_over(world: World, payment: Payment) -> int:
    """Several workers at a time, and Alipay's notifies between them; in the end without faults. How many rounds."""
    for number in range(MOST_ROUNDS):
        if number == STORM_ROUNDS:
            world.line.around = lambda call, carry_out: carry_out()
        together([*[lambda: run_due(REFUNDS, batch=2)] * WORKERS, world.deliver_all])
        due = payment.refunds.filter(status="PENDING").order_by("next_try_at").first()
        if due is None:
            world.deliver_all()
            return number + 1
        world.wait(max(PAUSE, (due.next_try_at - world.now()).total_seconds() if number > STORM_ROUNDS else 0))
    return MOST_ROUNDS


def together(works: Sequence[Callable[[], Any]]) -> None:
    """Each in a thread with a connection of its own, after all are there; what one raises is raised here."""
    gate, raised = threading.Barrier(len(works)), []

    def work_on(work: Callable[[], Any]) -> None:
        try:
            gate.wait()
            work()
        except Exception as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work_on, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def answers_wrong(heard: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """So many parts as there is money for, and no more; the same key twice is one refund."""
    taken = {key for key, answer in heard if answer["__typename"] == "RefundOrderSuccess"}
    new = [key for key, answer in heard if answer["__typename"] == "RefundOrderSuccess" and not answer["replayed"]]
    refusals = {answer["__typename"] for _, answer in heard} - {"RefundOrderSuccess"}
    found = [f"{len(taken)} parts taken"] if len(taken) != PARTS else []
    found += [f"{len(new)} refunds made for {len(set(new))} keys"] if len(new) != PARTS else []
    return found + [f"answered {name}" for name in refusals - {"RefundTooLarge", "NothingToRefund"}]


def books_wrong(world: World, payment: Payment, part: int) -> list[str]:
    """What was paid has gone back, once for each number, here and at Alipay; and what it had opened is closed."""
    account = world.simulator.money()[payment.out_trade_no]
    rows = Refund.objects.filter(payment=payment)
    events = OrderEvent.objects.filter(order=payment.order)
    due = {
        "refunded at Alipay": (account["refunded_fen"], payment.amount_fen),
        "refunded here": (payment.refunded_fen, payment.amount_fen),
        "under way": (payment.refunding_fen, 0),
        "rows": (sorted(rows.values_list("status", "amount_fen", "cause")), [("SUCCEEDED", part, "STAFF")] * PARTS),
        "numbers": (
            sorted(entry["out_request_no"] for entry in account["refunds"]),
            sorted(rows.values_list("out_request_no", flat=True)),
        ),
        "courses open": (Enrollment.objects.open().filter(line__order=payment.order).count(), 0),
        "times closed": (events.filter(name="enrollment.closed").count(), 1),
        "times refunded": (events.filter(name="order.refunded").count(), PARTS),
    }
    return [f"{what}: {have}, not {wanted}" for what, (have, wanted) in due.items() if have != wanted]


TRIAL = Trial(
    name="T10",
    title=f"Refund storms: {PARTS} parts at once through a gateway of which {TIMEOUTS:.0%} of calls are lost",
    unit="orders",
    gate=10,
    long=1000,
    database="postgres",
    run=run,
    batch=50,
)
