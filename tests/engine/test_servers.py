"""The servers that the engine's tests stand on are the real ones, and keep what a real one keeps."""

from pathlib import Path

import kombu
import pytest
import redis

from tests.engine.conftest import Broker, Server
from tests.live.conftest import until

pytestmark = pytest.mark.sqlite  # no database at all: once is enough

JOBS = kombu.Queue("test-servers", durable=True, queue_arguments={"x-queue-type": "quorum"})


def put(url: str, text: str) -> None:
    """Returns once the broker has confirmed the message."""
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        kombu.Producer(connection).publish(text, routing_key=JOBS.name, delivery_mode="persistent")


def take(url: str) -> str | None:
    """The text of the first message, which is then gone from the queue; None when there is none."""
    with kombu.Connection(url) as connection:
        message = JOBS.bind(connection.channel()).get()
        if message:
            message.ack()
        return message and message.payload


def programs_at_home_in(folder: Path) -> set[str]:
    """Living processes that were started with this HOME, which a broker and all it starts have."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={folder}" in (process / "environ").read_text(errors="replace").split("\0"):
                found.add((process / "comm").read_text().strip())
        except OSError:
            continue  # it has just ended, or is another user's
    return found


def test_redis_answers_and_writes_nothing_to_disk(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
        assert client.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}


def test_redis_stops(tmp_path):
    server = Server("redis.sh", tmp_path)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
    server.stop()
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_confirmed_message_outlives_kill_9_of_the_broker(rabbitmq):
    with kombu.Connection(rabbitmq.url) as connection:
        JOBS.bind(connection.channel()).declare()
    rabbitmq.settle(JOBS.name)
    put(rabbitmq.url, "order 1")
    url = rabbitmq.url

    rabbitmq.kill()
    with pytest.raises(ConnectionRefusedError):
        kombu.Connection(url).connect()
    rabbitmq.start()

    assert rabbitmq.url == url
    assert take(url) == "order 1"
    assert take(url) is None


def test_a_second_broker_runs_beside_the_first_and_leaves_no_process_behind(rabbitmq, tmp_path):
    other = Broker("rabbitmq.sh", tmp_path)
    try:
        other.start()
        assert {"beam.smp", "epmd"} <= programs_at_home_in(tmp_path)
    finally:
        other.stop()

    until(lambda: programs_at_home_in(tmp_path) == set(), 10, "Erlang's last helper to end")
    assert {"beam.smp", "epmd"} <= programs_at_home_in(rabbitmq.folder)
    with kombu.Connection(rabbitmq.url) as connection:
        assert connection.connect()
