"""`.venv/bin/python -m bench.plots`: the pictures and tables of docs/performance.md, of what is in docs/performance.

It measures nothing; `.venv/bin/python -m bench.page` measures first. The same figures make the same bytes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import growth_tables, page_text, peers, purchase_tables, results, run_tables
from bench.peers import NAMES, TITLES
from bench.servers import ROOT

PAGE = ROOT / "docs" / "performance.md"
OURS, OTHERS, MEASURED, AIM = "#1f6feb", "#c3cad3", "#8a94a1", "#c2410c"
PARTS = {"create": "#1f4e9c", "wait": "#1f6feb", "notify": "#7fb0f5", "read": "#c9defb"}
LINES = ("#1f6feb", "#c2410c", "#2f855a", "#6b46c1")
UNDER_TEXT = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
STYLE = {
    "svg.hashsalt": "coursepay",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def main() -> None:
    found = page_text.kept(results.PAGE)
    drawn: dict[str, Callable[[Mapping[str, Any]], Figure]] = {"run": requests, "purchase": purchase, "growth": growth}
    with plt.rc_context(STYLE):
        for name, draw in drawn.items():
            if name in found:
                save(draw(found[name]["figures"]), results.PAGE / f"{name}.svg")
    page_text.rewrite(PAGE, found)


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    plt.close(figure)


def requests(figures: Any) -> Figure:
    """A panel for each operation: who takes how much of the processor for one request."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 6.2), layout="constrained")
    floor = run_tables.costs_of(figures, "floor")
    factor = peers.machine_factor(floor)
    for panel, name in zip(panels.flat, NAMES, strict=True):
        bars(panel, costs(figures, name, factor))
        aim = peers.AIMS[name] * factor
        panel.axvline(aim, color=AIM, linewidth=1.2, linestyle="--")
        panel.text(aim, -0.62, " aim", color=AIM, va="bottom", fontsize=8.5)
        panel.set_title(TITLES[name], pad=14)
        panel.set_xlabel("CPU ms per request")
    return figure


def costs(figures: Any, name: str, factor: float) -> list[tuple[str, float, str]]:
    """Title, milliseconds and colour of each bar, those that were given scaled to this machine."""
    measured = {side: run_tables.of(figures, name, side) for side in ("ours", "by hash", "floor", "tutorial")}
    given = {who: costs[name] * factor for who, costs in peers.PEERS.items() if name in costs}
    rows = [
        ("ours", measured["ours"], OURS),
        ("ours, by hash", measured["by hash"], OURS),
        ("bare floor", measured["floor"], MEASURED),
        ("tutorial, measured", measured["tutorial"], MEASURED),
        *((f"{who.replace(', ', ' + ', 1).split(',')[0]} (given)", value, OTHERS) for who, value in given.items()),
    ]
    return [(title, value, colour) for title, value, colour in rows if value is not None]


def bars(panel: Axes, rows: list[tuple[str, float, str]]) -> None:
    titles, values, colours = zip(*rows, strict=True)
    places = range(len(rows))
    panel.barh(places, values, color=colours, height=0.68)
    panel.set_yticks(places, titles)
    panel.invert_yaxis()
    panel.tick_params(axis="y", length=0)
    for place, value in zip(places, values, strict=True):
        beside(panel, value, place, f"{value:.2f}")
    panel.margins(x=0.12)


def beside(panel: Axes, value: float, place: float, text: str) -> None:
    """The figure beside the end of its bar, readable where a line crosses it."""
    panel.annotate(
        text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5, bbox=UNDER_TEXT
    )


def purchase(figures: Any) -> Figure:
    """One bar for each way to buy, in the parts it is made of."""
    ways = list(purchase_tables.purchases(figures).values())
    figure, panel = plt.subplots(figsize=(10, 3), layout="constrained")
    left = [0.0] * len(ways)
    for part, colour in PARTS.items():
        values = [getattr(way, part) for way in ways]
        panel.barh(range(len(ways)), values, left=left, color=colour, height=0.62, label=part)
        left = [begin + value for begin, value in zip(left, values, strict=True)]
    for place, whole in enumerate(left):
        beside(panel, whole, place, f"{whole:.1f}")
    aim = peers.WHOLE_PURCHASE_AIM * peers.polling(peers.NODE) * purchase_tables.factor_of(figures)
    panel.axvline(aim, color=AIM, linewidth=1.2, linestyle="--", label="aim, with the stream")
    panel.set_yticks(range(len(ways)), [way.title for way in ways])
    panel.tick_params(axis="y", length=0)
    panel.invert_yaxis()
    panel.margins(x=0.08)
    panel.set_xlabel("CPU ms of the servers for one whole purchase")
    panel.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.4, 1.17), fontsize=8.5)
    return figure


def growth(figures: Any) -> Figure:
    """Multiples of the first, by the number of orders: of the server's processor time, and of PostgreSQL's."""
    sizes = sorted(int(size) for size in figures["bytes"])
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
    for panel, (kind, title) in zip(panels, {"cpu_ms": "the server", "database_ms": "PostgreSQL"}.items(), strict=True):
        for name, colour in zip(NAMES, LINES, strict=True):
            values = [figures["asked"][name][str(size)][kind] for size in sizes]
            ratios = [value / values[0] for value in values]
            panel.plot(sizes, ratios, color=colour, marker="o", markersize=4, label=TITLES[name])
        panel.axhline(growth_tables.AIM, color=AIM, linewidth=1.2, linestyle="--", label="aim: at most")
        panel.set_xscale("log")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.set_title(f"Processor time of {title}")
        panel.set_xlabel("orders in the tables")
    panels[0].set_ylabel(f"multiple of that at {sizes[0]:,}")
    panels[0].set_ylim(bottom=0)
    panels[1].legend(frameon=False, fontsize=8.5, loc="lower left")
    return figure


if __name__ == "__main__":
    main()
