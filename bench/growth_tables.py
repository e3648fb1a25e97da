"""How the figures of `bench.growth` are shown: as ratios to the smallest number of orders."""

from collections.abc import Mapping
from typing import Any

from bench.peers import NAMES, TITLES
from bench.tables import Table, ms

AIM = 1.3
KINDS = {"cpu_ms": "server CPU ms", "database_ms": "PostgreSQL CPU ms", "p50_ms": "p50 ms", "p95_ms": "p95 ms"}


def tables(result: Mapping[str, Any]) -> list[Table]:
    figures = result["figures"]
    ended = [due(figures, to_the_end=not result["options"]["seconds"])] if figures["due"] else []
    return [growth(figures), plans(figures), *ended]


def growth(figures: Any) -> Table:
    sizes = sorted(figures["bytes"], key=int)
    first = str(sizes[0])
    rows = []
    for name in NAMES:
        for kind, title in KINDS.items():
            least = figures["asked"][name][first][kind]
            values = [figures["asked"][name][str(size)][kind] for size in sizes]
            ratios = [f"{value / least:.2f}" for value in values[1:]]
            rows.append([f"{TITLES[name]}: {title}", ms(values[0]), *ratios])
    size = ", ".join(f"{int(number):,} orders are {int(figures['bytes'][number]) / 2**20:,.0f} MiB" for number in sizes)
    worst = max(
        figures["asked"][name][str(size)]["cpu_ms"] / figures["asked"][name][first]["cpu_ms"]
        for name in NAMES
        for size in sizes
    )
    about = (
        f"With more orders in the tables, as multiples of the first column; aim: at most {AIM} (the server's CPU:"
        f" {'reached' if worst <= AIM else 'not reached'}, {worst:.2f} at the most). In the tables, with all that"
        f" belongs to them: {size}."
    )
    heads = ["", f"{int(first):,} orders", *(f"{int(number):,}" for number in sizes[1:])]
    return Table("Growth", about, heads, rows)


def plans(figures: Any) -> Table:
    rows = []
    for name, found in figures["plans"].items():
        indexes = {index for plan in found for index in plan["indexes"]}
        scans = sorted({table for plan in found for table in plan["scans"]})
        rows.append([name, str(len(found)), str(len(indexes)), ", ".join(scans) or "none"])
    about = (
        "On the largest tables: how many statements are sent, how many indexes their plans use, and which large tables"
        " they read from end to end. That may cost less than an index where a table is small, or a thousand of its rows"
        " go at once."
    )
    return Table("Plans", about, ["", "statements", "indexes", "whole tables read"], rows)


def due(figures: Any, *, to_the_end: bool) -> Table:
    run = figures["due"]
    cells = [f"{run['ended']:,}", f"{run['seconds']:.0f}", f"{run['per_second']:.0f}", ms(run["cpu_ms"])]
    minutes = run["due"] / run["per_second"] / 60
    until = "to the end" if to_the_end else f"over the part that is shown; all would take {minutes:.0f} minutes"
    about = (
        f"{run['due']:,} orders fall due at once beside all the others; one run_jobs asks Alipay (the simulator) about"
        f" each and ends it. Measured after the first few, {until}."
    )
    return Table(
        "Expiry", about, ["", "orders ended", "seconds", "orders/s", "CPU ms per order"], [["run_jobs", *cells]]
    )
