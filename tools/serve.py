"""`make serve`: the production servers on 127.0.0.1, with no migration and no demo.

The shop on $PORT with $WEB_WORKERS processes, the live stream on $STREAM_PORT. They stop together: on SIGTERM, or when
one of them ends.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from backend.monitoring import folder  # noqa: E402 - imports nothing

HOST = os.environ.get("HOST", "127.0.0.1")
PORT = os.environ.get("PORT", "8000")
STREAM_PORT = os.environ.get("STREAM_PORT", str(int(PORT) + 1))


def shop() -> list[str]:
    environment = os.environ
    return [
        program("granian"),
        "--interface", "wsgi",
        "--host", HOST,
        "--port", PORT,
        "--workers", environment.get("WEB_WORKERS", "2"),
        "--blocking-threads", environment.get("WEB_THREADS", "4"),
        "--workers-kill-timeout", "15",
        "--respawn-failed-workers",
        "--no-ws",
        "backend.wsgi:application",
    ]  # fmt: skip


def stream(application: str = "backend.asgi:stream", port: str = STREAM_PORT) -> list[str]:
    """One process, one event loop. Addresses are read by the shop's rule (TRUSTED_PROXIES), not by uvicorn's."""
    return [
        program("uvicorn"),
        "--host", HOST,
        "--port", port,
        "--no-proxy-headers",
        "--no-server-header",
        "--no-access-log",
        "--log-level", "warning",
        "--backlog", "4096",
        "--timeout-graceful-shutdown", "10",
        application,
    ]  # fmt: skip


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def supervise(processes: "list[subprocess.Popen[bytes]]") -> int:
    """Until one ends or we are told to stop; then all end. 0 when told to, 1 when one ended by itself."""
    for number in (signal.SIGTERM, signal.SIGINT):  # also where a shell started us with Ctrl-C ignored
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.3)
        return 1
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def allow_many_files() -> None:
    """Each waiting client is an open file; what a shell gives is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    allow_many_files()
    shared = str(ROOT / "var" / "metrics" / PORT)
    folder.prepare(Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)))
    return supervise([subprocess.Popen(shop()), subprocess.Popen(stream())])


if __name__ == "__main__":
    sys.exit(main())
