"""Which cases a command runs: whoever names a trial never gets an empty run that looks like a green one."""

import sys

import pytest

from torture import plan
from torture.__main__ import chosen, parse, prepare


def run_of(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["torture", *words])
    arguments = parse()
    return prepare(arguments, chosen(arguments))


def cases(run):
    (record,) = run.records.values()
    return record.next, record.target


@pytest.mark.parametrize("name", plan.PLAN)
def test_a_trial_that_is_named_runs_some_cases(monkeypatch, name):
    trial = plan.load(name)
    run = run_of(monkeypatch, name)
    assert cases(run) == (0, trial.gate or trial.long)
    assert cases(run)[1] > 0
    run.progress.close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--first", "7"], (7, 8)),
        (["--first", "7", "--last", "9"], (7, 9)),
        (["--last", "2"], (0, 2)),
        (["--first", "0"], (0, 1)),
    ],
)
def test_the_cases_that_are_named_are_run(monkeypatch, words, expected):
    for name in ("T1", "many-pgbouncer"):
        assert cases(run_of(monkeypatch, name, *words)) == expected


@pytest.mark.parametrize("words", [["--last", "0"], ["--first", "7", "--last", "7"], ["--first", "-1", "--last", "1"]])
def test_a_range_without_a_case_is_refused(monkeypatch, words):
    with pytest.raises(SystemExit, match="T1: there is no case from"):
        run_of(monkeypatch, "T1", *words)


def test_a_gate_of_trials_that_it_has_not_got_is_refused(monkeypatch):
    with pytest.raises(SystemExit, match=r"of many-pgbouncer\. Alone it runs: .venv/bin/python -m torture many"):
        run_of(monkeypatch, "gate", "T1", "many-pgbouncer")
    everything = run_of(monkeypatch, "gate")  # nobody named them
    assert "many-pgbouncer" not in everything.records
    assert "T1" in everything.records
    assert "many-pgbouncer" in run_of(monkeypatch, "long", "many-pgbouncer").records
