"""HTML in Chinese and English: which language, which words, and headers that allow nothing from elsewhere."""

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .buyers import masked
from .clock import beijing
from .config import Config
from .money import yuan
from .trades import Session
from .words import REASONS, WORDS

HERE = Path(__file__).parent
LANGUAGES = ("zh", "en")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'"
    ),  # no form-action: browsers apply it to redirects too, and a payment ends with one to the merchant
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def templates() -> Environment:
    """The templates with their filters, compiled once per process."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(yuan=yuan, beijing=beijing, masked=masked)
    environment.globals["version"] = _version()
    return environment


class Pages:
    """Shows a template in the words of the visitor's language."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def show(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """Render a page in the visitor's language; a `lang` in the URL is remembered in a cookie."""
        lang = language(request)
        html = (
            templates()
            .get_template(template)
            .render(
                config=self.config,
                lang=lang,
                other=other_language_link(request, lang, context.get("session")),
                t=partial(word, lang),
                because=partial(because, lang),
                **context,
            )
        )
        response = HTMLResponse(html, status, headers=HEADERS)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie("lang", lang, samesite="lax", httponly=True)
        return response


def language(request: Request) -> str:
    """`?lang=`, then the cookie, then Accept-Language (the first of ours it names), then Chinese."""
    for chosen in (request.query_params.get("lang"), request.cookies.get("lang")):
        if chosen in LANGUAGES:
            return chosen
    for part in request.headers.get("accept-language", "").lower().split(","):
        if part.strip()[:2] in LANGUAGES:
            return part.strip()[:2]
    return LANGUAGES[0]


def other_language_link(request: Request, lang: str, session: Session | None) -> str:
    """Return the address of this page in the other language; "" where there is none to go back to.

    The gateway has none: one parameter more and the merchant's signature would no longer fit.
    """
    query = {"payOrderId": session.pay_order_id} if session else dict(request.query_params)
    path = "/cashier" if session else request.url.path
    if request.url.path.startswith("/gateway") or (request.method != "GET" and not session):
        return ""
    return f"{path}?{urlencode({**query, 'lang': LANGUAGES[1 - LANGUAGES.index(lang)]})}"


def word(lang: str, name: str, **values: object) -> str:
    """Return a text of the interface in one language."""
    return WORDS[name][LANGUAGES.index(lang)].format(**values)


def because(lang: str, sub_code: str, reason: str) -> str:
    """Return the reason of a refusal: Alipay's own words in Chinese, ours in English."""
    return REASONS.get(sub_code, reason) if lang == "en" else reason


def qr_path(seed: str, size: int = 29) -> str:
    """Return the SVG path of something that looks like a QR code and cannot be scanned."""
    bits = hashlib.shake_128(seed.encode()).digest(size * size)
    cells = {(x, y) for y in range(size) for x in range(size) if bits[y * size + x] & 1 and not _in_corner(x, y, size)}
    return "".join(f"M{x} {y}h1v1h-1z" for x, y in sorted(cells))


def _in_corner(x: int, y: int, size: int) -> bool:
    near, far = 8, size - 9
    middle = size // 2
    return (
        (x < near and y < near)
        or (x > far and y < near)
        or (x < near and y > far)
        or (abs(x - middle) <= 3 and abs(y - middle) <= 3)
    )


def _version() -> str:
    """A mark that changes with the style sheet and the script, so that browsers may keep them."""
    content = b"".join(path.read_bytes() for path in sorted((HERE / "static").iterdir()))
    return hashlib.sha256(content).hexdigest()[:10]
