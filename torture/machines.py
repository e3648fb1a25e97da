"""The shop on many machines: nginx, two web nodes, two workers and beat, each a process with what it needs.

PostgreSQL, Redis, RabbitMQ and Alipay's simulator are real ones too, and all of it is gone afterwards. A web node is
what `make serve` starts, on an address of its own; the nodes share nothing but the database and Redis.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from django.db import connections

from alipay_simulator.control import Control
from backend.settings import database
from tests.concurrency.processes import environment as variables
from tests.engine.conftest import Broker, Redis, Server
from tests.engine.programs import Program, Programs, environment
from tests.events.endpoint import Endpoint
from torture import nginx, pgbouncer
from torture.nginx import ROOT, Node

ADDRESSES = ("127.0.0.2", "127.0.0.3")


@dataclass
class Machines:
    """What is running. The two lists hold the programs by place: one that was started again takes the place."""

    shop: str
    programs: Programs
    control: Control
    endpoint: Endpoint
    nodes: list[Node]
    broker_url: str
    web: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)

    def start_node(self, place: int) -> Program:
        """Returns at once; see ``wait_for_node``."""
        node = self.nodes[place]
        metrics = self.programs.folder / f"metrics{len(self.programs.running)}"
        own = {"HOST": node.address, "PORT": str(node.port), "STREAM_PORT": str(node.stream_port)}
        return self.programs.start("tools/serve.py", **own, WEB_WORKERS="1", PROMETHEUS_MULTIPROC_DIR=str(metrics))

    def wait_for_node(self, place: int) -> None:
        node = self.nodes[place]
        for port in (node.port, node.stream_port):
            self.web[place].wait_until(lambda port=port: is_live(node.address, port))

    def start_again(self, node: int, worker: int) -> None:
        """In the place of those that were killed. Returns when both serve."""
        self.web[node] = self.start_node(node)
        self.workers[worker] = self.programs.worker(self.broker_url)
        self.wait_for_node(node)

    @property
    def book(self) -> Path:
        """The simulator's own."""
        return self.programs.folder / "simulator" / "book.sqlite3"

    @property
    def postgres_log(self) -> Path:
        return self.programs.folder / "pg" / "log"


def is_live(address: str, port: int) -> bool:
    try:
        return httpx.get(f"http://{address}:{port}/healthz/live", timeout=5, trust_env=False).text == "ok"
    except httpx.HTTPError:
        return False


@contextmanager
def running(broker: str, *, pooled: bool = False) -> Iterator[Machines]:
    """All of it, with a fresh database; ``broker`` is redis or rabbitmq. This process's ORM is on that database.

    ``pooled``: the shop reaches PostgreSQL through pgbouncer alone, and its streams hear by LISTEN, past it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coursepay-many-")))
        folder.chmod(0o755)  # PostgreSQL and nginx's worker are other users where we are root
        starting = start_broker(stack, folder, broker)
        url = postgresql(stack, folder / "pg")
        redis_url = server(stack, Redis("redis.sh", folder / "redis"))
        stack.enter_context(orm_on(url))
        database = through_pgbouncer(stack, folder, url) if pooled else {"DATABASE_URL": url, "REDIS_URL": redis_url}
        (port,), nodes = free_ports("127.0.0.1", 1), [Node(at, *free_ports(at, 2)) for at in ADDRESSES]
        shop = f"http://127.0.0.1:{port}"
        programs = Programs(folder, environment(**database, **of_the_shop(shop)))
        stack.callback(programs.end)
        endpoint = Endpoint()
        endpoint.up()
        stack.callback(endpoint.down)
        programs.env["EVENT_URLS"] = endpoint.url
        control = stack.enter_context(programs.simulator())
        control.triggers(trade_success=True)
        migrate(programs, url)
        broker_url = redis_url.replace("/0", "/1") if starting is None else rabbitmq(starting)
        programs.env["CELERY_BROKER_URL"] = broker_url
        machines = Machines(shop, programs, control, endpoint, nodes, broker_url)
        machines.web = [machines.start_node(place) for place in range(len(nodes))]
        stack.enter_context(nginx.running(folder / "nginx", port, nodes))
        machines.workers = [programs.worker(broker_url) for _ in nodes]
        programs.beat(broker_url)
        for place in range(len(nodes)):
            machines.wait_for_node(place)
        yield machines


def of_the_shop(shop: str) -> dict[str, str]:
    """Only nginx is trusted to say who a buyer is; Alipay's notifies come to it. A lost notify is asked for soon."""
    return {
        "PUBLIC_URL": shop,
        "STOREFRONT_URL": shop,
        "ALLOWED_HOSTS": ",".join(("127.0.0.1", *ADDRESSES)),
        "TRUSTED_PROXIES": "127.0.0.1",
        "PAYMENT_QUERY_AFTER_SECONDS": "2",
        "RATE_LIMITS": "on",
    }


def postgresql(stack: ExitStack, folder: Path) -> str:
    """A cluster whose rows need not survive a power cut."""
    script = str(ROOT / "tools" / "postgres.sh")
    with (folder.parent / "pg.log").open("wb") as log:  # the server keeps what it is given as its output
        command = [script, "start", str(folder), "fsync=off"]
        started = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, check=True)
    stack.callback(subprocess.run, [script, "stop", str(folder)], check=False)
    return started.stdout.decode().strip()


def through_pgbouncer(stack: ExitStack, folder: Path, url: str) -> dict[str, str]:
    """Without Redis, so that limits and the telling of changes go through it too."""
    (port,) = free_ports("127.0.0.1", 1)
    pooled_url = stack.enter_context(pgbouncer.running(folder / "pgbouncer", port, url))
    return {"DATABASE_URL": pooled_url, "DATABASE_LISTEN_URL": url, "REDIS_URL": ""}


def server(stack: ExitStack, one: Server) -> str:
    one.start()
    stack.callback(one.stop)
    return one.url


def start_broker(stack: ExitStack, folder: Path, broker: str) -> "subprocess.Popen[bytes] | None":
    """RabbitMQ takes ten seconds, in which the others start; None where Redis is the broker."""
    if broker == "redis":
        return None
    one = Broker("rabbitmq.sh", folder / "rabbitmq")
    stack.callback(one.stop)
    command = [str(ROOT / "tools" / one.script), "start", str(one.folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def rabbitmq(starting: "subprocess.Popen[bytes]") -> str:
    told, _ = starting.communicate(timeout=200)
    if starting.returncode:
        raise RuntimeError("RabbitMQ did not start")
    return told.decode().strip()


def free_ports(address: str, count: int) -> list[int]:
    """Below the range from which Linux takes clients' ports, so that no client of ours takes a dead node's."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        return [bound(probe, address) for probe in probes]


def bound(probe: socket.socket, address: str) -> int:
    start = 20000 + os.getpid() * 7 % 12000
    for port in range(start, 32700):
        try:
            probe.bind((address, port))
        except OSError:
            continue
        return port
    raise OSError(f"no free port at {address}")


def migrate(programs: Programs, url: str) -> None:
    program = programs.start("manage.py", "migrate", "--verbosity", "0", "--skip-checks", DATABASE_URL=url)
    assert program.process.wait(120) == 0, program.said()


@contextmanager
def orm_on(url: str) -> Iterator[None]:
    """Let Django's models in this process read and write that database."""
    with variables(DATABASE_URL=url):
        theirs = database()
    del theirs["OPTIONS"]["pool"]
    before = connections.databases["default"]
    connections.close_all()
    connections.databases["default"] = connections.configure_settings({"default": theirs})["default"]
    del connections["default"]
    try:
        yield
    finally:
        connections.close_all()
        connections.databases["default"] = before
        del connections["default"]


def missing(*, pooled: bool = False) -> list[str]:
    """What is not installed of what this needs."""
    found = {"nginx": nginx.program(), "Redis": shutil.which("redis-server")}
    if pooled:
        found["pgbouncer"] = pgbouncer.program()
    return [name for name, path in found.items() if path is None]
