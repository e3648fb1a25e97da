"""`python -m bench.stream`: thousands of clients that wait for their orders, and how soon they hear.

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
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench import operations, postgres
from bench.load import Call, send
from bench.operations import SERVER, Buyer, expect
from bench.run import environment, new_key, seed
from bench.servers import ROOT, Server, cpu_of, served, wait_until_up

HEARTBEAT_SECONDS = 15
AT_ONCE = 100
"""Connections that are opened at a time."""
SETTLE_SECONDS = 3
PAID = b'"PAID"'
WATCH = "subscription Watch($id: ID!) { orderUpdated(id: $id) { id status paidAt isTerminal nextPollAfterMs } }"


@dataclass
class Figures:
    """What one transport measured; times in milliseconds."""

    transport: str
    kib_per_client: float = 0.0
    idle_percent: float = 0.0
    delays: list[float] = field(default_factory=list)

    def delay(self, percent: int) -> float:
        return sorted(self.delays)[min(len(self.delays) * percent // 100, len(self.delays) - 1)]


def main() -> None:
    options = arguments()
    allow_many_files(options.clients)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coursepay-bench-")))
        alipay_key = new_key(folder / "alipay.pem", public=folder / "alipay_public.pem")
        new_key(folder / "app.pem")
        env = environment(folder, stack.enter_context(postgres.cluster(fsync=False)))
        env["STREAM_HEARTBEAT_SECONDS"] = str(HEARTBEAT_SECONDS)
        transports: dict[str, Mapping[str, str]] = {"PostgreSQL": {}}
        if shutil.which("redis-server"):
            transports["Redis"] = {"REDIS_URL": stack.enter_context(redis())}
        buyers = seed(env, folder / "tokens", options.clients * len(transports))
        for number, (name, more) in enumerate(transports.items()):
            mine = buyers[number * options.clients : (number + 1) * options.clients]
            report(measure(name, {**env, **more}, mine, alipay_key, options))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__)
    parser.add_argument("--clients", type=int, default=5000, help="that wait, each for its own order (5000)")
    parser.add_argument("--notifies", type=int, default=1000, help="of them that are paid, one by one (1000)")
    parser.add_argument("--idle", type=int, default=30, help="seconds of mere waiting (30)")
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
        ids: dict[int, str] = {}
        say(f"{name}: {len(buyers)} orders…")
        send(shop.port, [create(buyer, ids) for buyer in buyers])
        with listeners(stream.port, [(ids[buyer.number], buyer.token) for buyer in buyers[:1]]):
            pass  # the first of all pays for what the process does only once
        before = resident_kib(stream.pid)
        with listeners(stream.port, [(ids[buyer.number], buyer.token) for buyer in buyers]) as pipe:
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
            figures.delays = [(heard[ids[number]] - at) * 1000 for number, at in succeeded.items()]
    return figures


def create(buyer: Buyer, ids: dict[int, str]) -> Call:
    """The buyer's order; its id is kept."""
    call = operations.create(buyer, SERVER)

    def check(body: bytes) -> None:
        call.check(body)
        ids[buyer.number] = json.loads(body)["data"]["createOrder"]["order"]["id"]

    return Call(call.path, call.body, call.headers, check)


def notify(port: int, buyers: Sequence[Buyer], key: Any) -> dict[int, float]:
    """One notify after the other; when `success` was there, on the machine's monotonic clock."""
    succeeded: dict[int, float] = {}
    for buyer in buyers:
        call = operations.notify(buyer, SERVER, key=key)
        send(port, [Call(call.path, call.body, call.headers, partial(note, call, succeeded, buyer.number))])
    return succeeded


def note(call: Call, succeeded: dict[int, float], number: int, body: bytes) -> None:
    succeeded[number] = time.monotonic()
    call.check(body)


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


# --- The clients, in a process of their own --------------------------------------------------------------------------


@contextmanager
def listeners(port: int, watched: Sequence[tuple[str, str]]) -> Iterator[Connection]:
    """So many clients that were all shown their order. They tell, through the pipe, when they heard of its end."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=listen, args=(port, watched, theirs), daemon=True)
    process.start()
    try:
        expect(ours.recv() == len(watched), "not all clients were let in")
        yield ours
    finally:
        process.terminate()
        process.join()


def listen(port: int, watched: Sequence[tuple[str, str]], pipe: Connection) -> None:
    allow_many_files(len(watched))
    asyncio.run(Clients(port, pipe).run(watched))


class Clients:
    def __init__(self, port: int, pipe: Connection) -> None:
        self.port, self.pipe = port, pipe
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
        body = json.dumps({"query": WATCH, "variables": {"id": order_id}})
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


def report(figures: Figures) -> None:
    print(
        f"live stream over {figures.transport}: {figures.kib_per_client:.1f} KiB per waiting client,"
        f" {figures.idle_percent:.1f} % of a core while they wait (a heartbeat every {HEARTBEAT_SECONDS} s);"
        f" from success to the client's event: median {figures.delay(50):.1f} ms,"
        f" p95 {figures.delay(95):.1f} ms, p99 {figures.delay(99):.1f} ms ({len(figures.delays)} notifies)",
        flush=True,
    )


if __name__ == "__main__":
    main()
