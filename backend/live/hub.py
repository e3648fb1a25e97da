"""Who waits for which order, in one process; and the one loop that reads what changed, for all of them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from backend.monitoring.meters import set_waiting_streams

logger = logging.getLogger("coursepay.live")

BATCH = 100
"""Orders that are read in one go."""
PAUSE_SECONDS = 1.0
"""After a read that failed: the database is away."""
ANY = "*"
"""In place of a number: nobody knows which order changed."""
MOST_CHANGES = 10_000
"""Numbers kept for those who arrive. More, and whoever is arriving reads again whatever they wait for."""


class State(NamedTuple):
    """What a client is to see: a JSON text, and whether nothing comes after it."""

    body: bytes
    is_last: bool


class Waiter:
    """One client. It has room for one state: a client that is slow sees the newest, not every one between."""

    __slots__ = ("_seen", "_state", "_wake", "is_closed", "number", "owner")

    def __init__(self, *, number: str, owner: int) -> None:
        self.number, self.owner = number, owner
        self.is_closed = False
        self._seen: int | None = None
        self._state: State | None = None
        self._wake: asyncio.Future[None] | None = None

    def deliver(self, state: State) -> None:
        """Hand over a state. What the client has seen already is not sent again."""
        seen = hash(state.body)
        if seen != self._seen or state.is_last:
            self._seen, self._state = seen, state
            self._stir()

    def close(self) -> None:
        """Nothing more is for this client: it went away, or the server stops."""
        self.is_closed = True
        self._stir()

    def _stir(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self, seconds: float) -> State | None:
        """The next state; None after so many seconds without one, or when closed."""
        if self._state is None and not self.is_closed:
            loop = asyncio.get_running_loop()
            self._wake = loop.create_future()
            timer = loop.call_later(seconds, self._stir)  # ``asyncio.wait`` would make three objects more a heartbeat
            try:
                await self._wake
            finally:
                timer.cancel()
                self._wake = None
        state, self._state = self._state, None
        return None if self.is_closed else state


W = TypeVar("W", bound=Waiter)
Show = Callable[[Mapping[str, Collection[W]]], list[tuple[W, State]]]
"""The present state of some orders, as each of their waiters asked to see it. Called in a thread."""


class Hub(Generic[W]):
    """Belongs to one event loop. Only ``show`` runs elsewhere, never twice at once: states come in order of time."""

    def __init__(self, show: Show[W], threads: ThreadPoolExecutor) -> None:
        self._show, self._threads = show, threads
        self._waiters: dict[str, set[W]] = {}
        self._due: dict[str, set[W]] = {}
        self._stirred = asyncio.Event()
        self._per_owner: Counter[int] = Counter()
        self.arriving = 0
        self._changes: dict[str, int] = {}
        self._tick = 0
        self._clients = 0
        self.is_stopping = False

    def __len__(self) -> int:
        return self._clients

    def of_owner(self, owner: int) -> int:
        return self._per_owner[owner]

    def everyone(self) -> list[W]:
        return [waiter for waiters in self._waiters.values() for waiter in waiters]

    @contextmanager
    def arrival(self) -> Iterator[Callable[[W], None]]:
        """While somebody reads an order in order to wait for it. What is given adds who has read.

        An order that changes meanwhile is read again: nobody can tell which of the two was first.
        """
        self.arriving += 1
        try:
            yield partial(self._add, self._tick)
        finally:
            self.arriving -= 1
            if not self.arriving:
                self._changes.clear()

    def _add(self, since: int, waiter: W) -> None:
        self._waiters.setdefault(waiter.number, set()).add(waiter)
        self._per_owner[waiter.owner] += 1
        self._count(1)
        if any(self._changes.get(number, 0) > since for number in (waiter.number, ANY)):
            self.changed([waiter.number])
        if self.is_stopping:
            waiter.close()

    def remove(self, waiter: W) -> None:
        waiters = self._waiters[waiter.number]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[waiter.number]
        self._count(-1)
        self._per_owner[waiter.owner] -= 1
        if not self._per_owner[waiter.owner]:
            del self._per_owner[waiter.owner]

    def _count(self, change: int) -> None:
        self._clients += change
        set_waiting_streams(self._clients)

    def changed(self, numbers: Collection[str]) -> None:
        self._note(numbers)
        for number in numbers:
            if waiters := self._waiters.get(number):
                self._due.setdefault(number, set()).update(waiters)
        if self._due:
            self._stirred.set()

    def _note(self, numbers: Collection[str]) -> None:
        """For those who are arriving: when each order changed last. One book for all of them, however many."""
        if self.arriving:
            self._tick += 1
            self._changes.update(dict.fromkeys(numbers, self._tick))
            if len(self._changes) > MOST_CHANGES:
                self._changes = {ANY: self._tick}

    def read_again(self) -> None:
        """Something may have been missed."""
        self.changed([*self._waiters, ANY])

    def stop(self) -> None:
        self.is_stopping = True
        for waiter in self.everyone():
            waiter.close()

    async def run(self) -> None:
        """Read and deliver what is due, for ever."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while batch := {number: self._due.pop(number) for number in list(self._due)[:BATCH]}:
                if not await self._deliver(batch):
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _deliver(self, batch: dict[str, set[W]]) -> bool:
        """Whether it could be read; what could not is due again."""
        loop = asyncio.get_running_loop()
        try:
            shown = await loop.run_in_executor(self._threads, self._show, batch)
        except Exception:
            logger.exception("the orders that changed could not be read")
            for number, waiters in batch.items():
                self._due.setdefault(number, set()).update(waiters)
            return False
        for waiter, state in shown:
            waiter.deliver(state)
        return True
