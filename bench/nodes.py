"""`.venv/bin/python -m bench.nodes`: what a request costs behind nginx with one web node, and with two.

A node is the production server, one worker with four threads, as in `bench.run`; nginx has the configuration that
docs/operations.md gives. Asked by turns: a node without nginx, nginx before one node, nginx before two. That two answer
more requests, a machine of two cores cannot show. Measure on a quiet machine: on a crowded one the ratio says little.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench import peers, postgres, results
from bench.load import CONCURRENCY, WrongAnswer
from bench.operations import SERVER
from bench.run import Figures, Side, asking, compare_all
from bench.servers import Server, served
from bench.setup import Ground, ground, seed
from bench.tables import Table, ms
from torture import nginx
from torture.nginx import Node

WITHOUT_NGINX = 3
"""The exit status where nginx is not installed, as that of tools/postgres.sh without PostgreSQL."""
SIDES = {"straight": "one node, no nginx", "one": "nginx, one node", "two": "nginx, two nodes"}


@dataclass(frozen=True)
class Servers(Server):
    """Several, that are asked at one port."""

    each: Sequence[Server] = ()

    def cpu_seconds(self) -> float:
        return sum(server.cpu_seconds() for server in self.each)


def main() -> None:
    options = arguments()
    if nginx.program() is None:
        print("bench.nodes is left out: nginx is not installed. On Debian: apt-get install nginx", file=sys.stderr)
        sys.exit(WITHOUT_NGINX)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ground() as here, sides(here, options.requests, options.warm_up) as (compared, proxies):
        try:
            figures = measure(compared, proxies)
        except WrongAnswer as error:
            sys.exit(f"bench: {error}")
    for table in tables(results.write("nodes", options, figures)):
        print(table.text())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.nodes", description=__doc__)
    parser.add_argument("--requests", type=int, default=600, help="of each operation, to each side (600)")
    parser.add_argument("--warm-up", type=int, default=200, help="requests before that are not measured (200)")
    results.add_option(parser, "nodes")
    return parser.parse_args()


@contextmanager
def sides(here: Ground, requests: int, warm_up: int) -> Iterator[tuple[list[Side], Server]]:
    """The three, and the two nginx as one server: only one of them is asked at a time."""
    count = requests + warm_up
    buyers = seed(here.env, here.folder / "tokens", len(SIDES) * count)
    with ExitStack() as stack:
        ports = [postgres.free_port() for _ in range(3)]
        first, second, third = (
            stack.enter_context(served(f"node at {port}", "backend.wsgi:application", port, here.env)) for port in ports
        )
        here.folder.chmod(0o755)  # nginx's worker is another user where we are root
        one = stack.enter_context(before(here, [first]))
        two = stack.enter_context(before(here, [second, third]))
        targets = (first, Servers("one", one.port, 0, [first]), Servers("two", two.port, 0, [second, third]))
        groups = [buyers[place * count : (place + 1) * count] for place in range(len(SIDES))]
        compared = [
            Side(name, target, asking(here, SERVER), group[:warm_up], group[warm_up:])
            for name, target, group in zip(SIDES, targets, groups, strict=True)
        ]
        yield compared, Servers("nginx", 0, 0, [one, two])


@contextmanager
def before(here: Ground, nodes: Sequence[Server]) -> Iterator[Server]:
    """nginx before these."""
    port = postgres.free_port()
    behind = [Node("127.0.0.1", node.port, node.port) for node in nodes]
    with nginx.running(here.folder / f"nginx{port}", port, behind) as pid:
        yield Server("nginx", port, pid)


def measure(compared: Sequence[Side], proxies: Server) -> Figures:
    figures = compare_all(compared, proxies)
    return {name: {side: renamed(found) for side, found in by_side.items()} for name, by_side in figures.items()}


def renamed(found: Mapping[str, float]) -> dict[str, float]:
    """What `bench.run` counts as the database beside the server is nginx here."""
    return {"nginx_ms" if key == "database_ms" else key: value for key, value in found.items()}


def tables(result: Mapping[str, Any]) -> list[Table]:
    figures = result["figures"]
    costs, speeds = [], []
    for name in peers.NAMES:
        of = figures[name]
        ratio = of["two"]["cpu_ms"] / of["one"]["cpu_ms"]
        cells = [*(ms(of[side]["cpu_ms"]) for side in SIDES), f"{ratio:.2f}", ms(of["two"]["nginx_ms"])]
        costs.append([peers.TITLES[name], *cells])
        for side, title in SIDES.items():
            rate, p50, p95 = (of[side][what] for what in ("per_second", "p50_ms", "p95_ms"))
            speeds.append([f"{peers.TITLES[name]}: {title}", f"{rate:.0f}", f"{p50:.1f}", f"{p95:.1f}"])
    about = "Milliseconds of processor time per request, of all web nodes together; two nodes beside one; and of nginx."
    heads = ["", *SIDES.values(), "two / one", "nginx itself"]
    shared = (
        f"{CONCURRENCY} clients at a time, the database, nginx and all nodes share {os.cpu_count()} cores:"
        " what a second node adds cannot be seen on a machine whose cores are all busy with one."
    )
    return [
        Table("CPU ms per request, one and two web nodes", about, heads, costs),
        Table("Requests per second behind nginx", shared, ["", "req/s", "p50 ms", "p95 ms"], speeds),
    ]


if __name__ == "__main__":
    main()
