"""How the figures of `bench.run` are shown: ratios first, because they can be compared between machines and days."""

from collections.abc import Mapping
from typing import Any

from bench import peers
from bench.peers import AIMS, NAMES, TITLES
from bench.tables import Table, ms

SIDES = {
    "ours": "ours",
    "by hash": "ours, by hash",
    "storefront": "storefront's own",
    "floor": "floor",
    "tutorial": "tutorial",
}
"""The columns; the storefront's own documents ask for more than the others."""


def tables(result: Mapping[str, Any]) -> list[Table]:
    figures = result["figures"]
    return [ratios(figures), costs(figures), aims(figures), given(figures), speeds(figures)]


def of(figures: Any, name: str, side: str, what: str = "cpu_ms") -> float | None:
    """None where this way of asking has no such operation: a notify has no document."""
    measured = figures[name].get(side)
    return measured[what] if measured else None


def costs_of(figures: Any, side: str) -> dict[str, float]:
    return {name: figures[name].get(side, figures[name]["ours"])["cpu_ms"] for name in NAMES}


def ratios(figures: Any) -> Table:
    rows = []
    for name in NAMES:
        floor = figures[name]["floor"]["cpu_ms"]
        cells = [of(figures, name, side) for side in SIDES if side != "floor"]
        rows.append([TITLES[name], *("–" if cell is None else f"{cell / floor:.2f}" for cell in cells)])
    about = "Processor time of the whole server process tree per request, as a multiple of the bare floor's."
    heads = [title for side, title in SIDES.items() if side != "floor"]
    return Table("Ratio to the floor", about, ["", *heads], rows)


def costs(figures: Any) -> Table:
    rows = [[TITLES[name], *(shown(of(figures, name, side)) for side in SIDES)] for name in NAMES]
    rows += [
        [f"PostgreSQL: {TITLES[name]}", *(shown(of(figures, name, side, "database_ms")) for side in SIDES)]
        for name in NAMES
    ]
    about = "Milliseconds of processor time per request: of the server, and of PostgreSQL at the same time."
    return Table("CPU ms per request", about, ["", *SIDES.values()], rows)


def aims(figures: Any) -> Table:
    floor = costs_of(figures, "floor")
    factor = peers.machine_factor(floor)
    rows = []
    for name in NAMES:
        best = min(cell for side in ("ours", "by hash") if (cell := of(figures, name, side)) is not None)
        own, strict = AIMS[name] * floor[name] / peers.FLOOR[name], AIMS[name] * factor
        text, hashed = (shown(of(figures, name, side)) for side in ("ours", "by hash"))
        met = "yes" if best <= strict else "by its own floor" if best <= own else "no"
        rows.append([TITLES[name], text, hashed, f"{AIMS[name]:.1f}", ms(strict), ms(own), met])
    about = (
        f"CPU ms. The aim was set on another machine; by its least slow floor this one is {factor:.2f} times as slow."
        " *Scaled* is the aim times that; *by its own floor* the aim times the ratio of that operation's floor here to"
        " the floor there, which is easier where the floor here does more work."
    )
    heads = ["", "ours", "ours, by hash", "aim", "scaled", "by its own floor", "reached"]
    return Table("Aims", about, heads, rows)


def given(figures: Any) -> Table:
    factor = peers.machine_factor(costs_of(figures, "floor"))
    rows = [
        [f"{who} (given)", *(ms(costs[name] * factor) if name in costs else "–" for name in NAMES)]
        for who, costs in peers.PEERS.items()
    ]
    for side, title in (("tutorial", "tutorial, measured here"), ("ours", "ours"), ("by hash", "ours, by hash")):
        rows.append([title, *(shown(of(figures, name, side)) for name in NAMES)])
    about = f"CPU ms per request. *Given*: others' figures from another machine, times {factor:.2f}; not measured here."
    return Table("Beside others", about, ["", *(TITLES[name] for name in NAMES)], rows)


def speeds(figures: Any) -> Table:
    rows = []
    for name in NAMES:
        for side, title in SIDES.items():
            if measured := figures[name].get(side):
                rate, p50, p95 = (measured[what] for what in ("per_second", "p50_ms", "p95_ms"))
                rows.append([f"{TITLES[name]}: {title}", f"{rate:.0f}", f"{p50:.1f}", f"{p95:.1f}"])
    about = "What four clients at a time saw, on a machine that they share with the server and the database."
    return Table("Requests per second and latency", about, ["", "req/s", "p50 ms", "p95 ms"], rows)


def shown(value: float | None) -> str:
    return "–" if value is None else ms(value)
