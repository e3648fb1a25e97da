"""`.venv/bin/python -m bench.purchase`: what a whole purchase costs the servers, by live stream and by polling.

Create, wait a minute for the buyer, notify, and the client knows and shows the final state. With the stream, that
state and the one at the start come over one connection, which is held for the minute with its heartbeats; a polling
client asks 30 times and then reads the order. Many clients stream at once, and what they take of the stream's process
is divided. All of it is done several times, on new orders and new servers, and of each figure the median counts: the
parts of a purchase are minutes apart, in which other users of the machine come and go.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from bench import operations, postgres, purchase_tables, results
from bench.load import WrongAnswer
from bench.operations import FLOOR, SERVER, WATCH, Buyer, by_hash, by_text
from bench.run import Figures, Side, compare_all, hashed
from bench.servers import Server, served
from bench.setup import Ground, environment, ground, seed
from bench.stream import HEARTBEAT_SECONDS, allow_many_files, listeners, say, streaming

MINUTE = 60
SETTLE_SECONDS = 2


def main() -> None:
    options = arguments()
    allow_many_files(options.clients)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ground() as here:
        try:
            figures = median_of([measure(here, options, number) for number in range(options.rounds)])
        except WrongAnswer as error:
            sys.exit(f"bench: {error}")
    result = results.write("purchase", options, figures)
    for table in purchase_tables.tables(result):
        print(table.text())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.purchase", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--clients", type=int, default=500, help="that buy, and stream at once (500)")
    parser.add_argument("--warm-up", type=int, default=100, help="purchases before those, not measured (100)")
    parser.add_argument("--hold", type=float, default=MINUTE, help="seconds of waiting that are measured (60)")
    results.add_option(parser, "purchase")
    return parser.parse_args()


def median_of(figures: Sequence[Any]) -> Any:
    """Of each number in these the median, in the same places."""
    if isinstance(figures[0], Mapping):
        return {name: median_of([each[name] for each in figures]) for name in figures[0]}
    return median(figures)


def measure(here: Ground, options: argparse.Namespace, number: int) -> dict[str, Figures | dict[str, float]]:
    """One round, with a database of its own."""
    count = options.clients + options.warm_up
    url = here.database(f"round_{number}")
    env = {**environment(here.folder, url), "STREAM_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
    buyers = seed(env, here.folder / "tokens", 2 * count)
    database = Server("PostgreSQL", 0, postgres.postmaster(here.url))
    with (
        served("shop", "backend.wsgi:application", postgres.free_port(), env) as shop,
        served("floor", "bench.floor:application", postgres.free_port(), env) as bare,
        streaming(env) as stream,
    ):
        ours, floor = both(here, shop, bare, buyers, options.warm_up)
        asked = compare_all([ours, floor], database, ("create", "with_lines", "minimal"))
        warm_streams(stream, ours.warm_up)
        before = stream.cpu_seconds()
        with listeners(stream.port, ours.buyers, by_hash(WATCH)) as pipe:
            time.sleep(SETTLE_SECONDS)
            opened = stream.cpu_seconds()
            say(f"{options.clients} wait for {options.hold:.0f} seconds…")
            time.sleep(options.hold)
            held = stream.cpu_seconds()
            asked |= compare_all([ours, floor], database, ("notify",))
            pipe.send(options.clients)
            pipe.recv()
            time.sleep(SETTLE_SECONDS)
            told = stream.cpu_seconds()
        asked |= compare_all([ours], database, ("final",))
    streamed = {"open": opened - before, "hold": (held - opened) * MINUTE / options.hold, "tell": told - held}
    return {"asked": asked, "stream": {name: took * 1000 / options.clients for name, took in streamed.items()}}


def both(here: Ground, shop: Server, bare: Server, buyers: Sequence[Buyer], warm_up: int) -> tuple[Side, Side]:
    """The shop asked by hash, and the floor."""
    pay = partial(operations.notify, key=here.alipay_key)
    asked = {
        **hashed(),
        "notify": partial(pay, paths=SERVER),
        "final": partial(operations.final, paths=SERVER, ask=by_hash),
    }
    text = {
        "create": partial(operations.create, paths=SERVER),
        "with_lines": partial(operations.with_lines, paths=SERVER),
        "minimal": partial(operations.minimal, paths=SERVER),
    }
    bottom = {
        "create": partial(operations.create, paths=FLOOR),
        "with_lines": partial(operations.with_lines, paths=FLOOR),
        "minimal": partial(operations.minimal, paths=FLOOR),
        "notify": partial(pay, paths=FLOOR),
    }
    mine, others = buyers[: len(buyers) // 2], buyers[len(buyers) // 2 :]
    return (
        Side("ours", shop, asked, mine[:warm_up], mine[warm_up:], text),
        Side("floor", bare, bottom, others[:warm_up], others[warm_up:]),
    )


def warm_streams(stream: Server, buyers: Sequence[Buyer]) -> None:
    """The first tells the stream's process the document; the others come by its hash, and go."""
    with listeners(stream.port, buyers[:1], by_text(WATCH)):
        pass
    with listeners(stream.port, buyers[1:], by_hash(WATCH)):
        time.sleep(SETTLE_SECONDS)
    time.sleep(SETTLE_SECONDS)


if __name__ == "__main__":
    main()
