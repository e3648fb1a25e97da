"""One answer of /metrics: what all processes have counted, and what the database says now."""

import os
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from backend.monitoring.meters import METERS
from backend.monitoring.shop import ShopCollector


def registry() -> CollectorRegistry:
    """What is to be told. Where processes share a folder, the files say more than this process's memory."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        shop(METERS)
        return METERS
    forget_the_dead(Path(folder))
    found = CollectorRegistry()
    MultiProcessCollector(found, path=folder)  # type: ignore[no-untyped-call]
    found.register(shop(None))
    return found


@cache
def shop(into: CollectorRegistry | None) -> ShopCollector:
    """One for the process: it remembers what it has read."""
    collector = ShopCollector()
    if into is not None:
        into.register(collector)
    return collector


def forget_the_dead(folder: Path) -> None:
    """Take away what ended processes said of their present; what they counted stays in the sums."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            mark_process_dead(int(pid), path=str(folder))  # type: ignore[no-untyped-call]
