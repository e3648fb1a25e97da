"""`.venv/bin/python -m bench.growth`: the figures with 10,000, 100,000 and 1,000,000 orders in the tables.

Each number of orders is a database of its own with a server of its own, all on one PostgreSQL, and they take turns:
what else the machine does hits all alike. On the largest the plans of all that is asked all day are looked at, and at
last as many orders fall due at once as ``--due`` says and `run_jobs` ends them, each with a signed question to the
simulator.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg

from bench import books, growth_tables, jobs, operations, postgres, results
from bench.load import WrongAnswer
from bench.operations import SERVER
from bench.run import Figures, Side, asking, compare_all, hashed
from bench.servers import ROOT, Server, served
from bench.setup import Ground, ground, manage, new_buyers
from bench.stream import say

SIZES = [10_000, 100_000, 1_000_000]
PLANS = "import django; django.setup(); from bench.plans import main; main()"
OPEN = "SELECT count(*) FROM orders_order WHERE status = 'UNPAID' AND basket_hash = '-'"
"""Of those that `bench.jobs` lets fall due: the others' time may run out while we look."""


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # As an operator of a shop of this size would have it; and no vacuum in the middle of what is measured.
    with ground(shared_buffers="1GB", autovacuum="off") as here:
        try:
            figures = measure(here, options)
        except WrongAnswer as error:
            sys.exit(f"bench: {error}")
    result = results.write("growth", options, figures)
    for table in growth_tables.tables(result):
        print(table.text())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.growth", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help="orders in the tables (10000 100000 1000000)"
    )
    parser.add_argument("--requests", type=int, default=400, help="of each operation, at each size (400)")
    parser.add_argument("--warm-up", type=int, default=100, help="requests before that are not measured (100)")
    parser.add_argument("--due", type=int, default=100_000, help="orders that fall due at once (100,000); 0 for none")
    parser.add_argument("--seconds", type=int, default=60, help="of ending them; 0 for until all are ended (60)")
    results.add_option(parser, "growth")
    return parser.parse_args()


def measure(here: Ground, options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as servers:
        urls = {size: filled(here, size) for size in options.sizes}
        sides = [side(servers, here, size, url, options) for size, url in urls.items()]
        asked: Figures = compare_all(sides, Server("PostgreSQL", 0, postgres.postmaster(here.url)))
    largest = urls[max(options.sizes)]
    say("plans…")
    plans = plans_of(here, largest)
    due = expire(here, largest, options) if options.due else None
    return {"asked": asked, "plans": plans, "due": due, "bytes": {size: bytes_of(url) for size, url in urls.items()}}


def filled(here: Ground, size: int) -> str:
    """The address of a database with the books of so many orders."""
    url = here.database(f"orders_{size}")
    say(f"{size} orders…")
    manage(here.env | {"DATABASE_URL": url}, "migrate", "--verbosity", "0")
    with psycopg.connect(url, autocommit=True) as database:
        books.fill(database, size)
        database.execute("VACUUM")
    return url


def side(servers: ExitStack, here: Ground, size: int, url: str, options: argparse.Namespace) -> Side:
    """The shop over that database, asked by hash."""
    env = here.env | {"DATABASE_URL": url}
    count, warm_up = options.requests + options.warm_up, options.warm_up
    buyers = new_buyers(env, here.folder / f"tokens_{size}", count)
    server = servers.enter_context(served(f"backend_{size}", "backend.wsgi:application", postgres.free_port(), env))
    asked = {**hashed(), "notify": partial(operations.notify, paths=SERVER, key=here.alipay_key)}
    return Side(str(size), server, asked, buyers[:warm_up], buyers[warm_up:], asking(here, SERVER))


def plans_of(here: Ground, url: str) -> Any:
    env = {**os.environ, **here.env, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "backend.settings"}
    done = subprocess.run([sys.executable, "-c", PLANS], cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def bytes_of(url: str) -> int:
    with psycopg.connect(url) as database:
        row = database.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def expire(here: Ground, url: str, options: argparse.Namespace) -> dict[str, float]:
    """How fast orders end that fell due all at once, measured after the first few, for a time or to the end."""
    say(f"{options.due} orders fall due…")
    with ExitStack() as stack:
        shop = jobs.with_simulator(stack, here, url)
        shop.ask(jobs.ORDERS, count=options.due, run="due")
        with jobs.run_jobs(shop, jobs.Work("order", jobs.ORDERS, OPEN, {})) as programs:
            assert programs
            while shop.ask(OPEN) > options.due - min(jobs.WARM_UP, options.due // 2):
                time.sleep(0.2)
            before, used, began = shop.ask(OPEN), jobs.cpu_seconds(programs), time.perf_counter()
            until = began + (options.seconds or float("inf"))
            while (left := shop.ask(OPEN)) and time.perf_counter() < until:
                time.sleep(0.5)
            ended, seconds = before - left, time.perf_counter() - began
            used = jobs.cpu_seconds(programs) - used
    return {
        "due": options.due,
        "ended": ended,
        "seconds": seconds,
        "per_second": ended / seconds,
        "cpu_ms": used * 1000 / ended,
    }


if __name__ == "__main__":
    main()
