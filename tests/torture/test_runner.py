"""The runner: batches, evidence, going on, and what it does with a worker that dies, hangs or lacks something."""

import json
import re
import threading

import pytest

from tests.torture.toy_worker import TOYS
from torture import plan
from torture.__main__ import report
from torture.evidence import KEPT, ROOT, Evidence, Record, this_machine, with_batch, without_places
from torture.progress import Progress
from torture.runner import ONE_LANE, Run, replay
from torture.summary import PROMISES, headline, records, summary, write_summary

MACHINE = this_machine()


@pytest.fixture
def run_of(tmp_path):
    """A run of toys over so many cases, on the evidence that lies in the folder."""

    def make(target, *names, seed=3, **settings):
        evidence = Evidence(tmp_path, MACHINE, "c0ffee0", dirty=False)
        trials = [TOYS[name] for name in names]
        records = {name: evidence.record(TOYS[name], seed=seed, target=target, afresh=False) for name in names}
        return Run(trials, records, evidence, Progress(records), worker="tests.torture.toy_worker", **settings)

    return make


def known(run):
    return {file.stem: json.loads(file.read_text()) for file in run.evidence.folder.glob("*.json")}


def test_a_run_in_batches_counts_everything_once_and_says_how_to_see_it_again(run_of, capsys):
    run = run_of(10, "fine")
    run.go(ONE_LANE)
    record = known(run)["fine"]
    assert (record["done"], record["next"], record["counts"]) == (10, 10, {"seen": 30})
    assert record["violations"] == ["case 6 of the batch from 4: six is wrong"]
    assert (record["seed"], record["commit"], record["machine"]) == (3, "c0ffee0", MACHINE)
    assert report(run, broken_off=False, keep=False) == 1
    assert ".venv/bin/python -m torture fine --seed 3 --first 4 --last 7" in capsys.readouterr().out


def test_a_second_run_with_the_same_seed_goes_on_and_with_another_begins_anew(run_of):
    run_of(4, "fine").go(ONE_LANE)
    again = run_of(6, "fine")
    assert again.records["fine"].next == 4
    again.go(ONE_LANE)
    assert known(again)["fine"]["counts"] == {"seen": 18}
    assert run_of(6, "fine", seed=4).records["fine"].next == 0


def test_a_worker_that_dies_is_a_violation_of_its_case_and_the_others_are_tried(run_of):
    run = run_of(5, "dies")
    run.go(ONE_LANE)
    record = known(run)["dies"]
    assert record["violations"] == ["case 1 of the batch from 0: the worker died with exit code -9"]
    assert (record["done"], record["next"]) == (4, 5)


def test_a_worker_that_hangs_is_ended_and_what_it_had_done_is_kept(run_of):
    run = run_of(2, "hangs")
    run.go(ONE_LANE)
    record = known(run)["hangs"]
    assert record["violations"] == ["case 1 of the batch from 0: no end after 2 s"]
    assert record["done"] == 1


def test_a_trial_that_breaks_off_again_and_again_is_given_up(run_of):
    run = run_of(50, "breaks")
    run.go(ONE_LANE)
    record = known(run)["breaks"]
    assert [text.split(":")[0] for text in record["violations"]] == ["case 0", "case 1", "case 2"]
    assert "I cannot go on" in record["violations"][0]


def test_what_is_not_here_is_listed_and_fails_in_ci_alone(run_of, monkeypatch, capsys):
    run = run_of(2, "lacks")
    run.go(ONE_LANE)
    for in_ci, code in ((False, 0), (True, 1)):
        monkeypatch.setattr("torture.__main__.IN_CI", in_ci)
        assert report(run, broken_off=False, keep=False) == code
        assert "not run here: lacks: no abacus" in capsys.readouterr().out
    assert run_of(2, "lacks").records["lacks"].missing == ""  # it may be here next time


def test_a_run_that_is_broken_off_keeps_what_was_done(run_of):
    run = run_of(2, "hangs")
    timer = threading.Timer(1, run.stopped.set)
    timer.start()
    run.go(ONE_LANE)
    record = known(run)["hangs"]
    assert (record["violations"], record["done"], record["next"]) == ([], 1, 1)


def test_no_batch_begins_after_the_time_is_over(run_of):
    run = run_of(10, "fine", minutes=0)
    run.go(ONE_LANE)
    assert known(run) == {}


def test_in_turns_every_trial_has_something_of_the_time(run_of):
    run = run_of(8, "fine", "dies", in_turns=True)
    order = []
    run.progress.batch_done = lambda record: order.append(record.trial)
    run.go(ONE_LANE)
    assert order[:4] == ["fine", "dies", "dies", "fine"]


def test_the_headline_promises_only_what_was_found(tmp_path):
    evidence = Evidence(tmp_path, MACHINE, "c0ffee0", dirty=True)
    lives = Record("T1", "lives", "schedules", 1, 20, next=20, done=20, began="2026-11-23", last="2026-11-23")
    planted = Record("T16", "bugs", "bugs", 1, 25, next=25, done=25, began="2026-11-23", last="2026-11-23")
    evidence.write(lives)
    evidence.write(planted)
    text = write_summary(evidence).read_text()
    assert f"**20 seeded fault schedules: {PROMISES} — and 25 of 25 planted bugs caught.**" in text
    assert "not committed" in text
    lives.violations = ["case 7: I3 lost"]
    evidence.write(lives)
    text = write_summary(evidence).read_text()
    assert PROMISES not in text
    assert "1 VIOLATIONS" in text
    assert "case 7: I3 lost" in text
    assert replay(lives, lives.violations[0]).endswith("T1 --seed 1 --first 7 --last 8")


@pytest.mark.parametrize("page", sorted(KEPT.glob("*/SUMMARY.md")), ids=lambda page: page.parent.name)
def test_kept_summaries_are_those_of_the_records_beside_them(page):
    assert page.read_text() == summary(records(page.parent))


def test_the_readme_claims_what_the_kept_evidence_says():
    """Word for word, and from a record without a violation."""
    readme = " ".join((ROOT / "README.md").read_text().split())
    claimed = [known for known in map(records, KEPT.glob("*-*")) if headline(known).strip("*.") in readme]
    assert len(claimed) == 1
    chinese = (ROOT / "README.zh-CN.md").read_text()
    assert [figure for figure in re.findall(r"[0-9][0-9,]*", headline(claimed[0])) if figure not in chinese] == []
    assert not [record["violations"] for record in claimed[0].values() if record["violations"]]
    assert all(record["done"] == record["target"] and not record["dirty"] for record in claimed[0].values())


def test_a_violation_of_no_case_is_the_last_ones_and_is_seen_again_with_its_batch():
    assert with_batch("case -1: lost", 50, 99) == "case 99 of the batch from 50: lost"
    lives = Record("T3P", "pairs", "pairs", 1, 1000)
    assert replay(lives, "case 99 of the batch from 50: lost").endswith("T3P --seed 1 --first 50 --last 100")


def test_evidence_names_no_place_of_the_machine(tmp_path):
    assert without_places(f"{plan.__file__} is wrong") == "torture/plan.py is wrong"
    text = json.dumps(MACHINE)
    assert "/" not in text.replace("GNU/Linux", "")


def test_the_plan_has_every_trial_under_its_own_name():
    trials = [plan.load(name) for name in plan.PLAN]
    assert [trial.name for trial in trials] == list(plan.PLAN)
    assert all(trial.long >= trial.gate and trial.long > 0 and trial.batch > 0 for trial in trials)
