"""How the figures of the benches of work in the background, bills and waiting clients are shown."""

from collections.abc import Mapping
from typing import Any

from bench.tables import Table

Result = Mapping[str, Any]


def jobs(result: Result) -> list[Table]:
    rows = []
    for engine, works in result["figures"].items():
        cells = [f"{works[work][what]:.{places}f}" for work in works for what, places in KINDS.items()]
        rows.append([engine, *(cells or ["not run here: no RabbitMQ", "", "", ""])])
    about = "Orders that fell due at once and were ended, each with a signed question; events delivered to an endpoint."
    return [Table("Orders ended and events delivered", about, ["", "orders/s", "CPU ms", "events/s", "CPU ms"], rows)]


KINDS = {"per_second": 0, "cpu_ms": 1}


def bill(result: Result) -> list[Table]:
    run = result["figures"]
    cells = [f"{run['rows'] / run['seconds']:,.0f}", f"{run['seconds']:.1f}", f"{run['cpu_seconds']:.1f}"]
    memory = f"{run['after']:.0f} MiB ({run['before']:.0f} before)"
    found = ", ".join(f"{count} {name}" for name, count in run["found"].items())
    about = (
        f"A bill of {run['rows']:,} rows is read, unpacked and held against as many payments; found as planted:"
        f" {found}; {run['repaired']} repaired. CPU is our own, without PostgreSQL's."
    )
    heads = ["", "rows/s", "seconds", "CPU seconds", "peak memory"]
    return [Table("One bill", about, heads, [["reconcile", *cells, memory]])]


def stream(result: Result) -> list[Table]:
    rows = [
        [
            f"over {name}",
            f"{run['kib_per_client']:.1f}",
            f"{run['idle_percent']:.1f} %",
            *(f"{run[what]:.1f}" for what in ("p50_ms", "p95_ms", "p99_ms")),
        ]
        for name, run in result["figures"].items()
    ]
    about = (
        f"{result['options']['clients']:,} clients wait on one stream process, each for its own order, with heartbeats;"
        f" {result['options']['notifies']:,} of the orders are paid, one by one. Milliseconds from the notify's"
        " `success` to the client's event."
    )
    heads = ["", "KiB per client", "of a core, idle", "median ms", "p95 ms", "p99 ms"]
    return [Table("Live streams", about, heads, rows)]
