"""`make bench`: the server's processor time per request, beside a bare floor. See README.md in this folder."""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench import operations, postgres
from bench.load import CONCURRENCY, Call, Timing, WrongAnswer, send
from bench.operations import APP_ID, FLOOR, SELLER_ID, SERVER, Buyer, Paths
from bench.servers import ROOT, THREADS, Server, served

ROUND = 100
"""Requests to one server before it is the other's turn: what else the machine does then hits both alike."""

AIMS = {"create": 2.5, "with_lines": 6.0, "minimal": 4.0, "notify": 3.0}
TITLES = {
    "create": "createOrder, 3 courses",
    "with_lines": "order status with lines",
    "minimal": "order status minimal",
    "notify": "notify, paid",
}


@dataclass
class Measured:
    """What one operation took of one server."""

    cpu_seconds: float = 0.0
    timing: Timing = field(default_factory=Timing)

    @property
    def cpu_ms(self) -> float:
        return self.cpu_seconds * 1000 / len(self.timing.each)


@dataclass(frozen=True)
class Side:
    """A server with its buyers, some of whom only warm it up."""

    server: Server
    paths: Paths
    warm_up: Sequence[Buyer]
    buyers: Sequence[Buyer]

    def measure(self, calls: Sequence[Call], into: Measured) -> None:
        before = self.server.cpu_seconds()
        into.timing.add(send(self.server.port, calls))
        into.cpu_seconds += self.server.cpu_seconds() - before


Operation = Callable[[Buyer, Paths], Call]
Figures = dict[str, tuple[Measured, Measured]]


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that PostgreSQL and the servers end with us
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coursepay-bench-")))
        alipay_key = new_key(folder / "alipay.pem", public=folder / "alipay_public.pem")
        new_key(folder / "app.pem")
        url = stack.enter_context(postgres.cluster(fsync=options.fsync))
        env = environment(folder, url)
        buyers = seed(env, folder / "tokens", 2 * (options.requests + options.warm_up))
        backend = stack.enter_context(served("backend", "backend.wsgi:application", postgres.free_port(), env))
        floor = stack.enter_context(served("floor", "bench.floor:application", postgres.free_port(), env))
        half, warm = len(buyers) // 2, options.warm_up
        ours = Side(backend, SERVER, buyers[:warm], buyers[warm:half])
        bare = Side(floor, FLOOR, buyers[half : half + warm], buyers[half + warm :])
        try:
            figures = run(ours, bare, alipay_key)
        except WrongAnswer as error:
            sys.exit(f"bench: {error}")
    report(figures, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--requests", type=int, default=600, help="of each operation, to each server (600)")
    parser.add_argument("--warm-up", type=int, default=100, help="requests before that are not measured (100)")
    parser.add_argument("--fsync", action="store_true", help="let PostgreSQL wait for the disk: slower, the same CPU")
    return parser.parse_args()


def new_key(private: Path, public: Path | None = None) -> rsa.RSAPrivateKey:
    """A key pair of this run alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    if public:
        public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return key


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """The settings of production, with a gateway that nobody is at: none of the operations calls it."""
    return {
        "DEBUG": "0",
        "RATE_LIMITS": "off",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": database_url,
        "ALLOWED_HOSTS": "127.0.0.1",
        "ALIPAY_GATEWAY_URL": "http://127.0.0.1:1/gateway.do",
        "ALIPAY_APP_ID": APP_ID,
        "ALIPAY_SELLER_ID": SELLER_ID,
        "ALIPAY_APP_PRIVATE_KEY_FILE": str(folder / "app.pem"),
        "ALIPAY_PUBLIC_KEY_FILES": str(folder / "alipay_public.pem"),
    }


def seed(env: Mapping[str, str], tokens: Path, count: int) -> list[Buyer]:
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "bench_seed", "--buyers", str(count), "--tokens", str(tokens))
    return [Buyer(number, token) for number, token in enumerate(tokens.read_text().split(), start=1)]


def manage(env: Mapping[str, str], *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *command, "--skip-checks"],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"manage.py {command[0]} failed")


def run(ours: Side, bare: Side, alipay_key: rsa.RSAPrivateKey) -> Figures:
    """Each operation on both; the orders are paid last, because a paid order is polled no more."""
    figures: Figures = {}
    for name, operation in {
        "create": operations.create,
        "with_lines": operations.with_lines,
        "minimal": operations.minimal,
        "notify": partial(operations.notify, key=alipay_key),
    }.items():
        print(f"{TITLES[name]}…", file=sys.stderr, flush=True)
        figures[name] = compare(operation, ours, bare)
    return figures


def compare(operation: Operation, ours: Side, bare: Side) -> tuple[Measured, Measured]:
    """Both servers by turns, after both are warm."""
    sides = ((ours, Measured()), (bare, Measured()))
    for side, _ in sides:
        send(side.server.port, [operation(buyer, side.paths) for buyer in side.warm_up])
    for start in range(0, len(ours.buyers), ROUND):
        for side, measured in sides:
            calls = [operation(buyer, side.paths) for buyer in side.buyers[start : start + ROUND]]
            side.measure(calls, measured)
    return sides[0][1], sides[1][1]


def report(figures: Figures, options: argparse.Namespace) -> None:
    print(
        f"{options.requests} requests of each operation, {CONCURRENCY} at a time; 1 worker, {THREADS} threads;"
        f" PostgreSQL on this machine, fsync {'on' if options.fsync else 'off'}\n"
    )
    row("", "ratio", "aim", "CPU ms", "floor ms", "req/s", "p50 ms", "p95 ms", "floor req/s")
    for name, (ours, bare) in figures.items():
        timing = ours.timing
        row(
            TITLES[name],
            f"{ours.cpu_ms / bare.cpu_ms:.2f}",
            f"{AIMS[name]:.1f}",
            *(f"{value:.2f}" for value in (ours.cpu_ms, bare.cpu_ms)),
            f"{len(timing.each) / timing.seconds:.0f}",
            *(f"{timing.percentile(percent) * 1000:.1f}" for percent in (50, 95)),
            f"{len(bare.timing.each) / bare.timing.seconds:.0f}",
        )


def row(title: str, *cells: str) -> None:
    print(f"{title:<26}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
