"""Counts kept in Redis, where there is one: every count is one atomic script, and Redis' own clock ends a window.

Redis is a convenience here. A call that does not go well costs a request at most 50 ms, raises Away, and Redis is then
left alone for some seconds, in which no request pays for it: the caller counts in the database meanwhile.
"""

import logging
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger("coursepay.limits")

PATIENCE_SECONDS = 0.025
"""For the connection, and once more for the answer: a call is one script and nothing before it, so 50 ms in all. (A
password or a database number in REDIS_URL is one more answer to wait for, on a new connection.)"""
QUIET_SECONDS = 5.0
"""How long Redis is left alone after a call that failed or was slower than that."""

COUNT = """
local found = {}
for place, key in ipairs(KEYS) do
  local times = redis.call('INCR', key)
  if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[1]) end
  found[place] = {times, redis.call('PTTL', key)}
end
return found
"""
GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return {}
"""
FORGET = "redis.call('DEL', unpack(KEYS)) return {}"

_quiet_until = 0.0
"""On the monotonic clock. A race between two threads over it costs one more try, nothing else."""


class Away(Exception):
    """Redis is not set up, does not answer, or is left alone."""


def count(keys: Sequence[str], window_ms: int) -> list[tuple[int, int]]:
    """Count one try for each key; how many there were in its window, and how many milliseconds of that are left."""
    return run(COUNT, keys, window_ms)


def give_back(keys: Sequence[str]) -> None:
    """Count one try less for each key."""
    run(GIVE_BACK, keys)


def forget(keys: Sequence[str]) -> None:
    """Count from nothing again."""
    run(FORGET, keys)


def run(script: str, keys: Sequence[str], *arguments: int) -> list[tuple[int, int]]:
    """The pairs that the script gives. Raises Away, and nothing else."""
    if not settings.REDIS_URL or time.monotonic() < _quiet_until:
        raise Away
    began = time.monotonic()
    try:
        answer: Any = client(settings.REDIS_URL).eval(script, len(keys), *(f"limit:{key}" for key in keys), *arguments)
        pairs = [(int(times), int(left)) for times, left in answer]
    except Exception as error:  # whatever it is: a limit must not be what a request fails of
        leave_alone(type(error).__name__)
        raise Away from error
    if time.monotonic() - began > 2 * PATIENCE_SECONDS:
        leave_alone("slow")
    return pairs


def leave_alone(why: str) -> None:
    global _quiet_until
    _quiet_until = time.monotonic() + QUIET_SECONDS
    logger.warning("Redis: %s. Limits are counted in the database for %d s.", why, QUIET_SECONDS)


@cache
def client(url: str) -> redis.Redis:
    """One for the process, with its pool. Without retries, which redis-py has and which take seconds.

    RESP2 without a client's name: a new connection then says nothing before the script, unless there is a password.
    """
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=PATIENCE_SECONDS,
        socket_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
