"""Real transports, and the stream in this process on the database of the test run."""

import shutil
import socket
import subprocess

import pytest
from django.conf import settings

from backend.live import publishing, sources
from backend.schema import stream
from tests.ports import free_ports
from tests.stream.listener import listening, until


def pytest_collection_modifyitems(config, items):
    """All of it is seen by other threads, so it must be committed. What is about PostgreSQL is left out elsewhere."""
    ours = [item for item in items if "tests/stream" in str(item.path)]
    for item in ours:
        item.add_marker(pytest.mark.django_db(transaction=True))
    out = [item for item in ours if item.get_closest_marker("postgres") and not settings.ON_POSTGRES]
    if out:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


class Redis:
    """A Redis server of our own."""

    def __init__(self, port):
        self.port, self.url, self.process = port, f"redis://127.0.0.1:{port}/0", None

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.sendall(b"PING\r\n")
                return line.recv(10) == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()


def free_port():
    return free_ports(1)[0]


@pytest.fixture
def redis(settings):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    server = Redis(free_port())
    server.start()
    settings.REDIS_URL = server.url
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def fresh_publisher():
    """Each test has a publisher that was made with its settings."""
    publishing.publisher.cache_clear()
    yield
    publishing.publisher.cache_clear()


@pytest.fixture(autouse=True)
def no_sweep(monkeypatch):
    """The sweep finds what a message fails to tell; it must not hide that one failed to."""
    monkeypatch.setattr(stream, "SWEEP_SECONDS", 3600)


@pytest.fixture
def heard(monkeypatch):
    """The number of times that a listener began to hear."""
    began = []
    follow = sources.follow

    async def counted(source, hub):
        read_again = hub.read_again
        hub.read_again = lambda: (began.append(1), read_again())
        await follow(source, hub)

    monkeypatch.setattr(stream, "follow", counted)
    return began


@pytest.fixture
def own():
    """What the settings give without Redis: LISTEN on PostgreSQL, the table on SQLite."""


@pytest.fixture(params=["own", "redis"])
def transport(request):
    request.getfixturevalue(request.param)
    return request.param


@pytest.fixture
def listener(heard):
    with listening() as found:
        until(lambda: heard)
        yield found
