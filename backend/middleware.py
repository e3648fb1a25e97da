"""Django's middleware for pages, left out where no page is.

Sessions, sign-in, messages and languages serve the admin and other pages. Programs bring a token or a signature
instead, and would pay for all of it in every request.
"""

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils.deprecation import MiddlewareMixin

FOR_PROGRAMS = ("/graphql", "/payments/", "/order/success/", "/healthz/", "/metrics")
"""Where these paths begin, programs ask."""


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
