"""A bounded load over kept-alive connections: so many requests, so many at a time, each answer checked."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

CONCURRENCY = 4


class WrongAnswer(Exception):
    """An answer that is not the one expected: figures of a server that does not work mean nothing."""


@dataclass(frozen=True)
class Call:
    """One request, and what looks at the body of its answer (raising WrongAnswer)."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    check: Callable[[bytes], None]
    method: str = "POST"


@dataclass
class Timing:
    """What a load took: of each request, and from first to last."""

    seconds: float = 0.0
    each: list[float] = field(default_factory=list)

    def add(self, other: "Timing") -> None:
        self.seconds += other.seconds
        self.each += other.each

    def percentile(self, percent: int) -> float:
        return sorted(self.each)[min(len(self.each) * percent // 100, len(self.each) - 1)]


def send(port: int, calls: Sequence[Call]) -> Timing:
    """Send the calls, CONCURRENCY at a time. Raises WrongAnswer for the first answer that is not as it should be."""
    waiting = Queue(iter(calls))
    timing = Timing()
    wrong: list[Exception] = []
    workers = [threading.Thread(target=work, args=(port, waiting, timing, wrong)) for _ in range(CONCURRENCY)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    timing.seconds = time.perf_counter() - began
    if wrong:
        raise wrong[0]
    return timing


class Queue:
    """Calls handed out one by one to several threads."""

    def __init__(self, calls: Iterator[Call]) -> None:
        self.calls, self.lock = calls, threading.Lock()

    def next(self) -> Call | None:
        with self.lock:
            return next(self.calls, None)


def work(port: int, waiting: Queue, timing: Timing, wrong: list[Exception]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        while not wrong and (call := waiting.next()):
            timing.each.append(ask(connection, call))
    except Exception as error:
        wrong.append(error)
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, call: Call) -> float:
    """The seconds to the last byte of a right answer."""
    began = time.perf_counter()
    connection.request(call.method, call.path, call.body, dict(call.headers))
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    if answer.status != http.HTTPStatus.OK:
        raise WrongAnswer(f"{call.path}: HTTP {answer.status} {body[:500]!r}")
    call.check(body)
    return took
