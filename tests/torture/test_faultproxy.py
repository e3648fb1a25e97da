"""The proxy does what its weather says, and nothing else."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from torture.faultproxy import FAIR, FaultProxy, Weather

PATIENCE = 20


class Echo:
    """Answers each piece with the same; keeps what it heard."""

    def __init__(self):
        self.heard = b""
        self.answering = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.answer, args=(line,), daemon=True)
            thread.start()
            self.answering.append(thread)

    def heard_at_the_end(self):
        """All of it, once every line has ended: the client may know of that before the server does."""
        for thread in self.answering:
            thread.join(PATIENCE)
        return self.heard

    def answer(self, line):
        try:
            while said := line.recv(65536):
                self.heard += said
                line.sendall(said)
        except OSError:
            pass
        line.close()


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo):
    between = FaultProxy("127.0.0.1", echo.port, seed=7)
    yield between
    between.stop()


@contextmanager
def line_to(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as line:
        yield line


def say(line, text):
    line.sendall(text)
    heard = b""
    while len(heard) < len(text) and (piece := line.recv(65536)):
        heard += piece
    return heard


def test_in_fair_weather_everything_passes_and_an_end_is_an_end(proxy):
    with line_to(proxy) as line:
        assert say(line, b"x" * 300_000) == b"x" * 300_000
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b""
    assert (proxy.counts["connections"], proxy.counts["cuts"]) == (1, 0)


def test_a_black_hole_takes_connections_and_what_it_held_passes_when_it_is_over(proxy, echo):
    with line_to(proxy) as before:
        assert say(before, b"a") == b"a"
        proxy.weather = Weather(black_hole=True)
        with line_to(proxy) as meanwhile:
            before.sendall(b"b")
            meanwhile.sendall(b"c")
            meanwhile.settimeout(0.2)
            with pytest.raises(TimeoutError):
                meanwhile.recv(1)
            assert echo.heard == b"a"
            proxy.weather = FAIR
            meanwhile.settimeout(PATIENCE)
            assert (before.recv(1), meanwhile.recv(1)) == (b"b", b"c")


def test_down_refuses_and_resets_and_up_is_the_same_address(proxy):
    with line_to(proxy) as line:
        assert say(line, b"a") == b"a"
        proxy.down()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
        with pytest.raises(ConnectionRefusedError), line_to(proxy):
            pass
    proxy.up()
    with line_to(proxy) as line:
        assert say(line, b"b") == b"b"


def test_reset_is_an_rst_at_the_first_word(proxy, echo):
    with proxy.in_weather(reset=True), line_to(proxy) as line:
        line.sendall(b"a")
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert echo.heard_at_the_end() == b""
    assert proxy.weather == FAIR


def test_it_cuts_after_so_many_bytes_and_to_the_byte(proxy, echo):
    with proxy.in_weather(cut_after=150), line_to(proxy) as line:
        assert say(line, b"x" * 50) == b"x" * 50
        line.sendall(b"y" * 100)
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert echo.heard_at_the_end() == b"x" * 50 + b"y" * 50
    assert proxy.counts["cuts"] == 1


def test_the_text_is_heard_and_its_answer_is_not(proxy, echo):
    with proxy.in_weather(cut_after_text=b"COMMIT", spare=1):
        with line_to(proxy) as line:
            assert say(line, b"COMMIT one") == b"COMMIT one"
            line.sendall(b"COM")
            assert line.recv(3) == b"COM"
            line.sendall(b"MIT two")
            with pytest.raises(ConnectionResetError):
                line.recv(1)
        with line_to(proxy) as line:
            assert say(line, b"COMMIT three") == b"COMMIT three"
        assert proxy.counts["texts"] == 3
    assert echo.heard_at_the_end() == b"COMMIT oneCOMMIT twoCOMMIT three"
    assert proxy.counts["cuts"] == 1


def test_latency_is_each_way_and_jitter_follows_from_the_seed(proxy, echo):
    with proxy.in_weather(latency=0.05), line_to(proxy) as line:
        began = time.monotonic()
        assert say(line, b"a") == b"a"
        assert time.monotonic() - began >= 0.1
    other = FaultProxy("127.0.0.1", echo.port, seed=7)
    try:
        draws = []
        for between in (proxy, other):
            between.counts["connections"] = 10
            with line_to(between) as line:
                say(line, b"a")
                (ours,) = [each for each in between._lines if each.number == 11]
                draws.append([ours.dice.random() for _ in range(3)])
        assert draws[0] == draws[1]
    finally:
        other.stop()


@pytest.mark.parametrize("faults", [{"rate": 10_000}, {"slow_read": 10_000}])
def test_a_rate_is_a_least_time(proxy, faults):
    with proxy.in_weather(**faults), line_to(proxy) as line:
        began = time.monotonic()
        assert say(line, b"x" * 2000) == b"x" * 2000
        assert time.monotonic() - began >= 0.2


def test_a_side_that_goes_away_takes_the_other_with_it(proxy, echo):
    with line_to(proxy) as line:
        say(line, b"a")
    deadline = time.monotonic() + PATIENCE
    while proxy._lines:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_where_no_server_is_the_client_hears_an_rst():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    proxy = FaultProxy("127.0.0.1", port)
    try:
        with pytest.raises(ConnectionResetError), line_to(proxy) as line:  # even in connect()
            line.recv(1)
    finally:
        proxy.stop()
