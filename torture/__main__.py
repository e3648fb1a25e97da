"""``.venv/bin/python -m torture gate | long | list | NAME``: see docs/torture.md."""

import argparse
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from torture import plan
from torture.evidence import ROOT, Evidence, Record
from torture.progress import Progress
from torture.runner import LANES, ONE_LANE, Run, replay
from torture.summary import table, write_summary
from torture.trial import Trial

OF_THE_GATE = ROOT / "var" / "torture" / "gate"
OF_A_REPLAY = ROOT / "var" / "torture" / "replay"
IN_CI = os.environ.get("CI") == "true"


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGTERM, interrupted)
    trials = chosen(arguments)
    if arguments.what == "list":
        print(table_of(trials))
        return 0
    run = prepare(arguments, trials)
    broken_off = False
    try:
        run.go(ONE_LANE if arguments.lanes == 1 else LANES)
    except KeyboardInterrupt:
        broken_off = True
    return report(run, broken_off=broken_off, keep=arguments.what == "long")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m torture", description="Tries what we claim until it breaks."
    )
    parser.add_argument("what", choices=["gate", "long", "list", *plan.PLAN], metavar="gate | long | list | NAME")
    parser.add_argument("names", nargs="*", type=known, metavar="NAME", help="only these trials")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no batch after so many")
    parser.add_argument("--lanes", type=int, choices=[1, 2], default=2, help="how many trials at once")
    parser.add_argument("--evidence", type=Path, help="the folder for it; long: docs/evidence/DATE-COMMIT")
    parser.add_argument("--afresh", action="store_true", help="from the first case, also where evidence is there")
    parser.add_argument("--first", type=int, help="NAME: the first case")
    parser.add_argument("--last", type=int, help="NAME: the first case that is left out")
    return parser.parse_intermixed_args()  # options may stand between the names


def known(name: str) -> str:
    if name not in plan.PLAN:
        raise argparse.ArgumentTypeError(f"there is no trial {name}; .venv/bin/python -m torture list shows them")
    return name


def interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def chosen(arguments: argparse.Namespace) -> list[Trial]:
    """Loading them sets Django up, in this process too: their modules read its models."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    names = [arguments.what] if arguments.what in plan.PLAN else arguments.names or list(plan.PLAN)
    trials = []
    for name in names:
        try:
            trials.append(plan.load(name))
        except Exception:  # one that does not load must not hide the others
            traceback.print_exc()
            raise SystemExit(f"{name} cannot be loaded.") from None
    return trials


def prepare(arguments: argparse.Namespace, trials: list[Trial]) -> Run:
    if arguments.what in plan.PLAN:
        return replayed(arguments, trials[0])
    is_long = arguments.what == "long"
    folder = arguments.evidence or (None if is_long else OF_THE_GATE)
    evidence = Evidence.at(folder) if folder else Evidence.kept()
    targets = {trial.name: trial.long if is_long else trial.gate for trial in trials}
    refuse_to_run_nothing([name for name in arguments.names if not targets[name]])
    trials = [trial for trial in trials if targets[trial.name]]
    afresh = arguments.afresh or not is_long
    records = {
        trial.name: evidence.record(trial, seed=arguments.seed, target=targets[trial.name], afresh=afresh)
        for trial in trials
    }
    return Run(trials, records, evidence, Progress(records), minutes=arguments.minutes, in_turns=is_long)


def refuse_to_run_nothing(names: list[str]) -> None:
    """Whoever names a trial means it: nothing that was run must not look like nothing that was wrong."""
    if names:
        alone = f".venv/bin/python -m torture {names[0]}"
        raise SystemExit(f"The gate has nothing of {', '.join(names)}. Alone it runs: {alone}")


def replayed(arguments: argparse.Namespace, trial: Trial) -> Run:
    """Some cases of one trial."""
    first, last = cases_of(arguments, trial)
    record = Record(trial.name, trial.title, trial.unit, arguments.seed, last, next=first)
    records = {trial.name: record}
    return Run([trial], records, Evidence.at(arguments.evidence or OF_A_REPLAY), Progress(records))


def cases_of(arguments: argparse.Namespace, trial: Trial) -> tuple[int, int]:
    """The named ones; else the gate's share, or of a trial that the gate has not got all of the long run."""
    first = arguments.first or 0
    share = (trial.gate or trial.long) if arguments.first is None else first + 1
    last = arguments.last if arguments.last is not None else share
    if not 0 <= first < last:
        raise SystemExit(f"{trial.name}: there is no case from {first} to {last}, which is itself left out.")
    return first, last


def report(run: Run, *, broken_off: bool, keep: bool) -> int:
    records = list(run.records.values())
    print(table(records))
    for record in records:
        for violation in record.violations:
            print(f"\n{record.trial}, seed {record.seed}, {violation}\n  again: {replay(record, violation)}")
    missing = [record for record in records if record.missing]
    for record in missing:
        print(f"not run here: {record.trial}: {record.missing}")
    if keep:
        print(f"evidence: {os.path.relpath(write_summary(run.evidence))}")
    if broken_off:
        print("Broken off. The same command goes on from here." if keep else "Broken off.")
        return 130
    return 1 if any(record.violations for record in records) or (IN_CI and missing) else 0


def table_of(trials: list[Trial]) -> str:
    rows = [f"{'':8} {'gate':>8} {'long':>9}  {'on':9} what"]
    rows += [
        f"{trial.name:8} {trial.gate:>8,} {trial.long:>9,}  {trial.database:9} {trial.title} ({trial.unit})"
        for trial in trials
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
