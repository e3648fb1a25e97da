"""`make run`: everything a purchase needs, on this machine, until Ctrl-C.

Makes keys and demo data on the first run, then starts the Alipay simulator, the shop (with the live stream on the same
port) and its jobs as processes of their own, and stops the rest when one of them ends. The jobs close what is not paid,
ask what Alipay knows, and carry refunds out.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from serve import stream

ROOT = Path(__file__).resolve().parent.parent
PORT = int(os.environ.get("PORT", "8000"))
SIMULATOR_PORT = int(os.environ.get("SIMULATOR_PORT", str(PORT + 1)))
SIMULATOR_DATA = ROOT / "var" / "alipay_simulator"


def main() -> int:
    os.chdir(ROOT)
    os.environ.setdefault("DEBUG", "1")
    os.environ["SIMULATOR_PORT"] = str(SIMULATOR_PORT)
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(ROOT / "var" / "metrics" / str(PORT)))
    for port in (PORT, SIMULATOR_PORT):
        refuse_taken(port)
    prepare()
    simulator = start("-m", "alipay_simulator", "--port", str(SIMULATOR_PORT), "--data", str(SIMULATOR_DATA),
                      "--app-public-key", "var/keys/app_public_key.pem")  # fmt: skip
    server = start("-m", "uvicorn", *stream("backend.asgi:application", str(PORT))[1:])
    jobs = start("manage.py", "run_jobs")
    return watch([simulator, server, jobs])


def refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            sys.exit(f"Port {port} is taken. Choose another: make run PORT=8100 (the simulator takes the next one)")


def prepare() -> None:
    """Keys, tables, demo data; each step does nothing where it is done."""
    for step in (
        ["-m", "alipay_simulator", "--init", "--data", str(SIMULATOR_DATA)],
        ["manage.py", "migrate", "--verbosity", "0"],
        ["manage.py", "load_demo"],
    ):
        subprocess.run([sys.executable, *step], check=True)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments])


def watch(processes: list[subprocess.Popen[bytes]]) -> int:
    """Say when all is up; end all when one ends or Ctrl-C comes."""
    for number in (signal.SIGTERM, signal.SIGINT):  # also where a shell started us with Ctrl-C ignored
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        if wait_until_up(processes):
            welcome()
        while all(process.poll() is None for process in processes):
            time.sleep(0.3)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def wait_until_up(processes: list[subprocess.Popen[bytes]]) -> bool:
    while all(process.poll() is None for process in processes):
        try:
            for url in (f"http://127.0.0.1:{PORT}/healthz/live", f"http://127.0.0.1:{SIMULATOR_PORT}/healthz"):
                urllib.request.urlopen(url, timeout=2).close()
            return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def welcome() -> None:
    print(
        f"""
Coursepay is up.
  Shop               http://127.0.0.1:{PORT}/             sign in as buyer / buyer
  GraphiQL           http://127.0.0.1:{PORT}/graphql      the operations of a purchase, ready to run
  Admin              http://127.0.0.1:{PORT}/admin/       staff / staff
  Alipay simulator   http://127.0.0.1:{SIMULATOR_PORT}/             every trade, notify and call
One whole purchase, step by step, in another terminal:
  DEBUG=1 .venv/bin/python manage.py demo_purchase --url http://127.0.0.1:{PORT}
Ctrl-C stops everything.
""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
