"""How the figures of `bench.purchase` are shown: beside the peers', like beside like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench import peers
from bench.peers import NODE, POLLS, WHOLE_PURCHASE_AIM
from bench.tables import Table, ms


@dataclass(frozen=True)
class Purchase:
    """Processor milliseconds of a whole purchase, in its four parts."""

    title: str
    create: float
    wait: float
    notify: float
    read: float

    @property
    def whole(self) -> float:
        return self.create + self.wait + self.notify + self.read


def tables(result: Mapping[str, Any]) -> list[Table]:
    figures = result["figures"]
    return [whole(figures), parts(figures)]


def purchases(figures: Any) -> dict[str, Purchase]:
    """Four ways of it; Node's times the factor of the machine."""
    cost = {name: by_side["ours"]["cpu_ms"] for name, by_side in figures["asked"].items()}
    stream = figures["stream"]
    create, notify, final = cost["create"], cost["notify"], cost["final"]
    node = {name: value * factor_of(figures) for name, value in NODE.items()}
    states = 2 * node["with_lines"]
    return {
        "streaming": Purchase("ours, live stream", create, sum(stream.values()), notify, 0.0),
        "polling": Purchase(f"ours, {POLLS} polls", create, POLLS * cost["minimal"], notify, final),
        "node polling": Purchase(
            f"Node, {POLLS} polls (given)", node["create"], POLLS * node["minimal"], node["notify"], node["with_lines"]
        ),
        "node streaming": Purchase(
            "Node, live stream (estimate)", node["create"], states + stream["hold"], node["notify"], 0.0
        ),
    }


def factor_of(figures: Any) -> float:
    asked = figures["asked"]
    return peers.machine_factor({name: asked[name]["floor"]["cpu_ms"] for name in asked if "floor" in asked[name]})


def whole(figures: Any) -> Table:
    ways = purchases(figures)
    yardstick = ways["node polling"].whole
    rows = [
        [
            way.title,
            *(ms(part) for part in (way.create, way.wait, way.notify, way.read, way.whole)),
            f"{way.whole / yardstick:.2f}",
        ]
        for way in ways.values()
    ]
    reached = "reached" if ways["streaming"].whole <= WHOLE_PURCHASE_AIM * yardstick else "not reached"
    about = (
        "CPU ms of the servers for one purchase: create, wait a minute for the buyer, notify, and the client knows and"
        f" shows the final state. Aim: with the live stream at most {WHOLE_PURCHASE_AIM} of the polling Node peer"
        f" ({reached}). Node's figures are given and not measured, {peers.polling(NODE):.2f} ms on their machine, here"
        f" times {factor_of(figures):.2f}; its stream is an estimate: its own create and notify, its own read for each"
        " of the two states that are sent, and what holding a stream costs us."
    )
    return Table(
        "A whole purchase", about, ["", "create", "wait", "notify", "read", "whole", "of Node's polling"], rows
    )


def parts(figures: Any) -> Table:
    titles = {
        "open": "open it, and be shown the order with its lines",
        "hold": "hold it for a minute, with heartbeats",
        "tell": "be shown the final state, and end",
    }
    rows = [[title, ms(figures["stream"][name])] for name, title in titles.items()]
    about = "CPU ms of the stream's process for one client, of all that it took divided by the clients that waited."
    return Table("The live stream's part", about, ["", "CPU ms"], rows)
