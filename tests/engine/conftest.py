"""The real Redis and the real RabbitMQ: started when a test first asks for one, ended with the test run."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest
from django.conf import settings

from alipay_simulator.control import Control
from backend.broker import QUEUE
from tests.canaries import IN_LOGS
from tests.engine.programs import Programs, environment
from tests.events.endpoint import Endpoint

TOOLS = Path(__file__).resolve().parents[2] / "tools"
NOT_INSTALLED = 3
DEADLINE_SECONDS = 200
HERE = Path(__file__).parent


def pytest_configure(config):
    config.addinivalue_line("markers", "sqlite: about SQLite's own ways, or no database's (the suite's first run)")


def pytest_collection_modifyitems(config, items):
    """What is about one of the two databases, or about none, is run once."""
    other = "sqlite" if settings.ON_POSTGRES else "postgres"
    out = [item for item in items if item.path.is_relative_to(HERE) and item.get_closest_marker(other)]
    if out:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


class Server:
    """A throw-away server, run by its script in tools/; the folder has its port, its data and its process id."""

    def __init__(self, script: str, folder: Path) -> None:
        self.script, self.folder, self.url = script, folder, ""

    def start(self) -> None:
        """Returns when clients are served, by the same URL as the time before."""
        self.url = self.run("start")

    def stop(self) -> None:
        self.run("stop")

    def run(self, command: str) -> str:
        """What the script prints. Where the server is not installed the test is skipped: in CI that is a failure."""
        outcome = subprocess.run(
            [TOOLS / self.script, command, self.folder], capture_output=True, text=True, timeout=DEADLINE_SECONDS
        )
        if outcome.returncode == NOT_INSTALLED:
            pytest.skip(outcome.stderr.strip())
        assert outcome.returncode == 0, f"{self.script} {command}: {outcome.stderr}"
        return outcome.stdout.strip()


class Redis(Server):
    """It writes nothing to disk: killed, it comes back empty."""

    def kill(self) -> None:
        os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    def settle(self, queue: str) -> None:
        """Nothing: there is nothing to be kept."""


class Broker(Server):
    """RabbitMQ. Its URL is one for CELERY_BROKER_URL."""

    def kill(self) -> None:
        """kill -9, as a power cut would do it. ``start`` brings it back, with what it had confirmed."""
        self.run("kill")

    def settle(self, queue: str) -> None:
        """Returns when a new quorum queue outlives ``kill``, about a second after it was declared.

        RabbitMQ 3.10 confirms the declaration at once, but writes the queue's name to disk later. Killed between the
        two it comes back with the queue empty and without a leader, which answers nobody (seen on 3.10.8).
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not any(queue.encode() in file.read_bytes() for file in self.folder.glob("mnesia/*/quorum/*/names.dets")):
            assert time.monotonic() < deadline, f"RabbitMQ has not written down {queue}"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory) -> Iterator[Redis]:
    server = Redis("redis.sh", tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(session_redis) -> Redis:
    """One for the whole run; up again, should the test before have left it dead."""
    session_redis.start()
    return session_redis


@pytest.fixture
def redis_url(redis_server) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def session_broker(tmp_path_factory) -> Iterator[Broker]:
    broker = Broker("rabbitmq.sh", tmp_path_factory.mktemp("rabbitmq"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def rabbitmq(session_broker) -> Broker:
    """One broker for the whole run; up again, should the test before have left it dead."""
    session_broker.start()
    return session_broker


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request) -> Broker | Redis:
    """The same test with either, and with an empty queue."""
    found = request.getfixturevalue("rabbitmq" if request.param == "rabbitmq" else "redis_server")
    empty(found.url)
    return found


def empty(url: str) -> None:
    """Nothing is left of the test before."""
    with kombu.Connection(url) as connection, contextlib.suppress(connection.channel_errors):
        connection.default_channel.queue_purge(QUEUE)


@pytest.fixture
def programs(tmp_path, transactional_db, canary_watch) -> Iterator[Programs]:
    """Real processes on the database of the test run. No secret of it may stand in their logs."""
    started = Programs(tmp_path, environment())
    yield started
    started.end()
    for program in started.running:
        canary_watch.look(program.said(), "the log of a program of the engine", IN_LOGS)


@pytest.fixture
def endpoint(programs) -> Iterator[Endpoint]:
    """Somebody else's system, that the programs tell of every event."""
    listening = Endpoint()
    listening.up()
    programs.env["EVENT_URLS"] = listening.url
    yield listening
    listening.down()


@pytest.fixture
def control(programs) -> Iterator[Control]:
    """Alipay: its simulator, as a process."""
    with programs.simulator() as found:
        yield found
