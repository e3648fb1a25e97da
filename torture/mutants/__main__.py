"""``.venv/bin/python -m torture.mutants``: plants small changes, one at a time, and says which no test notices."""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from torture import forking
from torture.evidence import Evidence, now
from torture.mutants import listing, trying
from torture.mutants.making import FILES, Mutant, mutants_of
from torture.mutants.trying import Covered, Results, Trying

ENOUGH = 0.9
"""Of the mutants so many must be caught."""
RESULTS = trying.KEPT / "results.jsonl"


@dataclass
class Said:
    """Progress: a moving line on a terminal, and a line for each mutant that lives."""

    bar: "tqdm[None]"
    out: TextIO
    began: float = field(default_factory=time.monotonic)

    def __call__(self, mutant: Mutant, verdict: forking.Verdict) -> None:
        if not verdict.is_caught:
            text = f"lives: {mutant.name}" + (f" ({verdict.red})" if verdict.red else "")
            if self.bar.disable:
                self.out.write(text + "\n")
                self.out.flush()
            else:
                self.bar.write(text, file=self.out)
        self.bar.update()


def main() -> int:
    arguments = parse()
    os.nice(arguments.nice)
    every = [mutant for file in arguments.files for mutant in mutants_of(file)]
    chosen = sample(every, arguments.sample, arguments.seed)
    results = Results(RESULTS)
    if arguments.resume:
        results.read()
    else:
        RESULTS.unlink(missing_ok=True)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as out:  # pytest keeps the other
        began = time.monotonic()
        said = f"{len(chosen)} of {len(every)} mutants" + (f", seed {arguments.seed}" if arguments.sample else "")
        print(f"{said}. First the tests as they are: a minute or two.", file=out, flush=True)
        status = try_all(chosen, results, arguments.minutes, out)
        if status:
            return status
        seconds = time.monotonic() - began
        return report(every, chosen, results, arguments, seconds, out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m torture.mutants", description=__doc__)
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE", help="only of these files")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many, drawn by --seed; all otherwise")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="leave out what an earlier run has caught")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("--evidence", type=Path, help="the folder for it; docs/evidence/DATE-COMMIT otherwise")
    parser.add_argument("--list", action="store_true", help="add what lives and is not explained to docs/mutants.md")
    return parser.parse_args()


def sample(every: Sequence[Mutant], many: int, seed: int) -> list[Mutant]:
    return random.Random(seed).sample(every, many) if 0 < many < len(every) else list(every)


def try_all(chosen: list[Mutant], results: Results, minutes: float, out: TextIO) -> int:
    """0, or pytest's status where the suite itself is not green."""
    known, measure = Covered.known(trying.MEASURED), trying.measuring()
    left = [mutant for mutant in chosen if mutant.name not in results.of]
    with tqdm(total=len(left), unit=" mutants", file=out, disable=not out.isatty()) as bar:
        then = Trying(left, results, Said(bar, out), measure, known, minutes)
        forks = forking.Forks(then, None if known else measure, seconds=dict(known.seconds) if known else {})
        status = forking.run(trying.tests(), forks)
    for nodeid in sorted(forks.distrusted):
        print(f"left out, red in a fork without a change: {nodeid}", file=out)
    for nodeid, why in zip(forks.failed, forks.said, strict=False):
        print(f"red before anything was changed: {nodeid}\n{why}", file=out)
    return status


def report(
    every: list[Mutant],
    chosen: list[Mutant],
    results: Results,
    arguments: argparse.Namespace,
    seconds: float,
    out: TextIO,
) -> int:
    tried = [mutant for mutant in chosen if mutant.name in results.of]
    alive = [mutant.name for mutant in tried if not results.of[mutant.name].is_caught]
    caught = [mutant.name for mutant in tried if results.of[mutant.name].is_caught]
    share = len(caught) / len(tried) if tried else 0.0
    differences = listing.compare(alive, caught, every)
    if arguments.list:
        listing.add_unexplained(differences.unlisted)
    print(table(tried, results), file=out)
    print(f"{len(caught)} of {len(tried)} caught: {share:.1%}", file=out)
    for what, names in (("not in docs/mutants.md", differences.unlisted), ("no mutant any more", differences.gone)):
        for name in names:
            print(f"{what}: {name}", file=out)
    if len(tried) == len(chosen):
        keep(tried, alive, arguments, seconds)
    return 1 if share < ENOUGH or differences else 0


def table(tried: list[Mutant], results: Results) -> str:
    of, caught = Counter(mutant.file for mutant in tried), Counter[str]()
    for mutant in tried:
        caught[mutant.file] += results.of[mutant.name].is_caught
    return "\n".join(f"{caught[file]:5} of {of[file]:4} {file}" for file in of)


def keep(tried: list[Mutant], alive: list[str], arguments: argparse.Namespace, seconds: float) -> None:
    """In the form of the other trials' evidence; what lives is no violation as long as enough is caught."""
    evidence = Evidence.at(arguments.evidence) if arguments.evidence else Evidence.kept()
    evidence.folder.mkdir(parents=True, exist_ok=True)
    share = 1 - len(alive) / len(tried)
    about = {
        "trial": "T16-mutants",
        "title": "Mutants, each noticed by the suite",
        "unit": "mutants",
        "seed": arguments.seed,
        "target": len(tried),
        "next": len(tried),
        "done": len(tried),
        "seconds": round(seconds, 2),
        "counts": {"mutants": len(tried), "caught": len(tried) - len(alive)},
        "violations": [] if share >= ENOUGH else [f"only {share:.1%} caught"],
        "missing": "",
        "began": "",
        "last": now(),
        "commit": evidence.commit,
        "dirty": evidence.dirty,
        "machine": evidence.machine,
        "alive": alive,
    }
    evidence.file("T16-mutants").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
