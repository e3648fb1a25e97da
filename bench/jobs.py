"""Due orders ended and events delivered per second: by `run_jobs`, and by Celery on a RabbitMQ of the run's own.

`.venv/bin/python -m bench.jobs [--orders 1000]`. Everything is real and gone afterwards: PostgreSQL, the broker, the
simulator as Alipay (each order costs one signed question: nobody had opened its cashier), an endpoint as its own
process.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import other_tables, postgres, results
from bench.endpoint import endpoint
from bench.servers import ROOT, cpu_of, tree_of
from bench.setup import Ground, ground, manage, new_key

WARM_UP = 400
"""Orders and events before those that are measured: every process of Celery's has had some."""
DEADLINE = 600.0
NOT_INSTALLED = 3

ORDERS = """
WITH people AS (
  INSERT INTO accounts_user (username, password, is_superuser, first_name, last_name, email, is_staff, is_active,
      date_joined, token_epoch)
  SELECT %(run)s || n, '', false, '', '', '', false, true, now(), 0 FROM generate_series(1, %(count)s) AS n RETURNING id
), made AS (
  INSERT INTO orders_order (number, user_id, subject, total_fen, status, pay_type, basket_hash, created_at, expires_at)
  SELECT '20261121' || lpad(id::text, 14, '0'), id, 'Course', 3900, 'UNPAID', 'ALIPAY', '-',
      now() - interval '2 hours', now() - interval '90 minutes' FROM people
  RETURNING id, total_fen, created_at, expires_at
)
INSERT INTO payments_payment (order_id, provider, out_trade_no, amount_fen, status, created_at, expires_at,
    next_query_at, times_asked, refunding_fen, refunded_fen, reported_refund_fen)
SELECT id, 'alipay', md5(id::text), total_fen, 'OPEN', created_at, expires_at, now(), 0, 0, 0, 0 FROM made
"""
EVENTS = """
INSERT INTO events_event (key, name, order_number, body, created_at, dispatch_at)
SELECT %(run)s || n, 'order.timed_out', '20261121', '{"id": "' || %(run)s || n || '", "data": {}}', now(), now()
FROM generate_series(1, %(count)s) AS n
"""
ENDED = "SELECT count(*) FROM orders_order WHERE status = 'TIMED_OUT'"
DELIVERED = "SELECT count(*) FROM events_delivery WHERE status = 'DELIVERED'"
DROP_EVENTS = "TRUNCATE events_event CASCADE"


@dataclass(frozen=True)
class Work:
    """Rows that fall due at once, and how many of them are done."""

    name: str
    fill: str
    done: str
    env: dict[str, str]


Programs = list["subprocess.Popen[bytes]"]
Engine = Callable[["Shop", Work], AbstractContextManager[Programs | None]]


@dataclass(frozen=True)
class Figure:
    per_second: float
    cpu_ms: float


@dataclass(frozen=True)
class Shop:
    """Where the run happens."""

    folder: Path
    url: str
    env: dict[str, str]

    def start(self, *command: str, **env: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env={**os.environ, **self.env, **env}, stdout=log, stderr=log
            )

    def ask(self, query: str, **values: Any) -> int:
        with psycopg.connect(self.url, autocommit=True) as server:
            answer = server.execute(query, values or None)
            return int((answer.fetchone() or [0])[0]) if answer.description else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.jobs", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000, help="and as many events (1000)")
    results.add_option(parser, "jobs")
    options = parser.parse_args()
    with ExitStack() as stack:
        shop = new_shop(stack)
        works = [
            Work("order", ORDERS, ENDED, {}),
            Work("event", EVENTS, DELIVERED, {"EVENT_URLS": stack.enter_context(endpoint()), "EVENT_SECRET": "s" * 32}),
        ]
        engines: dict[str, Callable[..., Any]] = {
            "run_jobs, 1 process": run_jobs,
            "Celery, RabbitMQ, 2 workers": celery,
        }
        figures = {
            title: {work.name: vars(done) for work in works if (done := measure(shop, engine, work, options.orders))}
            for title, engine in engines.items()
        }
    for table in other_tables.jobs(results.write("jobs", options, figures)):
        print(table.text())


def new_shop(stack: ExitStack) -> Shop:
    """PostgreSQL with an empty shop, and the simulator that it takes for Alipay."""
    here = stack.enter_context(ground())
    shop = with_simulator(stack, here, here.url)
    manage(shop.env, "migrate", "--verbosity", "0")
    return shop


def with_simulator(stack: ExitStack, here: Ground, url: str) -> Shop:
    port = postgres.free_port()
    folder = here.folder / "simulator"
    folder.mkdir()
    env = here.env | {
        "DATABASE_URL": url,
        "ALIPAY_GATEWAY_URL": f"http://127.0.0.1:{port}/gateway.do",
        "ALIPAY_APP_PRIVATE_KEY_FILE": str(folder / "app.pem"),
        "ALIPAY_PUBLIC_KEY_FILES": str(folder / "alipay_public_key.pem"),
        "LOG_LEVEL": "WARNING",
    }
    new_key(folder / "app.pem", public=folder / "app_public_key.pem")
    new_key(folder / "alipay_private_key.pem", public=folder / "alipay_public_key.pem")
    shop = Shop(folder, url, env)
    stack.callback(end, shop.start("-m", "alipay_simulator", "--port", str(port), "--data", str(folder)))
    return shop


def measure(shop: Shop, engine: Engine, work: Work, count: int) -> Figure | None:
    """How fast so many rows are done that fall due at once, by programs that are warm; None without a broker."""
    with engine(shop, work) as programs:
        if programs is None:
            return None
        do(shop, work, WARM_UP)
        used, began = cpu_seconds(programs), time.perf_counter()
        do(shop, work, count)
        seconds, used = time.perf_counter() - began, cpu_seconds(programs) - used
        return Figure(count / seconds, used * 1000 / count)


def do(shop: Shop, work: Work, count: int) -> None:
    """Let so many rows fall due and wait until they are done."""
    shop.ask(DROP_EVENTS)
    before = shop.ask(work.done)
    shop.ask(work.fill, count=count, run=f"r{time.time_ns()}_")
    deadline = time.monotonic() + DEADLINE
    while shop.ask(work.done) < before + count:
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: not done in {DEADLINE:.0f} s:\n{(shop.folder / 'log').read_text()[-4000:]}")
        time.sleep(0.05)


def cpu_seconds(programs: Programs) -> float:
    return sum(cpu_of(pid) for program in programs for pid in tree_of(program.pid))


# --- The engines ------------------------------------------------------------------------------------------------------


@contextmanager
def run_jobs(shop: Shop, work: Work) -> Iterator[Programs | None]:
    program = shop.start("manage.py", "run_jobs", **work.env)
    try:
        yield [program]
    finally:
        end(program)


@contextmanager
def celery(shop: Shop, work: Work) -> Iterator[Programs | None]:
    """Two workers of two processes each, and beat."""
    with rabbitmq(shop.folder / "rabbitmq") as url:
        if url is None:
            yield None
            return
        app = ("-m", "celery", "-A", "backend")
        commands = [("worker", "--concurrency", "2", "--hostname", f"{name}@%h") for name in ("one", "two")]
        commands.append(("beat", "--schedule", str(shop.folder / "beat")))
        programs = [shop.start(*app, *command, CELERY_BROKER_URL=url, **work.env) for command in commands]
        try:
            yield programs
        finally:
            for program in reversed(programs):
                end(program)


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str | None]:
    script = ROOT / "tools" / "rabbitmq.sh"
    done = subprocess.run([script, "start", folder], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == NOT_INSTALLED:
        yield None
        return
    done.check_returncode()
    try:
        yield done.stdout.strip()
    finally:
        subprocess.run([script, "stop", folder], check=True)


def end(program: "subprocess.Popen[bytes]") -> None:
    program.terminate()
    try:
        program.wait(timeout=30)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


if __name__ == "__main__":
    main()
