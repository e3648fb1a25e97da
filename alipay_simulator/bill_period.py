"""Which day or month a bill is of, and from when on it can be had (protocol 5.6)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from .clock import BEIJING

SHAPE = re.compile(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?")
DAY_READY = timedelta(hours=9)  # of the next morning
MONTH_READY = timedelta(days=2, hours=9)  # the morning of the 3rd


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month in Beijing, epoch seconds; `name` is `yyyyMMdd` or `yyyyMM`, as bills are named."""

    name: str
    start: float
    end: float
    ready_at: float


def parse_period(text: object) -> Period:
    """Read `yyyy-MM-dd` or `yyyy-MM`; ValueError for any other shape and for a day that is none."""
    match = SHAPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not yyyy-MM-dd or yyyy-MM")
    year, month, day = match.groups()
    try:
        first = datetime(int(year), int(month), int(day or 1), tzinfo=BEIJING)
        after = first + timedelta(days=1) if day else (first + timedelta(days=31)).replace(day=1)
        ready = after + (DAY_READY if day else MONTH_READY)
    except OverflowError:
        raise ValueError("after the last day there is") from None
    return Period(match[0].replace("-", ""), first.timestamp(), after.timestamp(), ready.timestamp())


def named_period(name: str) -> Period:
    """Return the period of a bill's name, `20170831` or `201708`."""
    return parse_period("-".join(filter(None, (name[:4], name[4:6], name[6:]))))
