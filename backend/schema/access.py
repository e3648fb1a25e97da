"""Who may ask. Every resolver that needs somebody takes them from here."""

from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils.functional import cached_property
from graphql import GraphQLError
from strawberry.types import Info as StrawberryInfo

from backend.accounts.models import User
from backend.accounts.tokens import InvalidToken, user_of


class Refused(GraphQLError):
    """A top-level error that is ours and may be read by anyone."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, extensions={"code": code})


class Context:
    """What resolvers know of a request. The token is looked at when the first of them asks, once.

    (Not by ``functools.cached_property``: until Python 3.12 it holds one lock for all requests of the process.)
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def session(self) -> tuple[User, str] | None:
        """The user and the token's id; None when no token was sent. Raises Refused for one that is not good."""
        header = self.request.META.get("HTTP_AUTHORIZATION")
        if not header:
            return None
        try:
            return user_of(header)
        except InvalidToken:
            raise Refused("UNAUTHENTICATED", "This token is not valid, or no longer. Sign in again.") from None


Info = StrawberryInfo[Context, None]


def visitor(info: Info) -> User | None:
    """Whoever asks, or None without a token."""
    session = info.context.session
    return session[0] if session else None


def buyer(info: Info) -> User:
    """Whoever is signed in. Raises Refused."""
    user = visitor(info)
    if user is None:
        raise Refused("UNAUTHENTICATED", "Sign in first.")
    return user


def staff(info: Info) -> User:
    """An operator of the shop. Raises Refused."""
    user = buyer(info)
    if not user.is_staff:
        raise Refused("FORBIDDEN", "This is for the shop's staff.")
    return user


def bad_request(message: str) -> Refused:
    return Refused("BAD_REQUEST", message)


def may_introspect(context: object) -> bool:
    """Whether the schema is shown to whoever asks: to all in DEBUG, otherwise to staff, by their token."""
    if settings.DEBUG:
        return True
    session = context.session if isinstance(context, Context) else None
    return session is not None and session[0].is_staff


def may_see_graphiql(request: HttpRequest) -> bool:
    """Whether GraphiQL's page is shown: to all in DEBUG, otherwise to staff who are signed in to the admin.

    Its address is one for programs, so no middleware has looked at the cookie. What is sent from the page needs a
    token, as always.
    """
    if settings.DEBUG:
        return True
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return False
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    return bool(user.is_active and user.is_staff)
