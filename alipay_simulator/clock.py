"""Beijing time, whatever the time zone of the process, and a clock that tests can hurry.

Two hands turn on one axle. `now()` is the time of the wire and of every deadline: the real time plus whatever was
advanced by hand. `ticks()` is the time of the notify schedule: it also runs `speed` times as fast, so that fifteen
hours of waiting fit into a test while a shop's orders still live their normal time.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")  # no summer time since 1991, hence no tz database needed
FORMAT = "%Y-%m-%d %H:%M:%S"
SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def beijing(moment: float) -> str:
    """Write epoch seconds as `yyyy-MM-dd HH:mm:ss` in Beijing."""
    return datetime.fromtimestamp(moment, BEIJING).strftime(FORMAT)


def parse_beijing(text: object) -> float:
    """Read `yyyy-MM-dd HH:mm:ss` in Beijing as epoch seconds; ValueError for any other shape."""
    if not isinstance(text, str) or not SHAPE.fullmatch(text):
        raise ValueError("not yyyy-MM-dd HH:mm:ss")
    return datetime.strptime(text, FORMAT).replace(tzinfo=BEIJING).timestamp()


def end_of_day(moment: float) -> float:
    """Return the epoch seconds of the next midnight in Beijing."""
    day = datetime.fromtimestamp(moment, BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=1)).timestamp()


@dataclass(frozen=True, slots=True)
class Dial:
    """The clock's state: at real time `wall`, the schedule stood at `ticks`; both ran on from there."""

    wall: float
    ticks: float
    offset: float = 0.0
    speed: float = 1.0


class Clock:
    """Tells the time; `keep` is called with every new dial, so that the book can carry it over a restart.

    With `frozen_at` no real time passes: the clock stands there until it is advanced.
    """

    def __init__(
        self, dial: Dial | None, speed: float, keep: Callable[[Dial], None], frozen_at: float | None = None
    ) -> None:
        self._frozen_at = frozen_at
        self._speed = speed
        self._keep = keep
        self._dial = dial or self._fresh()
        self.set_speed(speed)

    def restart(self) -> None:
        """Forget what was advanced, and run at the first speed again."""
        self._turn(self._fresh())

    def _fresh(self) -> Dial:
        return Dial(wall=self._real(), ticks=self._real(), speed=self._speed)

    def _real(self) -> float:
        return time.time() if self._frozen_at is None else self._frozen_at

    def wall(self) -> float:
        """What a caller's own clock is compared with: the real time, or the frozen one, which callers must read."""
        return time.time() if self._frozen_at is None else self.now()

    @property
    def dial(self) -> Dial:
        """The settings in force."""
        return self._dial

    def now(self) -> float:
        """Epoch seconds of the wire and of deadlines."""
        return self._real() + self._dial.offset

    def ticks(self) -> float:
        """Seconds of the notify schedule; only differences mean anything."""
        return self._dial.ticks + (self._real() - self._dial.wall) * self._dial.speed

    def set_speed(self, speed: float) -> None:
        """Let the notify schedule run `speed` times as fast from now on; ValueError unless 0 < speed <= 1e6."""
        if not 0 < speed <= 1_000_000:
            raise ValueError("the speed must be above 0 and at most 1000000")
        self._turn(replace(self._dial, wall=self._real(), ticks=self.ticks(), speed=speed))

    def advance(self, seconds: float) -> None:
        """Move both hands forward; ValueError for a step back or past ten years."""
        if not 0 <= seconds <= 315_360_000:
            raise ValueError("the clock only moves forward, by at most ten years")
        dial = self._dial
        self._turn(replace(dial, wall=self._real(), ticks=self.ticks() + seconds, offset=dial.offset + seconds))

    def _turn(self, dial: Dial) -> None:
        self._dial = dial
        self._keep(dial)
