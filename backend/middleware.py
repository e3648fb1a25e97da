"""The request id, and Django's middleware for pages, left out where no page is.

Sessions, sign-in, messages and languages serve the admin and other pages. Programs bring a token or a signature
instead, and would pay for all of it in every request.
"""

from collections.abc import Awaitable, Callable

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils.deprecation import MiddlewareMixin

from backend import logs

FOR_PROGRAMS = ("/graphql", "/payments/", "/order/success/", "/healthz/", "/metrics")
"""Where these paths begin, programs ask."""


class RequestIds:
    """Every answer has an X-Request-ID, every log line of its request too. Only a proxy of ours may give it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        trusted = request.META.get("REMOTE_ADDR") in settings.TRUSTED_PROXIES
        given = request.META.get("HTTP_X_REQUEST_ID") if trusted else None
        number = logs.new_request_id(given)
        token = logs.request_id.set(number)
        request.request_id = number  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = number
            return response
        finally:
            logs.request_id.reset(token)


class ForPages(MiddlewareMixin):
    """A mixin: the middleware sees the requests for pages alone."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith(FOR_PROGRAMS):
            response: HttpResponseBase | Awaitable[HttpResponseBase] = self.get_response(request)
            return response
        return super().__call__(request)


class Sessions(ForPages, SessionMiddleware):
    pass


class Locale(ForPages, LocaleMiddleware):
    pass


class Authentication(ForPages, AuthenticationMiddleware):
    pass


class Messages(ForPages, MessageMiddleware):
    pass
