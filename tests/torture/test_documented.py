"""The table of docs/torture.md has every trial, with the sizes that the plan has."""

import math
import re

import pytest

from torture import plan
from torture.evidence import ROOT
from torture.trials import double_clicks, duplicates

PAGE = (ROOT / "docs" / "torture.md").read_text()
ROW = re.compile(r"^\| (T\d\w*|T7, T7B|many[\w-]*) \|(.*)\|$", re.M)
FIGURES = re.compile(r"[\d,]*\d(?: [×+] [\d,]*\d)*")
GATE, LONG = 2, 3
ROWS = {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in ROW.findall(PAGE)}


def trials_of(row):
    """T4 is T4-workers and T4-servers."""
    names = row.split(", ")
    return [plan.load(name) for name in plan.PLAN if name in names or (row[0] == "T" and name.startswith(f"{row}-"))]


def sizes(cell, count):
    """Of so many trials, by what stands at the beginning of the cell."""
    found = FIGURES.match(cell)
    assert found, f"no figure begins {cell!r}"
    parts = [product(part) for part in found[0].split(" + ")]
    return parts if count > 1 else [sum(parts)]


def product(text):
    return math.prod(int(factor.replace(",", "")) for factor in text.split(" × "))


def test_every_trial_has_its_row():
    assert sorted(trial.name for row in ROWS for trial in trials_of(row)) == sorted(plan.PLAN)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_the_sizes_of_the_plan(row):
    trials = trials_of(row)
    assert sizes(ROWS[row][GATE], len(trials)) == [trial.gate for trial in trials]
    assert sizes(ROWS[row][LONG], len(trials)) == [trial.long for trial in trials]


@pytest.mark.parametrize(("row", "module"), [("T6", duplicates), ("T9", double_clicks)])
def test_how_many_processes_there_are_at_once(row, module):
    said = [re.search(r"\bby (\d+)", ROWS[row][column])[1] for column in (GATE, LONG)]
    assert said == [str(module.GATE_SIZE), str(module.LONG_SIZE)]


@pytest.mark.parametrize(
    ("cell", "count", "expected"),
    [
        ("1,000 + 100", 2, [1000, 100]),
        ("14 + 60: sets whole, and orders of twelve", 1, [74]),
        ("33 × 4 × 3", 1, [396]),
        ("6 slices of 5 s", 1, [6]),
        ("40 by 8 processes", 1, [40]),
    ],
)
def test_how_figures_are_read(cell, count, expected):
    assert sizes(cell, count) == expected
