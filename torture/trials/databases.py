"""T5: PostgreSQL hangs up on everybody, again and again, or crashes and comes back; fsync is on.

What a client or Alipay was told is in the database afterwards. What they were not told is either there or not, and the
repeat of the same request with the same key makes it so once.
"""

import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from torture.campaign import under_load
from torture.cluster import Postgres
from torture.shop import a_shop
from torture.trial import Tally, Trial, dice

EVERY_SECONDS = 0.2
ROUNDS = 5
"""Terminations in a second, which is one case."""
DATABASE_FAILED = ("OperationalError", "InterfaceError", "AdminShutdown", "CrashShutdown", "PoolTimeout", "redis.Away")
"""A request that the database left alone. Redis is not set up: a count that fails in the database begins so."""
Blow = Callable[[Postgres, Random, Tally], None]


def run(
    cases: Iterable[int], seed: int, tally: Tally, *, blow: Blow, burst: int, options: tuple[str, ...] = ()
) -> None:
    with a_shop(options=options) as shop:
        assert shop.postgres is not None
        shop.served_by()
        with under_load(shop, f"{seed}", allowed=DATABASE_FAILED) as campaign:
            for few in campaign.bursts(cases, burst, tally):
                for case in few:
                    blow(shop.postgres, dice(seed, case), tally)


def hang_up(postgres: Postgres, chance: Random, tally: Tally) -> None:
    """A second in which every session is ended every 200 ms."""
    for _ in range(ROUNDS):
        time.sleep(EVERY_SECONDS * chance.uniform(0.8, 1.2))
        tally.count("sessions ended", postgres.terminate_all())
        tally.count("times that all were ended")


def crash(postgres: Postgres, chance: Random, tally: Tally) -> None:
    """Immediate, or kill -9 of the postmaster; it is down for a moment, and the load goes on."""
    time.sleep(chance.uniform(0.3, 1.0))
    number = chance.choice((signal.SIGQUIT, signal.SIGKILL))
    postgres.crash(number)
    postgres.restart()
    tally.count(f"crashes by {number.name}")


SESSIONS = Trial(
    "T5-sessions", "every session of PostgreSQL ended every 200 ms under load", "seconds", 5, 600, "own",
    partial(run, blow=hang_up, burst=5), batch=120,
)  # fmt: skip
CRASHES = Trial(
    "T5-crashes", "PostgreSQL crashes and restarts under load, with fsync on", "crashes", 3, 100, "own",
    partial(run, blow=crash, burst=3), batch=25,
)  # fmt: skip
