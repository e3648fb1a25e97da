"""A whole shop for one trial: PostgreSQL with fsync, the simulator, the web server and the jobs as real processes.

All of it is on this machine, in a folder of its own, and gone afterwards. The simulator keeps its own book, which the
shop never reads, and posts real notifies, again and again until each is acknowledged.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.core.management import call_command
from django.db import connection

from tests.engine.programs import Programs
from tests.events.endpoint import SECRET, Endpoint
from torture.alipay import Alipay, keys_of_alipay
from torture.cluster import Postgres
from torture.machines import free_ports, orm_on
from torture.processes import HOST, Web, end


@dataclass
class Shop:
    """What runs. ``env`` of the programs is the shop's settings."""

    programs: Programs
    alipay: Alipay
    endpoint: Endpoint
    port: int
    stream_port: int
    postgres: Postgres | None = None
    web: Web | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def database_url(self) -> str:
        return self.programs.env["DATABASE_URL"]

    @property
    def database_port(self) -> int:
        return urlsplit(self.database_url).port or 0

    def served_by(self, *options: str) -> Web:
        """Start the forked server, and all that it needs is there by now."""
        self.web = Web(self.programs, self.port, *options)
        self.web.wait()
        self.web.up()
        return self.web

    def tracebacks(self) -> list[str]:
        return [line for program in self.programs.running for line in program.tracebacks()]


@contextmanager
def a_shop(*, url: str = "", options: tuple[str, ...] = (), **env: str) -> Iterator[Shop]:
    """Everything but the web server. ``url``: a migrated database that is there; else PostgreSQL is started with
    ``options``.

    This process's ORM is on that database meanwhile.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coursepay-torture-")))
        folder.chmod(0o755)  # PostgreSQL is another user where we are root
        postgres = None if url else Postgres(folder / "pg", *options)
        if postgres is not None:
            stack.callback(postgres.stop)
            forget_pool()
            stack.enter_context(orm_on(postgres.url))
        ports = free_ports(HOST, 3)
        endpoint = Endpoint()
        endpoint.up()
        stack.callback(endpoint.down)
        programs = Programs(folder, settings_of(url or postgres.url, ports, endpoint, env))  # type: ignore[union-attr]
        stack.callback(end, programs)
        alipay = Alipay(programs, ports[1], keys_of_alipay(folder / "simulator"))
        if postgres is not None:
            call_command("migrate", verbosity=0, skip_checks=True)
        alipay.start()
        yield Shop(programs, alipay, endpoint, ports[0], ports[2], postgres)


def forget_pool() -> None:
    """A pool to another database is kept by the name "default", and would be taken for ours."""
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()


def settings_of(url: str, ports: list[int], endpoint: Endpoint, env: dict[str, str]) -> dict[str, str]:
    """Production's, with the keys of the tests and times in which a trial sees the end of things.

    Buyers' addresses are made up by the clients: the limits count by address too.
    """
    return {
        "DJANGO_SETTINGS_MODULE": "backend.settings",
        "DATABASE_URL": url,
        "DATABASE_POOL_SIZE": "4",
        "PGAPPNAME": "shop",
        "PYTHONUNBUFFERED": "1",
        "PUBLIC_URL": f"http://{HOST}:{ports[0]}",
        "ALIPAY_GATEWAY_URL": f"http://{HOST}:{ports[1]}/gateway.do",
        "TRUSTED_PROXIES": HOST,
        "RATE_LIMITS": "on",
        "JOB_LEASE_SECONDS": "3",
        "PAYMENT_QUERY_AFTER_SECONDS": "2",
        "PROVIDER_RETRY_SECONDS": "1",
        "EVENT_URLS": endpoint.url,
        "EVENT_SECRET": SECRET,
        **env,
    }
