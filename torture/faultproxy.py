"""A TCP proxy that does to a line what networks do: between the shop and PostgreSQL, Redis or the simulator.

``proxy.weather`` may be changed at any time, also for the connections that are open. What is chance follows from the
seed and the number of the connection.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

CHUNK = 64 * 1024
SMALL = 512
PATIENCE = 10
"""Seconds; they only bound what has gone wrong."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, no time to linger: a close is an RST
Way = Literal["up", "down"]
"""``up`` from the client to the server, ``down`` what the server answers."""


@dataclass(frozen=True)
class Weather:
    """What befalls the bytes; the default is nothing. Seconds, bytes, bytes a second."""

    latency: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    slow_read: float = 0.0
    """The rate at which the client takes what the server answers; it takes it in small pieces."""
    black_hole: bool = False
    """Connections are taken and nothing passes; what is held passes when it is over."""
    reset: bool = False
    """Whatever is sent, either way, ends its connection with an RST."""
    cut_after: int = 0
    """An RST once a connection has passed so many bytes, both ways together; 0 is never."""
    cut_after_text: bytes = b""
    """The server gets this text whole and does what it says; its answer is dropped and the client gets an RST."""
    spare: int = 0
    """How often the text passes unharmed first, over all connections since this weather began. It strikes once."""


FAIR = Weather()


@dataclass(eq=False)
class Line:
    """One connection of a client, and ours to the server."""

    number: int
    dice: Random
    client: asyncio.StreamWriter
    task: "asyncio.Task[None]"
    server: asyncio.StreamWriter | None = None
    passed: int = 0
    tail: bytes = b""
    answer_is_lost: bool = False
    ended: bool = False

    def end(self, *, reset: bool) -> None:
        """Both sides. The server is left in good order: what it was told has been done."""
        if self.ended:
            return
        self.ended = True
        if reset and (raw := self.client.get_extra_info("socket")) is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.client.transport.abort()
        for writer in filter(None, (self.client, self.server)):
            writer.close()


@dataclass
class FaultProxy:
    """Listens on ``port`` of this machine. ``counts``: connections, cuts, and how often the text was seen."""

    host: str
    server_port: int
    seed: int = 0
    port: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _weather: Weather = FAIR
    _lines: set[Line] = field(default_factory=set)
    _server: asyncio.Server | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._changed = self._run(new_event())
        self.up()

    # --- From the outside, by any thread -----------------------------------------------------------------------------

    @property
    def weather(self) -> Weather:
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._run(self._change(weather))

    @contextlib.contextmanager
    def in_weather(self, **faults: Any) -> Iterator[None]:
        """Fair again at the end."""
        self.weather = Weather(**faults)
        try:
            yield
        finally:
            self.weather = FAIR

    def up(self) -> None:
        """Listen, by the same port as before."""
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=CHUNK))
        self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Nobody is here: connections are refused, and those that are open are reset."""
        self._run(self._down())

    def cut_all(self) -> None:
        """Reset every connection that is open."""
        self._run(self._cut_all())

    def stop(self) -> None:
        self.weather = FAIR
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE)

    # --- In the loop's thread ----------------------------------------------------------------------------------------

    async def _change(self, weather: Weather) -> None:
        self._weather = weather
        self.counts["texts"] = 0
        self._changed.set()
        self._changed.clear()

    async def _down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut_all()

    async def _cut_all(self) -> None:
        """Returns when what served them has ended."""
        lines = list(self._lines)
        for line in lines:
            self._cut(line)
        if lines:
            await asyncio.wait([line.task for line in lines], timeout=PATIENCE)

    def _cut(self, line: Line) -> None:
        if not line.ended:
            self.counts["cuts"] += 1
            line.end(reset=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        number = self.counts["connections"]
        task = asyncio.current_task()
        assert task is not None
        line = Line(number, Random(f"{self.seed}/{number}"), writer, task)
        self._lines.add(line)
        try:
            await self._pass_black_hole()
            answers, line.server = await asyncio.open_connection(self.host, self.server_port, limit=CHUNK)
            if line.ended:  # cut meanwhile
                return
            await asyncio.gather(self._pump(line, reader, "up"), self._pump(line, answers, "down"))
        except OSError:
            self._cut(line)
        finally:
            for side in filter(None, (line.client, line.server)):
                side.close()
            line.ended = True
            self._lines.discard(line)

    async def _pump(self, line: Line, source: asyncio.StreamReader, way: Way) -> None:
        """One direction until its sender has no more to say, which the other side is told as it was."""
        sink = line.server if way == "up" else line.client
        assert sink is not None
        try:
            while data := await source.read(SMALL if way == "down" and self._weather.slow_read else CHUNK):
                await self._delay(line, len(data), way)
                if line.ended or not await self._let_through(line, data, way, sink):
                    return
            if not line.ended:
                sink.write_eof()
        except (OSError, RuntimeError):  # one side is gone: so is the other
            line.end(reset=True)

    async def _delay(self, line: Line, size: int, way: Way) -> None:
        weather = self._weather
        late = weather.latency + weather.jitter * line.dice.random()
        rates = (weather.rate, weather.slow_read if way == "down" else 0)
        late += max((size / rate for rate in rates if rate), default=0)
        if late:
            await asyncio.sleep(late)
        await self._pass_black_hole()

    async def _pass_black_hole(self) -> None:
        while self._weather.black_hole:
            await self._changed.wait()

    async def _let_through(self, line: Line, data: bytes, way: Way, sink: asyncio.StreamWriter) -> bool:
        """False where the line was cut instead, or after it."""
        weather = self._weather
        if weather.reset or (way == "down" and line.answer_is_lost):
            self._cut(line)
            return False
        room = weather.cut_after - line.passed if weather.cut_after else len(data)
        if way == "up" and weather.cut_after_text:
            line.answer_is_lost |= self._has_text(line, data)
        sink.write(data[: max(room, 0)])
        await sink.drain()
        line.passed += len(data)
        if room < len(data):
            self._cut(line)
            return False
        return True

    def _has_text(self, line: Line, data: bytes) -> bool:
        """Whether this is where the text ends that costs the line, also where it came in two pieces."""
        text = self._weather.cut_after_text
        seen = (line.tail + data).count(text)
        line.tail = (line.tail + data)[-(len(text) - 1) :] if len(text) > 1 else b""
        before = self.counts["texts"]
        self.counts["texts"] += seen
        return bool(seen) and self.counts["texts"] > self._weather.spare >= before


async def new_event() -> asyncio.Event:
    return asyncio.Event()
