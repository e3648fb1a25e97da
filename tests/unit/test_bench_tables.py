"""How the benches reckon and show: right sums, a page that keeps what a hand wrote, the same pictures twice."""

import json
import platform
import re

import pytest

from bench import growth_tables, page_text, peers, purchase_tables, results, run_tables
from bench.operations import CREATE, by_hash, by_text
from bench.purchase import median_of
from bench.storefront import DOCUMENTS, document
from bench.tables import Table

COSTS = {"create": 4.0, "with_lines": 2.0, "minimal": 1.0, "notify": 2.0}
SPEED = {"per_second": 100, "p50_ms": 5.0, "p95_ms": 9.0, "database_ms": 0.5}


def requests(*, slower=1.0):
    """Figures of a machine so many times as slow as the peers' machine."""

    def sides(name, cost):
        floor = {"floor": peers.FLOOR[name] * slower, "ours": cost * slower, "tutorial": 9.0 * slower}
        if name != "notify":
            floor |= {"by hash": cost * slower, "storefront": 2 * cost * slower}
        return {side: {"cpu_ms": value, **SPEED} for side, value in floor.items()}

    return {name: sides(name, cost) for name, cost in COSTS.items()}


def purchase(stream=3.0, slower=1.0):
    asked = {name: {"ours": {"cpu_ms": cost * slower}} for name, cost in {**COSTS, "final": 2.0}.items()}
    asked["minimal"]["floor"] = {"cpu_ms": peers.FLOOR["minimal"] * slower}
    parts = {"open": stream / 3 * slower, "hold": stream / 3 * slower, "tell": stream / 3 * slower}
    return {"asked": asked, "stream": parts}


def grown(ratio):
    def by_size(value):
        return {"10": {**SPEED, "cpu_ms": value}, "1000": {**SPEED, "cpu_ms": value * ratio}}

    asked = {name: by_size(cost) for name, cost in COSTS.items()}
    scan = {"indexes": [], "scans": ["orders_order"]}
    due = {"due": 6000, "ended": 600, "seconds": 6.0, "per_second": 100.0, "cpu_ms": 3.0}
    return {"asked": asked, "plans": {"list": [scan]}, "due": due, "bytes": {"10": 2**20, "1000": 2**30}}


def test_the_given_whole_purchase_of_the_polling_node_peer():
    assert peers.polling(peers.NODE) == pytest.approx(1.27 + 30 * 0.22 + 0.59 + 0.37)


def test_an_aim_moves_with_the_machine():
    """Twice as slow everywhere: the same aims are reached, and the same are not."""
    reached = {slower: [row[-1] for row in run_tables.aims(requests(slower=slower)).rows] for slower in (1.0, 2.0)}
    assert reached[1.0] == reached[2.0] == ["no", "no", "no", "no"]
    fast = {name: {**sides, "ours": {**sides["ours"], "cpu_ms": 0.5}} for name, sides in requests().items()}
    assert [row[-1] for row in run_tables.aims(fast).rows] == ["yes"] * 4


def test_the_machine_is_as_slow_as_the_least_slow_of_its_floors():
    assert peers.machine_factor({name: cost * 3 for name, cost in peers.FLOOR.items()} | {"create": 0.77 * 1.5}) == 1.5


def test_an_aim_that_only_its_own_floor_makes_easy_is_not_called_reached():
    figures = requests()
    figures["notify"]["floor"]["cpu_ms"] = 3 * peers.FLOOR["notify"]
    assert run_tables.aims(figures).rows[-1][-1] == "by its own floor"


def test_ratios_are_to_the_floor():
    first = run_tables.ratios(requests()).rows[0]
    assert first[:2] == ["createOrder, 3 courses", f"{4.0 / 0.77:.2f}"]
    assert run_tables.ratios(requests()).rows[-1][2] == "–"  # a notify has no document to name


def test_a_whole_purchase_is_its_parts():
    ways = purchase_tables.purchases(purchase(stream=3.0, slower=2.0))
    assert ways["streaming"].whole == pytest.approx(2 * (4.0 + 3.0 + 2.0))
    assert ways["polling"].whole == pytest.approx(2 * (4.0 + 30 * 1.0 + 2.0 + 2.0))
    assert ways["node polling"].whole == pytest.approx(2 * 8.83)
    assert ways["node streaming"].whole == pytest.approx(2 * (1.27 + 2 * 0.37 + 1.0 + 0.59))


@pytest.mark.parametrize(("ratio", "word"), [(1.2, "reached, 1.20"), (1.4, "not reached, 1.40")])
def test_growth_says_whether_it_stays_within_its_aim(ratio, word):
    assert word in growth_tables.growth(grown(ratio)).about


def test_a_table_that_is_read_whole_is_named():
    assert growth_tables.plans(grown(1.0)).rows == [["list", "1", "0", "orders_order"]]


def test_expiry_says_how_long_all_would_take():
    assert "all would take 1 minutes" in growth_tables.due(grown(1.0), to_the_end=False).about
    assert "all would take" not in growth_tables.due(grown(1.0), to_the_end=True).about


def test_a_table_is_the_same_in_a_terminal_and_on_a_page():
    table = Table("Title", "About it.", ["", "ms"], [["one", "1.00"], ["two", "20.0"]])
    assert table.text().splitlines()[3:] == ["        ms", "one   1.00", "two   20.0"]
    assert "| one | 1.00 |" in table.markdown()


def test_the_page_keeps_what_was_written_by_hand(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(f"Before.\n{page_text.BEGINS}\nold figures\n{page_text.ENDS}\nAfter.\n")
    found = {"run": {"figures": requests(), "machine": {"cores": "2"}, "date": "d", "commit": "c", "load_before": 0.1}}
    page_text.rewrite(page, found)
    once = page.read_text()
    assert once.startswith("Before.\n")
    assert once.endswith("\nAfter.\n")
    assert "old figures" not in once
    assert "| createOrder, 3 courses | 4.00 |" in once
    page_text.rewrite(page, found)
    assert page.read_text() == once


def test_a_result_names_the_machine_but_not_its_name():
    text = json.dumps(results.machine())
    assert platform.node() not in re.findall(r"[\w.-]+", text)
    assert str(results.ROOT) not in text
    assert set(results.machine()) == {"processor", "cores", "memory", "system", "Python", "PostgreSQL"}


def test_by_hash_is_what_apollo_client_sends():
    asked = by_hash(CREATE)
    assert asked["operationName"] == "CreateOrder"
    assert asked["extensions"]["persistedQuery"]["version"] == 1
    assert re.fullmatch(r"[0-9a-f]{64}", asked["extensions"]["persistedQuery"]["sha256Hash"])
    assert "query" not in asked
    assert by_text(CREATE) == {"query": CREATE}


def test_the_storefronts_documents_are_found_by_their_own_hash():
    named = json.loads(DOCUMENTS.read_text())
    for kind, name in (("mutation", "CreateOrder"), ("query", "Order"), ("query", "OrderProgress")):
        assert by_hash(document(kind, name))["extensions"]["persistedQuery"]["sha256Hash"] in named


@pytest.mark.parametrize(
    ("draw", "figures"), [("requests", requests()), ("purchase", purchase()), ("growth", grown(1.1))]
)
def test_the_same_figures_make_the_same_picture(draw, figures, tmp_path):
    plots = pytest.importorskip("bench.plots")
    with plots.plt.rc_context(plots.STYLE):
        for name in ("one", "two"):
            plots.save(getattr(plots, draw)(figures), tmp_path / f"{name}.svg")
    one = (tmp_path / "one.svg").read_bytes()
    assert one == (tmp_path / "two.svg").read_bytes()
    assert b"<dc:date>" not in one


def test_of_several_rounds_each_figure_is_the_median():
    rounds = [{"asked": {"create": {"ours": cost}}, "open": 10 - cost} for cost in (1.0, 9.0, 2.0)]
    assert median_of(rounds) == {"asked": {"create": {"ours": 2.0}}, "open": 8.0}
