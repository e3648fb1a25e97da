"""`.venv/bin/python -m bench.run`: the server's processor time per request, beside a bare floor and the tutorial's way.

See README.md in this folder.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from bench import operations, peers, postgres, results, run_tables, storefront
from bench.load import Call, Timing, WrongAnswer, send
from bench.operations import FLOOR, SERVER, Buyer, by_hash
from bench.servers import Server, served
from bench.setup import Ground, buyers_of, environment, ground, manage, new_key, python, seed
from bench.tables import row
from bench.tutorial import operations as tutorial

__all__ = ["environment", "manage", "new_key", "row", "seed"]  # where they have always been found

ROUND = 25
"""Requests to one server before it is the next one's turn: what else the machine does then hits all alike."""

Operation = Callable[[Buyer], Call]


@dataclass
class Measured:
    """What one operation took of one server, and of PostgreSQL meanwhile: milliseconds of processor time per request,
    one figure for each round."""

    cpu_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    timing: Timing = field(default_factory=Timing)

    def figures(self) -> dict[str, float]:
        """Of the rounds the median: one in which the machine was busy with something else does not count."""
        count = len(self.timing.each)
        return {
            "requests": count,
            "cpu_ms": median(self.cpu_ms),
            "database_ms": median(self.database_ms),
            "per_second": count / self.timing.seconds,
            "p50_ms": self.timing.percentile(50) * 1000,
            "p95_ms": self.timing.percentile(95) * 1000,
        }


@dataclass(frozen=True)
class Side:
    """One way of asking one server, with its own buyers, some of whom only warm it up.

    ``teach`` is what the first of these asks, where the server has to be told the documents' texts once.
    """

    name: str
    server: Server
    operations: Mapping[str, Operation]
    warm_up: Sequence[Buyer]
    buyers: Sequence[Buyer]
    teach: Mapping[str, Operation] = field(default_factory=dict)

    def warm(self, name: str) -> None:
        first, *others = self.warm_up
        send(self.server.port, [self.teach.get(name, self.operations[name])(first)])
        send(self.server.port, [self.operations[name](buyer) for buyer in others])

    def measure(self, calls: Sequence[Call], database: Server, into: Measured) -> None:
        before, of_database = self.server.cpu_seconds(), database.cpu_seconds()
        into.timing.add(send(self.server.port, calls))
        into.cpu_ms.append((self.server.cpu_seconds() - before) * 1000 / len(calls))
        into.database_ms.append((database.cpu_seconds() - of_database) * 1000 / len(calls))


Figures = dict[str, dict[str, dict[str, float]]]
"""By operation, by side."""


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that PostgreSQL and the servers end with us
    with ground(fsync=options.fsync) as here, sides(here, options.requests, options.warm_up) as compared:
        try:
            figures = compare_all(compared, Server("PostgreSQL", 0, postgres.postmaster(here.url)))
        except WrongAnswer as error:
            sys.exit(f"bench: {error}")
    result = results.write("run", options, figures)
    for table in run_tables.tables(result):
        print(table.text())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.run", description=__doc__)
    parser.add_argument("--requests", type=int, default=600, help="of each operation, to each server (600)")
    parser.add_argument("--warm-up", type=int, default=100, help="requests before that are not measured (100)")
    parser.add_argument("--fsync", action="store_true", help="let PostgreSQL wait for the disk: slower, the same CPU")
    results.add_option(parser, "run")
    return parser.parse_args()


@contextmanager
def sides(here: Ground, requests: int, warm_up: int) -> Iterator[list[Side]]:
    """Ours by text, by hash and as the storefront asks; the floor on our tables; the tutorial on its own."""
    count = requests + warm_up
    url = here.database("tutorial")
    tutorial_env = {**here.env, "TUTORIAL_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "bench.tutorial.settings"}
    names = ("ours", "by hash", "storefront", "floor")
    buyers = seed(here.env, here.folder / "tokens", len(names) * count)
    groups = [buyers[place * count : (place + 1) * count] for place in range(len(names))]
    tokens = here.folder / "tutorial"
    python(tutorial_env, "-m", "bench.tutorial.seed", "--buyers", str(count), "--tokens", str(tokens))
    with ExitStack() as stack:
        start = partial(start_server, stack)
        ours = start("backend", "backend.wsgi:application", here.env)
        floor = start("floor", "bench.floor:application", here.env)
        theirs = start("tutorial", "bench.tutorial.wsgi:application", tutorial_env)
        asked: list[tuple[str, Server, Mapping[str, Operation], Sequence[Buyer]]] = [
            ("ours", ours, asking(here, SERVER), groups[0]),
            ("by hash", ours, hashed(), groups[1]),
            ("storefront", ours, from_storefront(), groups[2]),
            ("floor", floor, asking(here, FLOOR), groups[3]),
            ("tutorial", theirs, from_tutorial(here), buyers_of(tokens)),
        ]
        teach = asking(here, SERVER)
        yield [
            Side(name, server, what, group[:warm_up], group[warm_up:], teach if name == "by hash" else {})
            for name, server, what, group in asked
        ]


def start_server(stack: ExitStack, name: str, application: str, env: Mapping[str, str]) -> Server:
    return stack.enter_context(served(name, application, postgres.free_port(), env))


def asking(here: Ground, paths: operations.Paths) -> dict[str, Operation]:
    """The four operations, with the documents' texts in each request."""
    return {
        "create": partial(operations.create, paths=paths),
        "with_lines": partial(operations.with_lines, paths=paths),
        "minimal": partial(operations.minimal, paths=paths),
        "notify": partial(operations.notify, paths=paths, key=here.alipay_key),
    }


def hashed() -> dict[str, Operation]:
    return {
        "create": partial(operations.create, paths=SERVER, ask=by_hash),
        "with_lines": partial(operations.with_lines, paths=SERVER, ask=by_hash),
        "minimal": partial(operations.minimal, paths=SERVER, ask=by_hash),
    }


def from_storefront() -> dict[str, Operation]:
    return {"create": storefront.create, "with_lines": storefront.order, "minimal": storefront.progress}


def from_tutorial(here: Ground) -> dict[str, Operation]:
    return {
        "create": tutorial.create,
        "with_lines": tutorial.with_lines,
        "minimal": tutorial.minimal,
        "notify": partial(tutorial.notify, key=here.alipay_key),
    }


def compare_all(compared: Sequence[Side], database: Server, names: Sequence[str] = peers.NAMES) -> Figures:
    print(f"{', '.join(peers.TITLES[name] for name in names)}…", file=sys.stderr, flush=True)
    measured = compare(names, compared, database)
    return {name: {side: found.figures() for side, found in by_side.items()} for name, by_side in measured.items()}


def compare(names: Sequence[str], compared: Sequence[Side], database: Server) -> dict[str, dict[str, Measured]]:
    """Of every ROUND buyers all that they do, each by turns at all servers, after all are warm; by operation and side.

    What the machine does besides, for seconds or for minutes, then hits all operations and servers alike. Every second
    round goes the other way about, so that none is always the first. An order is paid last: then it is polled no more.
    """
    asked = {name: [side for side in compared if name in side.operations] for name in names}
    measured = {name: {side.name: Measured() for side in sides} for name, sides in asked.items()}
    for name, sides in asked.items():
        for side in sides:
            side.warm(name)
    for number, start in enumerate(range(0, len(compared[0].buyers), ROUND)):
        for name, sides in asked.items():
            for side in sides[:: -1 if number % 2 else 1]:
                calls = [side.operations[name](buyer) for buyer in side.buyers[start : start + ROUND]]
                side.measure(calls, database, measured[name][side.name])
    return measured


if __name__ == "__main__":
    main()
