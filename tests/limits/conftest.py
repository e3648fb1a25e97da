"""The real Redis, one that is dead, and one that never answers."""

import socket
import threading

import pytest
import redis

from backend.limits import in_redis
from tests.engine.conftest import redis_server, redis_url, session_redis  # noqa: F401 - fixtures are found by name


@pytest.fixture(autouse=True)
def on_speaking_terms(monkeypatch):
    """Each test begins with a Redis that nobody has been disappointed by."""
    monkeypatch.setattr(in_redis, "_quiet_until", 0.0)


@pytest.fixture
def in_the_real_redis(redis_url, settings, db):  # noqa: F811
    """The limits are kept in an empty Redis. Gives a client of it."""
    settings.REDIS_URL = redis_url
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def mortal_redis(redis_server, settings, db):  # noqa: F811
    """A Redis that a test may kill or stop. Gives its server."""
    settings.REDIS_URL = redis_server.url
    redis.Redis.from_url(redis_server.url).flushall()
    return redis_server


class Hole:
    """Accepts and reads, and answers with ``words`` or nothing. Counts the connections and what was said on them."""

    def __init__(self, words=b""):
        self.words, self.connections, self.said = words, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.listen, args=(line,), daemon=True).start()

    def listen(self, line):
        with line:
            while said := line.recv(65536):
                self.said.append(said)
                line.sendall(self.words)


@pytest.fixture
def hole(settings):
    """REDIS_URL leads to a server that never answers. ``hole.words`` makes it answer so."""
    hole = Hole()
    settings.REDIS_URL = hole.url
    yield hole
    hole.listener.close()
