"""`make serve`: the production server on 127.0.0.1:$PORT with $WEB_WORKERS processes. No migration, no demo."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from backend.monitoring import folder  # noqa: E402 - imports nothing


def command() -> list[str]:
    environment = os.environ
    return [
        str(Path(sys.executable).with_name("granian")),
        "--interface", "wsgi",
        "--host", environment.get("HOST", "127.0.0.1"),
        "--port", environment.get("PORT", "8000"),
        "--workers", environment.get("WEB_WORKERS", "2"),
        "--blocking-threads", environment.get("WEB_THREADS", "4"),
        "--workers-kill-timeout", "15",
        "--respawn-failed-workers",
        "--no-ws",
        "backend.wsgi:application",
    ]  # fmt: skip


def main() -> None:
    shared = str(ROOT / "var" / "metrics" / os.environ.get("PORT", "8000"))
    folder.prepare(Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)))
    arguments = command()
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main()
