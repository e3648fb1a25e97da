"""T4: kill -9 under a load of purchases, of one process of the shop or of all of them at once.

Ten kills are a burst: then every purchase comes to its end, everything settles, and the books are compared. What was
acknowledged is looked up at once, all the time.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from torture.campaign import under_load
from torture.processes import Web
from torture.shop import a_shop
from torture.trial import Tally, Trial, dice

BURST = 10
ANSWERS, SECONDS = 4, 2.0
"""Between two kills so many requests end, however slow the machine is; or so much time goes by."""
Blow = Callable[[Web, Random], None]


def run(cases: Iterable[int], seed: int, tally: Tally, *, blow: Blow, url: str = "", sabotage: str = "") -> None:
    with a_shop(url=url) as shop:
        web = shop.served_by("--sabotage", sabotage)
        with under_load(shop, f"{seed}") as campaign:
            for burst in campaign.bursts(cases, BURST, tally):
                for case in burst:
                    campaign.load.wait_for_answers(ANSWERS, SECONDS)
                    blow(web, dice(seed, case))
                    tally.count("kills")


def kill_one(web: Web, chance: Random) -> None:
    """Any of the workers, or the jobs, at any moment of what it is doing."""
    time.sleep(chance.uniform(0.0, 0.15))
    assert web.kill_one(chance.random()), "there is nobody to kill"


def kill_all(web: Web, chance: Random) -> None:
    """The whole server and its jobs. It is down for a moment, then comes back and has forgotten all."""
    time.sleep(chance.uniform(0.0, 0.3))
    web.kill_all()
    time.sleep(chance.uniform(0.0, 0.1))
    web.up()


WORKERS = Trial(
    "T4-workers", "kill -9 of a worker or of the jobs under load", "kills", 60, 1000, "own",
    partial(run, blow=kill_one), batch=100,
)  # fmt: skip
SERVERS = Trial(
    "T4-servers", "kill -9 of the whole server and its jobs under load", "kills", 8, 1000, "own",
    partial(run, blow=kill_all), batch=50,
)  # fmt: skip
