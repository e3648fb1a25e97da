"""What a run leaves behind: one JSON file for each trial, and SUMMARY.md made from them."""

import json
import os
import platform
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torture.trial import Trial

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "evidence"
MOST_VIOLATIONS = 20
"""After so many a trial is given up: it has failed, and the first few say why."""

MOST_BREAKS = 3


@dataclass
class Record:
    """How far one trial has come, and what it found. ``next`` is the first case that was not tried yet."""

    trial: str
    title: str
    unit: str
    seed: int
    target: int
    next: int = 0
    done: int = 0
    seconds: float = 0
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    missing: str = ""
    breaks: int = 0
    """How often a worker died, hung, or could not go on."""
    began: str = ""
    last: str = ""

    @property
    def is_over(self) -> bool:
        hopeless = len(self.violations) >= MOST_VIOLATIONS or self.breaks >= MOST_BREAKS
        return self.next >= self.target or bool(self.missing) or hopeless

    @property
    def share(self) -> float:
        return min(1.0, self.next / self.target) if self.target else 1.0

    def take_in(self, batch: dict[str, Any], *, seconds: float, cases: int) -> None:
        """The report of a worker; ``cases``: how many of them need not be tried again."""
        found = [without_places(text) for text in batch.get("violations", [])]
        self.violations += [with_batch(text, self.next, self.next + cases - 1) for text in found]
        self.next += cases
        self.done += batch.get("done", 0)
        for what, how_many in batch.get("counts", {}).items():
            self.counts[what] = self.counts.get(what, 0) + how_many
        self.breaks += bool(batch.get("broken"))
        self.missing = without_places(batch.get("missing", ""))
        self.seconds = round(self.seconds + seconds, 2)
        self.last = now()
        self.began = self.began or self.last


@dataclass
class Evidence:
    """A folder of records. They are written after each batch, so that a run which is broken off leaves good ones."""

    folder: Path
    machine: dict[str, Any]
    commit: str
    dirty: bool

    @classmethod
    def at(cls, folder: Path) -> "Evidence":
        commit, dirty = state_of_the_tree()
        return cls(folder, this_machine(), commit, dirty)

    @classmethod
    def kept(cls) -> "Evidence":
        """That of this commit, begun today or before."""
        commit, dirty = state_of_the_tree()
        name = commit[:7] + ("-dirty" if dirty else "")
        begun = sorted(KEPT.glob(f"????-??-??-{name}"))
        return cls(begun[-1] if begun else KEPT / f"{now()[:10]}-{name}", this_machine(), commit, dirty)

    def record(self, trial: Trial, *, seed: int, target: int, afresh: bool) -> Record:
        """To go on with, if it has the same seed; a new one otherwise."""
        fresh = Record(trial.name, trial.title, trial.unit, seed, target)
        file = self.file(trial.name)
        if afresh or not file.exists():
            return fresh
        known = json.loads(file.read_text())
        kept = Record(**{name: known[name] for name in asdict(fresh) if name in known})
        kept.missing = ""  # it may be here now
        kept.target = target
        return kept if kept.seed == seed else fresh

    def write(self, record: Record) -> None:
        about = {"commit": self.commit, "dirty": self.dirty, "machine": self.machine}
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.file(record.trial).with_suffix(".draft")
        draft.write_text(json.dumps({**asdict(record), **about}, indent=2, ensure_ascii=False) + "\n")
        draft.replace(self.file(record.trial))

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def state_of_the_tree() -> tuple[str, bool]:
    """The commit, and whether the tree differs from it; evidence itself is no difference."""
    commit = git("rev-parse", "HEAD") or "unknown"
    return commit, bool(git("status", "--porcelain", "--", ".", ":!docs/evidence"))


def git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def this_machine() -> dict[str, Any]:
    """What the figures depend on; neither its name nor where anything lies on it."""
    return {
        "cpu": found(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": memory(),
        "os": found(Path("/etc/os-release"), r'PRETTY_NAME="(.+)"') or platform.system(),
        "python": platform.python_version(),
        "postgresql": postgresql(),
    }


def found(file: Path, pattern: str) -> str:
    if not file.exists():
        return ""
    match = re.search(pattern, file.read_text())
    return match[1].strip() if match else ""


def memory() -> str:
    kib = found(Path("/proc/meminfo"), r"MemTotal:\s*(\d+) kB")
    return f"{int(kib) / 2**20:.0f} GiB" if kib else "unknown"


def postgresql() -> str:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    command = str(places[-1]) if places else "postgres"
    try:
        said = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "none"
    match = re.search(r"[\d.]+", said)
    return match[0] if match else "unknown"


def with_batch(violation: str, first: int, last: int) -> str:
    """Its case with the first of its batch, whose world it may share; what no case is known for is the last one's."""
    case, _, what = violation.removeprefix("case ").partition(": ")
    number = last if int(case) < 0 else int(case)
    return f"case {number}: {what}" if number == first else f"case {number} of the batch from {first}: {what}"


def without_places(text: str) -> str:
    """Evidence is published: it names no folder of this machine."""
    for place in (str(ROOT), tempfile.gettempdir(), str(Path.home())):
        text = text.replace(f"{place}/", "")
    return text
