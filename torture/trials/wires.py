"""T15: each line of the shop goes bad in each way that lines do: Redis, PostgreSQL, Alipay, and Alipay's to the shop.

A fault proxy stands on every line. A mode lasts for three orders, or until it has lasted long enough; where it is about
Redis the orders must come to their end while it lasts, for no money waits for Redis.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlsplit, urlunsplit

import redis

from backend.payments.models import Payment, PaymentStatus
from tests.engine.conftest import Redis
from tests.shop import AlipaySide
from torture.buyers import ENDINGS, Ending
from torture.campaign import Campaign, under_load
from torture.faultproxy import FAIR, FaultProxy, Weather
from torture.processes import HOST
from torture.shop import Shop, a_shop
from torture.shoppers import Client, NoAnswer
from torture.trial import Tally, Trial, dice
from torture.trials.databases import DATABASE_FAILED

ORDERS = 3
"""Of one mode at a time, each by a buyer of its own; one order is one case."""
LONGEST_SECONDS = 1.5
REDIS_SECONDS = 60
"""How long the orders may take with Redis gone; it only bounds a trial that has gone wrong."""
MIXED: tuple[Ending, ...] = ("paid", "refunded", "unheard", "cancelled")
OUR_QUESTIONS: tuple[Ending, ...] = ("unheard", "refunded", "unheard", "cancelled")
"""Endings for which the shop has to call Alipay."""
POSTS = 8
BOUNDS_MS = (10, 25, 50, 100)


@dataclass
class Lines:
    """The proxies: from the web server and from the jobs to PostgreSQL, to Redis, to Alipay and from it."""

    database: FaultProxy
    jobs: FaultProxy
    redis: FaultProxy
    alipay: FaultProxy
    notify: FaultProxy

    def all(self) -> tuple[FaultProxy, ...]:
        return self.database, self.jobs, self.redis, self.alipay, self.notify


@dataclass(frozen=True)
class Mode:
    """What goes wrong, and on which line. ``during`` is called again and again while it lasts."""

    name: str
    line: str
    weather: Callable[[Random], Weather] = lambda chance: FAIR
    down: bool = False
    during: str = ""
    endings: Sequence[Ending] = MIXED


MODES = (
    Mode("Redis absent", "redis", down=True, endings=ENDINGS),
    Mode("Redis a black hole", "redis", lambda chance: Weather(black_hole=True), endings=ENDINGS),
    Mode("answer to a COMMIT of the server lost", "database", lambda chance: after_commit(chance)),
    Mode("PostgreSQL reset again and again", "database", during="cut"),
    Mode("answer to a COMMIT of the jobs lost", "jobs", lambda chance: after_commit(chance), endings=OUR_QUESTIONS),
    Mode("Alipay resets", "alipay", lambda chance: Weather(reset=True), endings=OUR_QUESTIONS),
    Mode("Alipay a black hole", "alipay", lambda chance: Weather(black_hole=True), endings=OUR_QUESTIONS),
    Mode("a notify's answer lost", "notify", lambda c: Weather(cut_after_text=b"sign=", spare=c.randrange(2))),
    Mode("Redis slow", "redis", lambda chance: Weather(latency=0.2, jitter=0.2), endings=ENDINGS),
    Mode("Redis flushed again and again", "redis", during="flush", endings=ENDINGS),
    Mode("PostgreSQL cut after so many bytes", "database", lambda c: Weather(cut_after=c.randrange(2_000, 40_000))),
    Mode("PostgreSQL late", "database", lambda chance: Weather(latency=0.003, jitter=0.02)),
    Mode("PostgreSQL a black hole", "database", lambda chance: Weather(black_hole=True)),
    Mode("Alipay late", "alipay", lambda chance: Weather(latency=0.1, jitter=0.3), endings=OUR_QUESTIONS),
    Mode("Alipay cut in mid-answer", "alipay", lambda c: Weather(cut_after=c.randrange(500, 3000)),
         endings=OUR_QUESTIONS),
    Mode("Alipay absent", "alipay", down=True, endings=OUR_QUESTIONS),
    Mode("notifies cut in the middle", "notify", lambda chance: Weather(cut_after=chance.randrange(100, 1_900))),
    Mode("notifies by drips", "notify", lambda chance: Weather(rate=4_000, slow_read=200)),
)  # fmt: skip


def after_commit(chance: Random) -> Weather:
    """The commit is done, and whoever asked for it cannot know."""
    return Weather(cut_after_text=b"COMMIT", spare=chance.randrange(6))


def run(cases: Iterable[int], seed: int, tally: Tally, *, url: str = "", sabotage: str = "") -> None:
    with shop_with_lines(seed, url) as (shop, lines, server):
        shop.served_by("--jobs-port", str(lines.jobs.port), "--sabotage", sabotage)
        with under_load(shop, f"{seed}", clients=ORDERS, allowed=DATABASE_FAILED) as campaign:
            for mode, few in by_mode(cases):
                for wrong in play(mode, campaign, lines, few, dice(seed, few[0]), server, tally):
                    tally.violation(few[0], f"{mode.name}: {wrong}")
                campaign.judge(few, tally, mode.name)
                if mode.line == "redis":
                    measure(campaign, lines, mode, few[0], seed, tally)
            campaign.count(tally)


def by_mode(cases: Iterable[int]) -> Iterator[tuple[Mode, list[int]]]:
    few: list[int] = []
    for case in cases:
        if few and case // ORDERS != few[0] // ORDERS:
            yield MODES[few[0] // ORDERS % len(MODES)], few
            few = []
        few.append(case)
    if few:
        yield MODES[few[0] // ORDERS % len(MODES)], few


def play(
    mode: Mode, campaign: Campaign, lines: Lines, few: list[int], chance: Random, server: "redis.Redis", tally: Tally
) -> list[str]:
    """Orders in bad weather; then the weather is fair, and they come to their end."""
    proxy: FaultProxy = getattr(lines, mode.line)
    cuts = proxy.counts["cuts"]
    with bad(mode, proxy, chance):
        campaign.load.go(few[0], each=1, endings=mode.endings)
        patience = REDIS_SECONDS if mode.line == "redis" else LONGEST_SECONDS
        deadline = time.monotonic() + patience
        while not campaign.load.is_done() and time.monotonic() < deadline:
            time.sleep(0.02)
            if mode.during == "flush":
                server.flushall()
            elif mode.during == "cut" and chance.random() < 0.4:
                proxy.cut_all()
        waited = mode.line == "redis" and not campaign.load.is_done()
    tally.count(f"connections cut, {mode.name}", proxy.counts["cuts"] - cuts)
    campaign.load.rest()
    return ["an order had to wait for Redis"] if waited else []


@contextmanager
def bad(mode: Mode, proxy: FaultProxy, chance: Random) -> Iterator[None]:
    if mode.down:
        proxy.down()
    proxy.weather = mode.weather(chance)
    try:
        yield
    finally:
        proxy.weather = FAIR
        if mode.down:
            proxy.up()


def measure(campaign: Campaign, lines: Lines, mode: Mode, case: int, seed: int, tally: Tally) -> None:
    """How long true and forged notifies take in this weather, by brackets: figures, no verdict. None has an effect."""
    payment = Payment.objects.filter(status=PaymentStatus.PAID, refunded_fen=0).latest("id")
    true = AlipaySide().paid_notify(payment, trade_no=payment.trade_no)
    forged, chance = true.replace("TRADE_SUCCESS", "TRADE_FINISHED"), dice(seed, case)
    with campaign.load.control() as control, bad(mode, lines.redis, chance):
        client = campaign.load.client(control, chance)
        for kind, body, good in (("true", true, b"success"), ("forged", forged, b"fail")):
            for _ in range(POSTS):
                answer, took = post(client, body)
                tally.count(f"{kind} notifies, {mode.name}: {bracket(took)} ms")
                if answer != (200, good):
                    tally.violation(case, f"{mode.name}: a {kind} notify was answered {answer}")


def post(client: Client, body: str) -> tuple[object, float]:
    """The answer, or why there is none, and its milliseconds."""
    began = time.perf_counter()
    answer: object
    try:
        answer = client.post("/payments/alipay/notify/", body, {"Content-Type": "application/x-www-form-urlencoded"})
    except NoAnswer as error:
        answer = str(error)
    return answer, (time.perf_counter() - began) * 1000


def bracket(took: float) -> str:
    return next((f"up to {bound}" for bound in BOUNDS_MS if took <= bound), f"over {BOUNDS_MS[-1]}")


@contextmanager
def shop_with_lines(seed: int, url: str = "") -> Iterator[tuple[Shop, Lines, "redis.Redis"]]:
    """A shop without its web server, with a proxy on each of its lines; and a client of its Redis past the proxy."""
    with ExitStack() as stack:
        store = Redis("redis.sh", Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coursepay-redis-"))))
        store.start()
        stack.callback(store.stop)
        shop = stack.enter_context(a_shop(url=url))
        redis_port = urlsplit(store.url).port or 0
        ports = (shop.database_port, shop.database_port, redis_port, shop.alipay.port, shop.port)
        lines = Lines(*(FaultProxy(HOST, port, seed) for port in ports))
        for proxy in lines.all():
            stack.callback(proxy.stop)
        shop.programs.env.update(
            DATABASE_URL=through(shop.database_url, lines.database),
            REDIS_URL=through(store.url, lines.redis),
            ALIPAY_GATEWAY_URL=f"http://{HOST}:{lines.alipay.port}/gateway.do",
            PUBLIC_URL=f"http://{HOST}:{lines.notify.port}",
        )
        yield shop, lines, stack.enter_context(redis.Redis.from_url(store.url))


def through(url: str, proxy: FaultProxy) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")))


WIRES = Trial(
    "T15", f"{len(MODES)} faults on the lines to Redis, PostgreSQL and Alipay", "orders",
    ORDERS * len(MODES), 170 * len(MODES), "own", run, batch=ORDERS * len(MODES) * 5,
)  # fmt: skip
