"""Signed as Stripe signs its webhooks: HMAC-SHA256 over the time and the body.

``Coursepay-Signature: t=1767225600,v1=5257a8…`` where v1 is the hexadecimal HMAC of ``f"{t}.{body}"``. While a secret
is being changed there is one v1 for each. A receiver compares in constant time and refuses a ``t`` more than five
minutes away, so that an old message cannot be sent again by somebody else.
"""

import hashlib
import hmac
from collections.abc import Sequence

HEADER = "Coursepay-Signature"
TOLERANCE = 300
"""Seconds between a message's time and the receiver's clock."""


def sign(body: bytes, *, secrets: Sequence[str], at: int) -> str:
    """The header's value; ``at`` is Unix time in seconds."""
    return ",".join([f"t={at}", *(f"v1={_mac(body, secret, at)}" for secret in secrets)])


def verify(body: bytes, header: str, *, secret: str, now: int) -> bool:
    """What a receiver does: whether the header is ours over these bytes, and of these minutes."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal()) or len(times[0]) > 12:
        return False
    at = int(times[0])
    told = [value for name, _, value in parts if name == "v1"]
    expected = _mac(body, secret, at).encode()
    is_ours = any(hmac.compare_digest(expected, mac.encode("ascii", "replace")) for mac in told)
    return is_ours and abs(now - at) <= TOLERANCE


def _mac(body: bytes, secret: str, at: int) -> str:
    return hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
