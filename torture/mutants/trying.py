"""Tries mutants out: which tests could notice each, and whether one does."""

import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path

import coverage

from torture.forking import Forks, Verdict
from torture.mutants.making import FILES, ROOT, Mutant
from torture.planting import change_functions, change_values

TESTS = ("tests/unit", "tests/api", "tests/jobs", "tests/bills/test_reconcile_bill.py", "tests/bills/test_unsigned.py")
"""The folders that run in seconds, in this process and on SQLite. What they let live nothing else is asked about."""
KEPT = ROOT / "var" / "mutants"
MEASURED = KEPT / "covered.json"
NOT_ABOUT_MONEY = ("tests/unit/test_bench", "tests/unit/test_canaries", "tests/unit/test_graphiql")
LONGEST_TRY = 20.0
"""Seconds of tests for one mutant; they are sorted so that those which could notice it come first."""


@dataclass
class Results:
    """What became of each mutant, by its name: kept in a file, line by line, so that a broken run can go on."""

    file: Path
    of: dict[str, Verdict] = field(default_factory=dict)

    def read(self) -> None:
        """Those that were caught; the others are tried again, there may be new tests."""
        for line in self.file.read_text("utf-8").splitlines() if self.file.exists() else []:
            row = json.loads(line)
            verdict = Verdict(row["code"], row["red"])
            self.of.pop(row["name"], None)
            if verdict.is_caught:
                self.of[row["name"]] = verdict

    def add(self, mutant: Mutant, verdict: Verdict) -> None:
        self.of[mutant.name] = verdict
        row = {"name": mutant.name, "code": verdict.code, "red": verdict.red[:300]}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


@dataclass
class Covered:
    """Which tests run which line of the shop: file → line → tests. And the CPU seconds of each test."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def measured(cls, coverage: coverage.Coverage, seconds: dict[str, float]) -> "Covered":
        data = coverage.get_data()
        files = {file: str(Path(file).relative_to(ROOT)) for file in data.measured_files()}
        return cls({name: data.contexts_by_lineno(file) for file, name in files.items()}, seconds)

    @classmethod
    def known(cls, file: Path) -> "Covered | None":
        """What an earlier run has measured, if neither the shop nor its tests have changed since."""
        if not file.exists():
            return None
        kept = json.loads(file.read_text("utf-8"))
        if kept["of"] != state():
            return None
        lines = {name: {int(n): tests for n, tests in by_line.items()} for name, by_line in kept["lines"].items()}
        return cls(lines, kept["seconds"])

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"of": state(), "lines": self.lines, "seconds": self.seconds}), "utf-8")

    @cached_property
    def text(self) -> dict[str, list[str]]:
        return {file: (ROOT / file).read_text("utf-8").splitlines() for file in self.lines}

    def tests_of(self, mutant: Mutant) -> set[str]:
        first, last = mutant.lines
        if mutant.in_body:
            return self.running(mutant.file, range(first, last + 1))
        named = names_of(mutant, "\n".join(self.text[mutant.file]))
        found = {test for test in self.seconds if named.search(text_of(test.partition("::")[0]))}
        for file, text in self.text.items():
            found |= self.running(file, [n for n, line in enumerate(text, 1) if named.search(line)])
        return found or self.running(mutant.file, self.lines[mutant.file])

    def running(self, file: str, lines: Iterable[int]) -> set[str]:
        contexts = self.lines.get(file, {})
        return {test for line in lines for test in contexts.get(line, ()) if test}


@cache
def text_of(file: str) -> str:
    return (ROOT / file).read_text("utf-8")


def state() -> str:
    """Of all that decides which test runs which line."""
    digest = hashlib.sha256()
    for folder in ("backend", "alipay_simulator", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def names_of(mutant: Mutant, source: str) -> re.Pattern[str]:
    """Matches what a value made at import is called where it is used, and what was made of it at import."""
    first = source.splitlines()[mutant.lines[0] - 1]
    words = set(re.findall(r"^\s*(?:def |class )?(\w+)", first)) | set(re.findall(r"\b_?[A-Z][A-Z_]+\b", first))
    for line in source.splitlines():
        made = re.match(r"(_?[A-Z][A-Z_]*) = ", line)
        if made and re.search(rf"\b({'|'.join(words)})\b", line):
            words.add(made[1])
    return re.compile(rf"\b({'|'.join(sorted(words))})\b")


@dataclass
class Trying:
    """For ``Forks.then``: every mutant that has no result yet."""

    mutants: list[Mutant]
    results: Results
    said: Callable[[Mutant, Verdict], None]
    measure: coverage.Coverage
    covered: Covered | None
    minutes: float = float("inf")
    _killers: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def __call__(self, forks: Forks) -> None:
        if self.covered is None:
            self.covered = Covered.measured(self.measure, forks.seconds)
            self.covered.write(MEASURED)
        until = time.monotonic() + self.minutes * 60
        for mutant in self.mutants:
            if time.monotonic() > until:
                return
            if mutant.name not in self.results.of:
                verdict = self.verdict(forks, mutant)
                self.results.add(mutant, verdict)
                self.said(mutant, verdict)

    def verdict(self, forks: Forks, mutant: Mutant) -> Verdict:
        tests = self.in_order(mutant)
        if not tests:
            return Verdict(0, "no test runs this line")
        verdict = forks.try_out(partial(put_in, mutant), tests)
        if verdict.code == 1:
            self._killers[mutant.file, mutant.function][verdict.red] += 1
        return verdict

    def in_order(self, mutant: Mutant) -> list[str]:
        """First those that caught others of the same function, then the quick ones; up to ``LONGEST_TRY``."""
        assert self.covered is not None
        killers, seconds = self._killers[mutant.file, mutant.function], self.covered.seconds
        spent, chosen = 0.0, []
        for test in sorted(self.covered.tests_of(mutant), key=lambda test: (-killers[test], seconds[test])):
            spent += seconds[test]
            if chosen and spent > LONGEST_TRY:
                break
            chosen.append(test)
        return chosen


def put_in(mutant: Mutant) -> None:
    change_functions(mutant.file, mutant.source)
    if not mutant.in_body:
        change_values(mutant.module, mutant.source)


def measuring() -> coverage.Coverage:
    return coverage.Coverage(data_file=None, include=[str(ROOT / "backend" / "*")], config_file=False)


def tests() -> list[str]:
    """What to collect; new test modules come along by themselves."""
    return [*TESTS, *(f"--ignore-glob={name}*" for name in NOT_ABOUT_MONEY)]


assert all((ROOT / file).is_file() for file in FILES)
