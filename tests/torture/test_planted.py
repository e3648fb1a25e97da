"""The suite on trial: planted bugs, and mutants. Its own controls."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.payments.providers import alipay_bill_table
from torture import bugs
from torture.bugs import BUGS, bug, unfit
from torture.evidence import ROOT
from torture.mutants.listing import add_unexplained, compare, listed
from torture.mutants.making import mutants_of
from torture.planting import Edit, NotPlanted, change_functions, plant
from torture.trial import Tally
from torture.trials.planted import PLANTED, run

HARMLESS = """
import sys
from torture import planted
from torture.bugs import bug
test = "tests/unit/test_money.py::test_amounts"
old, new = {edit!r}
planted.BUGS = (bug("none at all", "backend/money.py", old, new, test),)
sys.exit(planted.main(["--cases", "0"]))
"""


def control(old: str, new: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", HARMLESS.format(edit=(old, new))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_planted_bug_is_noticed():
    tally = Tally()
    run([1], 1, tally)
    assert (tally.done, tally.violations) == (1, [])
    assert tally.counts == {"planted bugs": 1, "noticed": 1}


def test_control_a_change_that_breaks_nothing_is_told():
    said = control("if not 0 <= fen <= MAX_FEN:", "if not -1 < fen <= MAX_FEN:")
    assert '"red": ""' in said.stdout, said.stderr
    assert said.returncode == 1


def test_control_an_edit_that_no_longer_fits_is_told():
    said = control("words that stand nowhere", "")
    assert "has 0 times, not once" in said.stdout, said.stderr
    assert said.returncode == 1


def test_every_bug_fits_the_source_and_has_its_own_name():
    assert PLANTED.gate == len({bug.name for bug in BUGS}) == 25
    assert unfit() == []


def test_control_a_bug_that_no_longer_fits_is_named(monkeypatch):
    monkeypatch.setattr(bugs, "BUGS", (bug("none at all", "backend/money.py", "words that stand nowhere", "", "-"),))
    assert [said.split(":")[0] for said in unfit()] == ["none at all"]


def test_a_bug_in_no_function_is_not_planted():
    with pytest.raises(NotPlanted, match="no function"):
        plant(Edit("backend/money.py", "MAX_FEN = 99_999_999_99", "MAX_FEN = 99_999_999_98"))


def test_what_a_function_answered_before_it_was_changed_is_forgotten():
    file = Path(alipay_bill_table.__file__)
    assert alipay_bill_table._fen("-1.00") == -100
    assert alipay_bill_table._fen.cache_info().currsize > 0
    assert change_functions(str(file.relative_to(ROOT)), file.read_text("utf-8")) == 0
    assert alipay_bill_table._fen.cache_info().currsize == 0


def test_mutants_are_made_where_mutmut_alone_makes_none_and_have_each_their_name():
    mutants = list(mutants_of("backend/payments/refunding.py"))
    functions = {mutant.function for mutant in mutants}
    assert {"take_turn", "try_again", ""} <= functions  # the first two are decorated
    assert len({mutant.name for mutant in mutants}) == len(mutants) > 100


def test_the_page_of_survivors_is_held_against_the_results(tmp_path):
    first, second, third = list(mutants_of("backend/money.py"))[:3]
    page = tmp_path / "mutants.md"
    page.write_text(f"# Mutants\n\n## For a reason\n\n- `{first.name}`\n- `no such mutant`\n")
    assert listed(page)[first.name] == "For a reason"
    found = compare([first.name, second.name], [third.name], [first, second, third], page)
    assert (found.unlisted, found.caught, found.gone) == ([second.name], [], ["no such mutant"])
    add_unexplained(found.unlisted, page)
    assert listed(page)[second.name] == "Not explained yet"
    assert not compare([second.name], [first.name], [first, second, third], page).unlisted
