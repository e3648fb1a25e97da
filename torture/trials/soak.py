"""T19: the production servers under a mixed load for a long time, with every kind of fault now and then.

granian with two workers, the live stream and ``run_jobs``, as ``make serve`` and the documents have it; a proxy on
each line. Half a minute, then all comes to its end and the books are compared. What lives long may not grow.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import redis

from tests.engine.programs import Program
from torture.campaign import under_load
from torture.faultproxy import FAIR, Weather
from torture.load import MANY
from torture.processes import HOST, is_served, wait_until
from torture.shop import Shop
from torture.trial import Tally, Trial, dice
from torture.trials.databases import DATABASE_FAILED
from torture.trials.wires import Lines, shop_with_lines

SLICE_SECONDS = 5
BURST = 6
PAUSE_SECONDS = 1.2
"""Of each of four clients between two purchases of about six requests, and as many notifies: ten requests a second."""
WORKERS = 2
MOST_SESSIONS = 4 * (WORKERS + 1) + 6
"""A pool of four for each worker and the jobs; the stream has its own."""
CRASH_LOOP_SECONDS = 6.0
"""A worker that dies again within 5.5 s is a loop of crashes to granian, which ends: that is for a supervisor."""
GROWTH, SLACK_KIB = 1.10, 8 * 1024
BAD = (
    Weather(latency=0.02, jitter=0.05),
    Weather(black_hole=True),
    Weather(reset=True),
    Weather(rate=20_000),
    Weather(cut_after=5_000),
    Weather(cut_after_text=b"COMMIT"),
)


@dataclass
class Servers:
    """The programs of production, and how much memory the oldest of each kind had after each slice."""

    shop: Shop
    lines: Lines
    server: "redis.Redis"
    web: Program
    jobs: Program
    sizes: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def start(cls, shop: Shop, lines: Lines, server: "redis.Redis") -> "Servers":
        ports = {"HOST": HOST, "PORT": str(shop.port), "STREAM_PORT": str(shop.stream_port)}
        folder = shop.programs.folder / "metrics"
        web = shop.programs.start(
            "tools/serve.py", **ports, WEB_WORKERS=str(WORKERS), PROMETHEUS_MULTIPROC_DIR=str(folder)
        )
        web.wait_until(lambda: is_served(shop.url))
        return cls(shop, lines, server, web, shop.programs.run_jobs())

    def workers(self) -> list[int]:
        """granian's, the oldest first: those that serve HTTP."""
        return sorted((pid for pid in self.web.family() if is_worker(pid)), key=started_at)

    def weigh(self) -> None:
        """The jobs and the oldest worker are never killed."""
        for pid in [self.jobs.process.pid, *self.workers()[:1]]:
            self.sizes.setdefault(pid, []).append(rss_kib(pid))

    # --- Faults ------------------------------------------------------------------------------------------------------

    def bad_weather(self, chance: Random) -> None:
        proxy, weather = chance.choice(self.lines.all()), chance.choice(BAD)
        proxy.weather = weather
        time.sleep(chance.uniform(0.1, 0.8))
        proxy.weather = FAIR

    def absent(self, chance: Random) -> None:
        proxy = chance.choice(self.lines.all())
        proxy.down()
        time.sleep(chance.uniform(0.1, 0.5))
        proxy.up()

    def kill_a_worker(self, chance: Random) -> None:
        """The youngest; granian starts another. One that has just come up is spared: see CRASH_LOOP_SECONDS."""
        with suppress(ProcessLookupError, IndexError):
            youngest = self.workers()[1]
            if age(youngest) > CRASH_LOOP_SECONDS:
                os.kill(youngest, signal.SIGKILL)

    def hang_up(self, chance: Random) -> None:
        assert self.shop.postgres is not None
        self.shop.postgres.terminate_all()

    def crash(self, chance: Random) -> None:
        assert self.shop.postgres is not None
        self.shop.postgres.crash()
        self.shop.postgres.restart()

    def flush(self, chance: Random) -> None:
        self.server.flushall()


FAULTS: tuple[tuple[str, int], ...] = (
    *(("bad_weather", 8), ("absent", 3), ("kill_a_worker", 2), ("hang_up", 3), ("crash", 1), ("flush", 2)),
)
"""And how often, of nineteen."""


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with shop_with_lines(seed) as (shop, lines, server):
        servers = Servers.start(shop, lines, server)
        with under_load(shop, f"{seed}", pause=PAUSE_SECONDS, allowed=DATABASE_FAILED) as campaign:
            for few in campaign.bursts(cases, BURST, tally):
                for case in few:
                    one_slice(servers, dice(seed, case), tally)
                for wrong in [*too_many_sessions(shop), *grown(servers.sizes)]:
                    tally.violation(few[0], f"to {few[-1]}: {wrong}")
        for pid, sizes in servers.sizes.items():
            name = "jobs" if pid == servers.jobs.process.pid else "a worker"
            tally.count(f"KiB of {name} at first", sizes[0])
            tally.count(f"KiB of {name} after a quarter", sizes[len(sizes) // 4])
            tally.count(f"KiB of {name} at last", sizes[-1])


def one_slice(servers: Servers, chance: Random, tally: Tally) -> None:
    """One fault at a moment of it."""
    ends = time.monotonic() + SLICE_SECONDS
    time.sleep(chance.uniform(0.5, SLICE_SECONDS - 2))
    names, weights = zip(*FAULTS, strict=True)
    (name,) = chance.choices(names, weights)
    fault: Callable[[Random], None] = getattr(servers, name)
    fault(chance)
    tally.count(f"faults: {name.replace('_', ' ')}")
    time.sleep(max(0, ends - time.monotonic()))
    servers.weigh()


def too_many_sessions(shop: Shop) -> list[str]:
    """What a killed program held is let go after a moment."""
    assert shop.postgres is not None
    with suppress(AssertionError):
        wait_until(partial(few_sessions, shop), "sessions to end", 15)
        return []
    return [f"{shop.postgres.sessions()} sessions of PostgreSQL"]


def few_sessions(shop: Shop) -> bool:
    assert shop.postgres is not None
    return shop.postgres.sessions() <= MOST_SESSIONS


def grown(sizes: dict[int, list[int]]) -> list[str]:
    """Which processes have grown by over a tenth since a quarter of their life, and by more than a start explains."""
    found = []
    for pid, each in sizes.items():
        before, after = each[len(each) // 4], each[-1]
        if len(each) > 1 and after > GROWTH * before and after - before > SLACK_KIB:
            found.append(f"process {pid} grew from {before} to {after} KiB")
    return found


def rss_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def is_worker(pid: int) -> bool:
    """One of granian's that serve requests: it gives them a title."""
    with suppress(OSError):
        return b" worker-" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def started_at(pid: int) -> int:
    """In ticks since the machine started; of one that has just ended, never."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return MANY


def age(pid: int) -> float:
    """Seconds since the process started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_at(pid) / os.sysconf("SC_CLK_TCK")


SOAK = Trial(
    "T19", "production's servers under a mixed load, with faults of every kind", f"slices of {SLICE_SECONDS} s", 6, 720,
    "own", run, batch=720, deadline=7200,  # one batch: the programs that are weighed live as long as the load
)  # fmt: skip
