"""Rate limits, counted per try, kept in the database: they hold across processes without another server.

A limit is a fixed window that begins with the first try. Counting is one atomic statement, so tries sent at the same
moment are all counted.
"""

import hashlib
import ipaddress
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.http import HttpRequest

from backend.errors import RateLimited
from backend.limits.models import Counter


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


def take(limit: Limit, subject: str) -> None:
    """Count one try. Raises RateLimited when it is one too many."""
    if not settings.RATE_LIMITS:
        return
    times, began_at = count(limit, subject)
    if times > limit.times:
        raise RateLimited(max(1, began_at + limit.seconds * 1000 - now_ms()))


def allows(limit: Limit, subject: str) -> bool:
    """Count one try and say whether it is within the limit."""
    return not settings.RATE_LIMITS or count(limit, subject)[0] <= limit.times


def count(limit: Limit, subject: str) -> tuple[int, int]:
    """Count one try; how many there were in this window, and when it began (Unix milliseconds)."""
    now = now_ms()
    expired = now - limit.seconds * 1000
    table = connection.ops.quote_name(Counter._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (key, began_at, times) VALUES (%s, %s, 1) ON CONFLICT (key) DO UPDATE SET"  # noqa: S608
            f" times = CASE WHEN {table}.began_at <= %s THEN 1 ELSE {table}.times + 1 END,"
            f" began_at = CASE WHEN {table}.began_at <= %s THEN %s ELSE {table}.began_at END"
            " RETURNING times, began_at",
            [limit.key(subject), now, expired, expired, now],
        )
        times, began_at = cursor.fetchone()
    return times, began_at


def forget(limit: Limit, subject: str) -> None:
    """Start the subject's count anew, after a success."""
    if settings.RATE_LIMITS:
        Counter.objects.filter(key=limit.key(subject)).delete()


def now_ms() -> int:
    return int(time.time() * 1000)


def client_address(request: HttpRequest) -> str:
    """Whom to count a request against: the peer, or what a trusted proxy says of it.

    X-Forwarded-For is read from the right, past our own proxies; what stands further left is the client's invention. An
    IPv6 client is counted by its /64, which one household holds.
    """
    hops = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    address = str(request.META.get("REMOTE_ADDR", ""))
    while address in settings.TRUSTED_PROXIES and hops:
        address = hops.pop()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
