"""Rate limits, counted per try: in Redis where REDIS_URL names one that answers, in the database otherwise.

A limit is a fixed window that begins with the first try. While Redis is away the database counts from its own figures,
so at the worst somebody has two windows' tries in one; without a database nothing is allowed, because counting raises.
"""

import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.http import HttpRequest

from backend.errors import RateLimited
from backend.limits import in_database, in_redis

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Limit:
    """``times`` tries in ``seconds``, for each subject (an account, an address)."""

    name: str
    times: int
    seconds: int

    def key(self, subject: str) -> str:
        """A subject is hashed: a row holds no address or name, and has one length whatever was sent."""
        digest = hashlib.blake2s(subject.encode("utf-8", "backslashreplace"), digest_size=16)
        return f"{self.name}:{digest.hexdigest()}"


Try = tuple[Limit, str]
"""A limit and its subject."""


def take(limit: Limit, subject: str) -> None:
    """Count one try. Raises RateLimited when it is one too many."""
    take_each((limit, subject))


def take_each(*tries: Try) -> None:
    """Count one try against each, in one step. Raises RateLimited when it is one too many for one of them."""
    if wait := wait_ms(*tries):
        raise RateLimited(wait)


def wait_ms(*tries: Try) -> int:
    """Count one try against each, in one step; how long to wait when it is one too many for one of them, else 0."""
    if not settings.RATE_LIMITS:
        return 0
    counted = zip(tries, count(*tries), strict=True)
    return max((max(1, left) for (limit, _), (times, left) in counted if times > limit.times), default=0)


def allows(limit: Limit, subject: str) -> bool:
    """Count one try and say whether it is within the limit."""
    return not settings.RATE_LIMITS or count((limit, subject))[0][0] <= limit.times


def count(*tries: Try) -> list[tuple[int, int]]:
    """Count one try for each; how many there were in its window, and how many milliseconds of that are left.

    What is counted in one step has windows of one length.
    """
    (window_ms,) = {limit.seconds * 1000 for limit, _ in tries}
    return either(in_redis.count, in_database.count)([limit.key(subject) for limit, subject in tries], window_ms)


def give_back(*tries: Try) -> None:
    """A try that turned out not to be one."""
    if settings.RATE_LIMITS:
        either(in_redis.give_back, in_database.give_back)([limit.key(subject) for limit, subject in tries])


def forget(limit: Limit, subject: str) -> None:
    """Start the subject's count anew, after a success."""
    if settings.RATE_LIMITS:
        either(in_redis.forget, in_database.forget)([limit.key(subject)])


def either(first: Callable[P, R], second: Callable[P, R]) -> Callable[P, R]:
    """``second`` where Redis is away."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return first(*args, **kwargs)
        except in_redis.Away:
            return second(*args, **kwargs)

    return run


def client_address(request: HttpRequest) -> str:
    """Whom to count a request against: an IPv6 client by its /64, which one household holds."""
    address = peer_address(request)
    if address is None:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def peer_address(request: HttpRequest) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Who asks: the peer, or what a trusted proxy says of it. None where that is no address.

    X-Forwarded-For is read from the right, past our own proxies; what stands further left is the client's invention.
    An IPv4 client of an IPv6 socket is the IPv4 address that it is.
    """
    hops = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    address = str(request.META.get("REMOTE_ADDR", ""))
    while address in settings.TRUSTED_PROXIES and hops:
        address = hops.pop()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
