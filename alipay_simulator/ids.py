"""Every number the simulator makes up: from the system's randomness, or the same ones each time from a seed."""

import random
import secrets

from .clock import beijing


class Ids:
    """Numbers that look like Alipay's. With a seed they repeat, so a failing test fails again."""

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self.restart()

    def restart(self) -> None:
        """Begin the seed's sequence again, for a book that begins again."""
        self._random = secrets.SystemRandom() if self.seed is None else random.Random(self.seed)  # noqa: S311 (tests)

    def pay_order_id(self) -> str:
        """32 hex digits, a dot and two digits, as the cashier's addresses have them."""
        return f"{self._random.getrandbits(128):032x}.{self._random.randrange(100):02d}"

    def trade_no(self, now: float) -> str:
        """28 digits, as in the samples: the Beijing day, 22001, and 15 more (protocol 4.1)."""
        return f"{_digits(now)[:8]}22001{self._tail()}"

    def notify_id(self, now: float) -> str:
        """34 digits, as in the samples: Beijing day, 01222, time of day, and 15 more (protocol 4.1)."""
        return f"{_digits(now)[:8]}01222{_digits(now)[8:]}{self._tail()}"

    def refund_no(self, now: float) -> str:
        """The out_request_no of a refund that was made at Alipay's own console, not by the merchant's app."""
        return f"{_digits(now)}{self._tail()}"

    def _tail(self) -> str:
        return f"{self._random.randrange(10**15):015d}"


def _digits(now: float) -> str:
    return beijing(now).translate({ord(mark): None for mark in "-: "})
