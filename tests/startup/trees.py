"""A fresh checkout in a folder of its own, and processes in it with nothing in their environment but what is said."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("backend", "alipay_simulator", "tools", "manage.py")
"""What a shop needs to run."""


def project_files(*paths: str) -> list[str]:
    """The files that are or could be committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def copy_tree(to: Path) -> Path:
    for name in project_files(*RUNS):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return to


def bare_environment(**values: str | Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **{name: str(value) for name, value in values.items()}}


@dataclass(frozen=True)
class Outcome:
    code: int
    said: str


def run(tree: Path, *arguments: str | Path, given: str = "", **env: str | Path) -> Outcome:
    """Python with these arguments in that tree; ``given`` is what it can read from its standard input."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=tree,
        env=bare_environment(**env),
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
    )
    return Outcome(done.returncode, done.stdout)
