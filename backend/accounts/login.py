"""Sign-in by password, throttled per account and per address."""

from dataclasses import dataclass

from django.contrib.auth import authenticate
from django.http import HttpRequest

from backend.accounts.models import User
from backend.accounts.tokens import IssuedToken, issue_token
from backend.errors import InvalidCredentials
from backend.limits.throttle import Limit, client_address, forget, take

PER_ACCOUNT = Limit("login-account", times=5, seconds=15 * 60)
PER_ADDRESS = Limit("login-address", times=50, seconds=15 * 60)
MAX_PASSWORD_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class SignedIn:
    user: User
    token: IssuedToken


def log_in(request: HttpRequest, *, username: str, password: str) -> SignedIn:
    """Check a password and issue a token. Raises InvalidCredentials, RateLimited.

    A try is counted before the password is looked at, so that tries sent at once are all counted; a good one clears the
    account's count, not the address's. An unknown name costs a password hash too: time does not tell who is known here.
    """
    take(PER_ADDRESS, client_address(request))
    account = username.strip().casefold()[:150]
    take(PER_ACCOUNT, account)
    if "\x00" in username + password or len(password) > MAX_PASSWORD_LENGTH or len(username) > 150:
        raise InvalidCredentials
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise InvalidCredentials
    forget(PER_ACCOUNT, account)
    # A rehash at sign-in draws an epoch that it does not save: take the one that stands.
    user.refresh_from_db(fields=["token_epoch"])
    return SignedIn(user, issue_token(user))
