"""What a bench found, kept as JSON with the machine it ran on: plots and pages are made of these files."""

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import postgres
from bench.servers import ROOT

FOLDER = ROOT / "var" / "bench"
PAGE = ROOT / "docs" / "performance"
"""What the page was made of; kept with it, so that the others stay as they are where one is measured anew."""
LOAD_BEFORE = os.getloadavg()[0]


def add_option(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        "--json", type=Path, default=FOLDER / f"{name}.json", help=f"where the figures go (var/bench/{name}.json)"
    )


def write(name: str, options: argparse.Namespace, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the figures under ``options.json``; what was written."""
    chosen = {key: value for key, value in vars(options).items() if isinstance(value, (int, float, str, list))}
    result = {
        "bench": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": machine(),
        "load_before": round(LOAD_BEFORE, 2),
        "options": chosen,
        "figures": figures,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def commit() -> str:
    """The short hash; with a plus where the tree differs from it; empty outside a repository."""
    try:
        asked = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine() -> dict[str, str]:
    """What the figures depend on. No host name and no path."""
    return {
        "processor": field_of("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{round(int(field_of('/proc/meminfo', 'MemTotal').split()[0]) / 2**20)} GiB",
        "system": f"{os_name()}, Linux {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "PostgreSQL": postgres.version() or "none",
    }


def field_of(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
