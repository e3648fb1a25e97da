"""Access tokens: a signed JWT that names its row, its user and the user's epoch.

Nothing of the password or its hash is in a token. Logout deletes the row (this token ends); a password change draws a
new epoch (all end). HS256 is pinned, so ``alg=none`` and key confusion are refused.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

import jwt
from django.conf import settings

from backend.accounts.models import AccessToken, User
from backend.prepared import Argument, Prepared

ISSUER = "coursepay"
ALGORITHM = "HS256"
SCHEMES = ("bearer", "luffy")
"""What may stand before a token; ``luffy`` for front ends written after the tutorial."""


_TOKEN = Prepared(
    lambda: (
        AccessToken.objects.select_related("user")
        .only("id", "user__username", "user__is_staff", "user__is_active", "user__token_epoch")
        .filter(pk=Argument("token_id"))
    )
)


class InvalidToken(Exception):
    """A token was sent and is not, or no longer, good."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    text: str
    expires_at: datetime


def issue_token(user: User, *, ttl_seconds: int | None = None) -> IssuedToken:
    """Write a token's row and sign its text. Ends the user's tokens that have expired."""
    now = datetime.now(UTC)
    expires_at = now + timedelta(seconds=ttl_seconds or settings.TOKEN_TTL_SECONDS)
    AccessToken.objects.filter(user=user, expires_at__lt=now).delete()
    row = AccessToken.objects.create(user=user, created_at=now, expires_at=expires_at)
    return IssuedToken(sign_token(row, epoch=user.token_epoch), expires_at)


def sign_token(row: AccessToken, *, epoch: str) -> str:
    """The JWT of a token's row."""
    claims = {
        "iss": ISSUER,
        "sub": str(row.user_id),
        "jti": row.pk,
        "epoch": epoch,
        "exp": int(row.expires_at.timestamp()),
    }
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=ALGORITHM)


def user_of(header: str) -> tuple[User, str]:
    """The signed-in user of an Authorization header, and the token's id. One query. Raises InvalidToken."""
    claims = claims_of(header)
    if "\x00" in claims["jti"]:  # which PostgreSQL would not even look for
        raise InvalidToken
    row = _TOKEN.first(token_id=claims["jti"])
    if row is None or str(row.user_id) != claims["sub"]:
        raise InvalidToken
    if not row.user.is_active or row.user.token_epoch != claims.get("epoch"):
        raise InvalidToken
    return row.user, row.pk


def claims_of(header: str) -> Mapping[str, Any]:
    """The claims of a header's token, its signature and time good. Raises InvalidToken."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() not in SCHEMES:
        raise InvalidToken
    try:
        claims = _verified(text.strip(), settings.SECRET_KEY)
    except (jwt.PyJWTError, ValueError) as error:
        raise InvalidToken from error
    if claims["exp"] <= time.time():
        raise InvalidToken
    return claims


@lru_cache(maxsize=4096)
def _verified(text: str, secret: str) -> Mapping[str, Any]:
    """The claims of a token that is good at this moment. A client that polls sends the same again and again: what was
    signed once stays signed, and only its time must be looked at each time."""
    claims: dict[str, Any] = jwt.decode(
        text,
        _key(secret),
        algorithms=[ALGORITHM],
        issuer=ISSUER,
        options={"require": ["iss", "sub", "jti", "exp"]},
    )
    return MappingProxyType(claims)


@cache
def _key(secret: str) -> jwt.PyJWK:
    """The key as PyJWT wants it, made once: a bare string would be looked at for every token."""
    encoded = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
    return jwt.PyJWK({"kty": "oct", "k": encoded}, algorithm=ALGORITHM)


def end_token(token_id: str) -> None:
    """Log out: this token ends, the user's others stay."""
    AccessToken.objects.filter(pk=token_id).delete()
