"""The plain shop page: a catalogue, a basket, and what became of the orders. It asks GraphQL like any other client.

One template serves both addresses, so that it stands wherever STOREFRONT_URL names no storefront of its own.
"""

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from backend.shopfront.texts import texts

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
YEAR_SECONDS = 365 * 24 * 3600
_SWITCHES = {f"lang={code}": code for code, _name in settings.LANGUAGES}


@require_safe
def shop(request: HttpRequest) -> HttpResponse:
    """The catalogue with basket, orders and courses of one's own."""
    return switched(request) or page(request, mode="shop")


@require_safe
def result(request: HttpRequest) -> HttpResponse:
    """Where Alipay sends the browser back to. What it brought is looked at by the page, through ``confirmReturn``."""
    return switched(request) or page(request, mode="result")


def switched(request: HttpRequest) -> HttpResponse | None:
    """A redirect that keeps the language in Django's cookie, where ``lang`` asks for one.

    The rest of the query is passed on byte for byte: on the way back from the cashier it is signed.
    """
    parts = request.META.get("QUERY_STRING", "").split("&")
    asked = [_SWITCHES[part] for part in parts if part in _SWITCHES]
    if not asked:
        return None
    rest = "&".join(part for part in parts if part not in _SWITCHES)
    response = HttpResponseRedirect(f"{request.path}?{rest}" if rest else request.path)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, asked[-1], max_age=YEAR_SECONDS, samesite="Lax", secure=settings.HTTPS
    )
    return response


def page(request: HttpRequest, *, mode: str) -> HttpResponse:
    query = request.META.get("QUERY_STRING", "")
    context = {
        "mode": mode,
        "texts": json.dumps({name: str(text) for name, text in texts().items()}, ensure_ascii=False),
        "demo": settings.DEBUG,
        "other_language": "zh-hans" if (get_language() or "").startswith("en") else "en",
        "query_before_switch": f"{query}&" if query else "",
    }
    response = render(request, "shopfront/shop.html", context)
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-store"  # the address of the result page carries a signed query
    return response
