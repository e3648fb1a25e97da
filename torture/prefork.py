"""The shop's web server and its jobs, made to be killed: ``.venv/bin/python -m torture.prefork PORT``.

It imports the shop once, lets one purchase pass and undoes it. For each line ``up`` on its input it forks a server: a
master with a process group of its own, its workers (each serves one request at a time with the shop's own WSGI
application) and ``run_jobs``. A worker that dies is forked again at once. So a start after kill -9 costs milliseconds
instead of an import of Django, and keeps nothing of what was killed: what a process had in memory is gone with it.
"""

import argparse
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from socketserver import BaseServer
from typing import Any, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections, transaction  # noqa: E402

from backend.accounts.models import User  # noqa: E402
from backend.courses.models import Course  # noqa: E402
from backend.payments.models import Payment  # noqa: E402
from backend.wsgi import application  # noqa: E402
from tests.shop import AlipaySide, Shopper, post_notify  # noqa: E402

HOST = "127.0.0.1"
BACKLOG = 128


class Handler(WSGIRequestHandler):
    """Silent, and without a look-up of the client's name."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        pass

    def address_string(self) -> str:
        return str(self.client_address[0])


class Worker(WSGIServer):
    """Takes connections from the socket it shares with its brothers, one after the other."""

    def __init__(self, listener: socket.socket) -> None:
        BaseServer.__init__(self, listener.getsockname(), Handler)
        self.socket, self.busy, self.told_to_end = listener, False, False
        self.server_name, self.server_port = HOST, listener.getsockname()[1]
        self.setup_environ()
        self.set_app(application)

    def serve(self) -> None:
        signal.signal(signal.SIGTERM, self.end_soon)
        while not self.told_to_end:
            line, address = self.socket.accept()
            self.busy = True
            line.settimeout(30)
            self.process_request(line, address)
            self.busy = False

    def end_soon(self, *_: object) -> None:
        """What has begun is answered first."""
        self.told_to_end = True
        if not self.busy:
            raise SystemExit(0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up: no business of ours."""


class Master:
    """Keeps so many workers, and the jobs, alive."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.listener = listen(options.port)
        self.children: dict[int, Callable[[], None]] = {}
        self.ending = False

    def live(self) -> None:
        signal.signal(signal.SIGTERM, self.end)
        for _ in range(self.options.workers):
            self.fork(self.serve)
        if self.options.jobs:
            self.fork(self.jobs)
        while self.children:
            pid, _ = os.wait()
            work = self.children.pop(pid)
            if not self.ending:
                self.fork(work)

    def fork(self, work: Callable[[], None]) -> None:
        pid = os.fork()
        if pid:
            self.children[pid] = work
            return
        lead_own_life(work)

    def end(self, *_: object) -> None:
        self.ending = True
        self.listener.close()
        for pid in self.children:
            os.kill(pid, signal.SIGTERM)

    def serve(self) -> None:
        with sabotage(self.options.sabotage):
            Worker(self.listener).serve()

    def jobs(self) -> None:
        self.listener.close()
        if self.options.jobs_port:
            connections.settings["default"]["PORT"] = self.options.jobs_port
        with sabotage(self.options.sabotage):
            call_command("run_jobs", pause=0.2)


def listen(port: int) -> socket.socket:
    """An old server and a new one may listen at the same time, as during a deployment without a gap."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((HOST, port))
    listener.listen(BACKLOG)
    return listener


def sabotage(name: str) -> AbstractContextManager[Any]:
    """``module:function``: a protection that is taken out, for a negative control."""
    if not name:
        return nullcontext()
    module, _, function = name.partition(":")
    found: AbstractContextManager[Any] = getattr(import_module(module), function)()
    return found


def lead_own_life(work: Callable[[], None]) -> NoReturn:
    """In a process just forked: nothing of the parent's signals and chance, and no way back into its code."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        work()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def warm_up() -> None:
    """The first request of a process costs fifteen times the second: let it be here, and undo what it wrote."""
    with transaction.atomic():
        shopper = Shopper.signed_in(User.objects.create(username="warm up"))
        number = shopper.create_order([Course.objects.create(name="warm up", price_fen=1)])["order"]["outTradeNo"]
        shopper.status(number)
        post_notify(AlipaySide().paid_notify(Payment.objects.get(out_trade_no=number)))
        transaction.set_rollback(True)


def hang_up() -> None:
    """A line to the database is not to be shared."""
    for connection in connections.all():
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()


def master(options: argparse.Namespace) -> None:
    os.setsid()
    Master(options).live()


def main() -> int:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m torture.prefork", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--no-jobs", dest="jobs", action="store_false")
    parser.add_argument("--jobs-port", default="", help="where PostgreSQL is for the jobs, if not where it is for all")
    parser.add_argument("--sabotage", default="", metavar="MODULE:FUNCTION")
    options = parser.parse_args()
    warm_up()
    hang_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # masters are collected by the kernel
    print("ready", flush=True)
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            os.close(0)
            lead_own_life(lambda: master(options))
        print(pid, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
