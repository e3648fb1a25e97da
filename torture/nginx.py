"""nginx with the file that docs/operations.md tells people to take, on addresses of this run."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "deploy" / "nginx.conf"
START_SECONDS = 20
PORTS = {"8000": "port", "8001": "stream_port"}
"""Of the shop and of the live stream in the example, by what a Node calls them."""


@dataclass(frozen=True)
class Node:
    """Where one web node listens."""

    address: str
    port: int
    stream_port: int


def program() -> str | None:
    """None where nginx is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def configuration(port: int, nodes: Sequence[Node]) -> str:
    """The example, with these nodes behind 127.0.0.1:port, in the clear, and in the foreground.

    All it writes is below the folder that nginx is started with (``-p``). Raises ValueError where the example has
    changed so much that a change does not fit.
    """
    text = EXAMPLE.read_text(encoding="utf-8")
    for example_port, name in PORTS.items():
        servers = "".join(
            rf"    server {node.address}:{getattr(node, name)} \g<options>;" + "\n" for node in nodes
        )  # fmt: skip
        text = replaced(rf"(?:    server [\d.]+:{example_port} (?P<options>[^;]*);\n)+", servers, text)
    text = replaced(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", text)
    text = replaced(r" *ssl_certificate[^;]*;\n *ssl_certificate_key[^;]*;\n", "", text)
    text = replaced(r"worker_processes auto;", "worker_processes 1;\ndaemon off;\npid nginx.pid;", text)
    return replaced(r"http \{\n", f"http {{\n  access_log off;\n{temporary()}", text)


def temporary() -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"  {kind}_temp_path {kind};\n" for kind in kinds)


def replaced(pattern: str, new: str, text: str) -> str:
    changed, times = re.subn(pattern, new, text)
    if times != 1:
        raise ValueError(f"{EXAMPLE.name}: {pattern!r} is there {times} times, not once")
    return changed


@contextlib.contextmanager
def running(folder: Path, port: int, nodes: Sequence[Node]) -> Iterator[int]:
    """nginx at 127.0.0.1:port before these nodes, which may be up or not; its process id."""
    folder.mkdir(mode=0o755)
    (folder / "nginx.conf").write_text(configuration(port, nodes), encoding="utf-8")
    command = [str(program()), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until_up(process, folder, port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def wait_until_up(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx did not start:\n{(folder / 'error.log').read_text(errors='replace')}")
