"""The real Redis and the real RabbitMQ: started when a test first asks for one, ended with the test run."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
NOT_INSTALLED = 3
DEADLINE_SECONDS = 200


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
def redis_url(tmp_path_factory) -> Iterator[str]:
    server = Server("redis.sh", tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


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
