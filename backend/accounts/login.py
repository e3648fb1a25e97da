"""Sign-in by password, throttled per account and per address."""

from dataclasses import dataclass

from django.contrib.auth import authenticate
from django.http import HttpRequest

from backend.accounts.models import User
from backend.accounts.tokens import IssuedToken, issue_token
from backend.errors import InvalidCredentials, RateLimited
from backend.limits.concurrency import AtMost
from backend.limits.throttle import Limit, client_address, forget, give_back, take

PER_ACCOUNT = Limit("login-account", times=5, seconds=15 * 60)
PER_ADDRESS = Limit("login-address", times=50, seconds=15 * 60)
HASHING = AtMost(2, retry_after_ms=1000)
"""A hash takes a third of a second of processor time: two at a time leave this process threads for everything else."""
MAX_PASSWORD_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class SignedIn:
    user: User
    token: IssuedToken


def log_in(request: HttpRequest, *, username: str, password: str) -> SignedIn:
    """Check a password and issue a token. Raises InvalidCredentials, RateLimited."""
    user = check_password(request, username=username, password=password)
    # A rehash at sign-in draws an epoch that it does not save: take the one that stands.
    user.refresh_from_db(fields=["token_epoch"])
    return SignedIn(user, issue_token(user))


def check_password(request: HttpRequest, *, username: str, password: str) -> User:
    """Whose password this is. Raises InvalidCredentials, RateLimited.

    A try is counted before the password is looked at, so that tries sent at once are all counted; a good one clears the
    account's count, not the address's. One that finds no room to be hashed in was none. An unknown name costs a
    password hash too: time does not tell who is known here.
    """
    address, account = client_address(request), username.strip().casefold()[:150]
    take(PER_ADDRESS, address)
    take(PER_ACCOUNT, account)
    if "\x00" in username + password or len(password) > MAX_PASSWORD_LENGTH or len(username) > 150:
        raise InvalidCredentials
    try:
        with HASHING.place():
            user = authenticate(request, username=username, password=password)
    except RateLimited:  # nobody has looked at the password: it was no try
        give_back((PER_ADDRESS, address), (PER_ACCOUNT, account))
        raise
    if not isinstance(user, User):
        raise InvalidCredentials
    forget(PER_ACCOUNT, account)
    return user
