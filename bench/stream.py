"""`.venv/bin/python -m bench.stream`: thousands of clients that wait for their orders, and how soon they hear.

Prints the stream process's memory per waiting client, its processor time while they only wait (heartbeats on), and the
time from a notify's `success` to the client's event. PostgreSQL and, where it is installed, Redis carry the changes.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench import operations, other_tables, postgres, results
from bench.load import Call, send
from bench.operations import SERVER, Buyer, expect
from bench.servers import ROOT, Server, cpu_of, served, wait_until_up
from bench.setup import ground, seed

HEARTBEAT_SECONDS = 15
AT_ONCE = 100
"""Connections that are opened at a time."""
SETTLE_SECONDS = 3
PAID = b'"PAID"'
STATUS_ALONE = {
    "query": "subscription Watch($id: ID!) { orderUpdated(id: $id) { id status paidAt isTerminal nextPollAfterMs } }"
}


@dataclass
class Figures:
    """What one transport measured; times in milliseconds."""

    transport: str
    kib_per_client: float = 0.0
    idle_percent: float = 0.0
    delays: list[float] = field(default_factory=list)

    def as_result(self) -> dict[str, float]:
        delays = {f"p{percent}_ms": self.delay(percent) for percent in (50, 95, 99)}
        return {"kib_per_client": self.kib_per_client, "idle_percent": self.idle_percent, **delays}

    def delay(self, percent: int) -> float:
        return sorted(self.delays)[min(len(self.delays) * percent // 100, len(self.delays) - 1)]


def main() -> None:
    options = arguments()
    allow_many_files(options.clients)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        here = stack.enter_context(ground())
        env = {**here.env, "STREAM_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
        transports: dict[str, Mapping[str, str]] = {"PostgreSQL": {}}
        if shutil.which("redis-server"):
            transports["Redis"] = {"REDIS_URL": stack.enter_context(redis())}
        buyers = seed(env, here.folder / "tokens", options.clients * len(transports))
        for number, (name, more) in enumerate(transports.items()):
            mine = buyers[number * options.clients : (number + 1) * options.clients]
            found = measure(name, {**env, **more}, mine, here.alipay_key, options)
            figures[name] = found.as_result()
    for table in other_tables.stream(results.write("stream", options, figures)):
        print(table.text())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.stream", description=__doc__)
    parser.add_argument("--clients", type=int, default=5000, help="that wait, each for its own order (5000)")
    parser.add_argument("--notifies", type=int, default=1000, help="of them that are paid, one by one (1000)")
    parser.add_argument("--idle", type=int, default=30, help="seconds of mere waiting (30)")
    results.add_option(parser, "stream")
    return parser.parse_args()


def allow_many_files(clients: int) -> None:
    """A connection is a file, at each of its two ends."""
    wanted, (_, most) = clients + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)
    if most not in (resource.RLIM_INFINITY,) and most < wanted:
        raise SystemExit(f"{clients} clients need {wanted} open files; this machine allows {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


@contextmanager
def redis() -> Iterator[str]:
    port = postgres.free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def streaming(env: Mapping[str, str]) -> Iterator[Server]:
    """The stream as `make serve` starts it."""
    sys.path.insert(0, str(ROOT / "tools"))
    from serve import stream

    port = postgres.free_port()
    process = subprocess.Popen(stream(port=str(port)), cwd=ROOT, env={**os.environ, **env})
    try:
        wait_until_up(process, "stream", port)
        yield Server("stream", port, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def measure(
    name: str, env: Mapping[str, str], buyers: Sequence[Buyer], alipay_key: Any, options: argparse.Namespace
) -> Figures:
    figures = Figures(name)
    with served("shop", "backend.wsgi:application", postgres.free_port(), env) as shop, streaming(env) as stream:
        say(f"{name}: {len(buyers)} orders…")
        send(shop.port, [operations.create(buyer, SERVER) for buyer in buyers])
        with listeners(stream.port, buyers[:1]):
            pass  # the first of all pays for what the process does only once
        before = resident_kib(stream.pid)
        with listeners(stream.port, buyers) as pipe:
            time.sleep(SETTLE_SECONDS)
            figures.kib_per_client = (resident_kib(stream.pid) - before) / len(buyers)
            say(f"{name}: {len(buyers)} wait…")
            cpu = cpu_of(stream.pid)
            time.sleep(options.idle)
            figures.idle_percent = (cpu_of(stream.pid) - cpu) / options.idle * 100
            say(f"{name}: {options.notifies} are paid…")
            succeeded = notify(shop.port, buyers[: options.notifies], alipay_key)
            pipe.send(len(succeeded))
            heard: dict[str, float] = pipe.recv()
            figures.delays = [(heard[order_id] - at) * 1000 for order_id, at in succeeded.items()]
    return figures


def notify(port: int, buyers: Sequence[Buyer], key: Any) -> dict[str, float]:
    """One notify after the other; when `success` was there, by the order's id, on the machine's monotonic clock."""
    succeeded: dict[str, float] = {}
    for buyer in buyers:
        call = operations.notify(buyer, SERVER, key=key)
        send(port, [Call(call.path, call.body, call.headers, partial(note, call, succeeded, buyer.order_id))])
    return succeeded


def note(call: Call, succeeded: dict[str, float], order_id: str, body: bytes) -> None:
    succeeded[order_id] = time.monotonic()
    call.check(body)


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


# --- The clients, in a process of their own --------------------------------------------------------------------------


@contextmanager
def listeners(
    port: int, buyers: Sequence[Buyer], document: Mapping[str, object] = STATUS_ALONE
) -> Iterator[Connection]:
    """A client for each buyer, all shown their order. They tell, through the pipe, when they heard of its end."""
    watched = [(buyer.order_id, buyer.token) for buyer in buyers]
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=listen, args=(port, document, watched, theirs), daemon=True
    )
    process.start()
    try:
        expect(ours.recv() == len(watched), "not all clients were let in")
        yield ours
    finally:
        process.terminate()
        process.join()


def listen(port: int, document: Mapping[str, object], watched: Sequence[tuple[str, str]], pipe: Connection) -> None:
    allow_many_files(len(watched))
    asyncio.run(Clients(port, document, pipe).run(watched))


class Clients:
    def __init__(self, port: int, document: Mapping[str, object], pipe: Connection) -> None:
        self.port, self.document, self.pipe = port, document, pipe
        self.heard: dict[str, float] = {}

    async def run(self, watched: Sequence[tuple[str, str]]) -> None:
        tasks: list[asyncio.Task[None]] = []
        for first in range(0, len(watched), AT_ONCE):
            opened = await asyncio.gather(*(self.open(*one) for one in watched[first : first + AT_ONCE]))
            tasks += [asyncio.create_task(self.wait(*one)) for one in opened]
        self.pipe.send(len(tasks))
        loop = asyncio.get_running_loop()
        count = await loop.run_in_executor(None, self.pipe.recv)
        while len(self.heard) < count:  # noqa: ASYNC110 - a bench that waits for its last client
            await asyncio.sleep(0.05)
        self.pipe.send(self.heard)

    async def open(self, order_id: str, token: str) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = json.dumps({**self.document, "variables": {"id": order_id}})
        writer.write(
            "POST /graphql/stream HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )
        await reader.readuntil(b'"UNPAID"')
        return order_id, reader, writer

    async def wait(self, order_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(PAID)
        self.heard[order_id] = time.monotonic()
        writer.close()


# --- What is printed -------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
