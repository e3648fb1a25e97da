"""Many machines: purchases go on while web nodes and workers are killed with kill -9 and come back.

nginx before two web nodes, two Celery workers and beat, Redis, PostgreSQL, Alipay's simulator: `torture.machines`. In
one case a node and a worker die with purchases under way; the other of each kind carries on alone, until they are back.
A fifth of the purchases is paid without a notify, so it takes a worker to find them. In the end nothing is lost and
nothing is double.
"""

import json
import os
import secrets
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from random import Random

from backend.accounts.models import User
from backend.courses.models import Course
from backend.events.models import Delivery, DeliveryStatus, Event
from backend.money import format_yuan
from backend.payments.management.commands.bench_seed import new_tokens
from backend.payments.models import Payment
from torture import machines as estate
from torture.bought import Alipay, wrongs
from torture.machines import Machines
from torture.purchases import Buyer, Load, Purchase, purchase
from torture.trial import Missing, Tally, Trial, dice

WEB_NODE, WORKER = "web node", "worker"
CLIENTS = 4
LEAST, MOST = 40, 500
"""Purchases of one case. The load goes on until all that was killed is back, and for the least of them."""
BETWEEN = range(4, 13)
"""So many purchases end between two blows."""
HANGS = (0.0, 0.1, 0.3, 0.6)
SETTLE_SECONDS = 45
PRICES = (3900, 7900, 1)


def run(cases: Iterable[int], seed: int, tally: Tally, *, broker: str, pooled: bool = False) -> None:
    if what := estate.missing(pooled=pooled):
        raise Missing(" and ".join(what))
    with estate.running(broker, pooled=pooled) as machines:
        courses = Course.objects.bulk_create(Course(name=f"Course {price}", price_fen=price) for price in PRICES)
        for case in cases:
            for wrong in play(machines, buyers(courses, case), dice(seed, case), tally):
                tally.violation(case, wrong)
            tally.case_done()


def buyers(courses: Sequence[Course], case: int) -> list[Buyer]:
    """New ones for each case. Their addresses differ, for limits are counted by address too."""
    total, ids = format_yuan(sum(course.price_fen for course in courses)), tuple(str(course.pk) for course in courses)
    users = User.objects.bulk_create(User(username=f"many-{case}-{number}") for number in range(MOST))
    addresses = (f"127.1.{number // 250}.{number % 250 + 1}" for number in range(MOST))
    return [
        Buyer(user.pk, token, address, ids, total)
        for user, token, address in zip(users, new_tokens(users), addresses, strict=True)
    ]


def play(machines: Machines, who: Sequence[Buyer], chance: Random, tally: Tally) -> list[str]:
    """One case. What was wrong in it."""
    blows = plan(chance)
    waiting = (purchase(buyer, secrets.token_hex(8), chance) for buyer in who)
    with Load(machines.shop, str(machines.control.http.base_url), waiting, CLIENTS) as load:
        for blow in blows:
            load.wait_for(len(load.done) + blow.after)
            blow.strike(machines)
        load.wait_for(len(load.done) + chance.choice(BETWEEN))
        machines.start_again(*(blow.place for blow in sorted(blows, key=attrgetter("what"))))
        load.wait_for(max(LEAST, len(load.done) + chance.choice(BETWEEN)))
    count(machines, blows, load.done, tally)
    settle()
    return wrongs(machines, load.done)


@dataclass(frozen=True)
class Blow:
    """``kill -9`` for one web node or worker, after so many purchases more, when it has hung for so many seconds.

    A process that hangs collects requests: some in the middle of their work, some not begun.
    """

    what: str
    place: int
    after: int
    hangs: float

    def strike(self, machines: Machines) -> None:
        program = (machines.web if self.what == WEB_NODE else machines.workers)[self.place]
        os.killpg(program.process.pid, signal.SIGSTOP)
        time.sleep(self.hangs)
        program.kill()


def plan(chance: Random) -> list[Blow]:
    """One node and one worker, in either order."""
    blows = [
        Blow(what, chance.choice((0, 1)), chance.choice(BETWEEN), chance.choice(HANGS)) for what in (WEB_NODE, WORKER)
    ]
    chance.shuffle(blows)
    return blows


def count(machines: Machines, blows: Sequence[Blow], bought: Sequence[Purchase], tally: Tally) -> None:
    for blow in blows:
        tally.count(f"{blow.what}s killed")
    tally.count("purchases", len(bought))
    tally.count("purchases without a notify", sum(this.deaf for this in bought))
    for this in bought:
        for what, times in this.again.items():
            tally.count(f"sent again, {what}", times)
    mine = {this.out_trade_no for this in bought if not this.deaf}
    sent = Alipay(machines.control, machines.book).all("SELECT * FROM events WHERE kind = 'notify.sent'")
    refused = [row for row in sent if row["out_trade_no"] in mine and not json.loads(row["data"])["accepted"]]
    tally.count("notifies that got no success", len(refused))


def settle() -> None:
    """Returns when no work is left, or after SETTLE_SECONDS: then the oracle says what there still is."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while is_work_left() and time.monotonic() < deadline:
        time.sleep(0.1)


def is_work_left() -> bool:
    return (
        Payment.objects.exclude(next_query_at=None).exists()
        or Event.objects.exclude(dispatch_at=None).exists()
        or Delivery.objects.exclude(status=DeliveryStatus.DELIVERED).exists()
    )


TITLE = "web nodes and workers behind nginx are killed under a load of purchases"
TRIALS = (
    Trial("many", f"{TITLE}; Redis is the broker", "rounds", 1, 1, "own", partial(run, broker="redis")),
    Trial("many-rabbitmq", f"{TITLE}; over RabbitMQ", "rounds", 0, 20, "own", partial(run, broker="rabbitmq"), batch=5),
    Trial(
        "many-pgbouncer",
        f"{TITLE}; through pgbouncer",
        "rounds",
        0,
        3,
        "own",
        partial(run, broker="redis", pooled=True),
    ),
)
MANY, MANY_RABBITMQ, MANY_PGBOUNCER = TRIALS
