"""The folder in which the processes of one server share their counts. Imports nothing: it runs before everything."""

from pathlib import Path


def prepare(folder: Path) -> str:
    """Make it, and take away what ended processes have left; the path, for PROMETHEUS_MULTIPROC_DIR.

    Counts begin anew when a server starts, which Prometheus knows how to read. Processes that run on, such as the jobs,
    keep theirs.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        pid = file.stem.rpartition("_")[2]
        if not pid.isdecimal() or not Path("/proc", pid).exists():
            file.unlink(missing_ok=True)
    return str(folder)
