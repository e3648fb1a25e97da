"""The storefront: one page for all its addresses, built from frontend/ and run in the browser.

Where it is not built (there is no Node), a page says what to install.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@require_safe
def page(request: HttpRequest, **address: Any) -> HttpResponse:
    """The same page everywhere; what it shows is its own router's matter."""
    return storefront(request, status=200)


@require_safe
def missing(request: HttpRequest, **address: Any) -> HttpResponse:
    """An address that the storefront has not: its own page says so, and crawlers hear it from the status."""
    return storefront(request, status=404)


def storefront(request: HttpRequest, *, status: int) -> HttpResponse:
    try:
        response = HttpResponse((settings.STOREFRONT_DIR / "index.html").read_bytes(), status=status)
    except FileNotFoundError:
        response = render(request, "shopfront/not_built.html", {"demo": settings.DEBUG}, status=status)
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-store"  # the address of the result page carries a signed query
    return response
