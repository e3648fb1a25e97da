"""How many may do a costly thing at the same time in one process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from backend.errors import RateLimited


class AtMost:
    """Room for ``places`` at a time. Nobody waits for a place: a thread that waits serves nobody else."""

    def __init__(self, places: int, *, retry_after_ms: int) -> None:
        self.room, self.retry_after_ms = threading.BoundedSemaphore(places), retry_after_ms

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises RateLimited where there is none."""
        if not settings.RATE_LIMITS:
            yield
            return
        if not self.room.acquire(blocking=False):
            raise RateLimited(self.retry_after_ms)
        try:
            yield
        finally:
            self.room.release()
