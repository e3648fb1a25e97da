"""A wrong set-up fails at the start of every process, not at the till (docs/operations.md).

Each check has an id; docs/operations.md lists them all. In production (real money, or ENVIRONMENT=production) a danger
is an error, coursepay.E…, and the start is refused. Elsewhere it is a warning of the same number, coursepay.W…, so that
staging and benchmarks run as production does; with DEBUG on the warnings are kept for ``check --deploy``.
"""

import logging
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning

Danger = tuple[str, str, str]
"""A number, what is wrong, and the mend."""

WITH_DATABASE = "coursepay_database"
"""The tag of the checks that ask the database, which Django leaves out unless it is told which databases."""
SHORTEST_SECRET_KEY = 32
"""Characters: tokens are signed with it by HMAC-SHA-256, whose key has as many bytes."""
ENOUGH_DIFFERENT = 8
YEAR = 365 * 86400
LIMITS = {"DATA_UPLOAD_MAX_MEMORY_SIZE": 1024 * 1024, "DATA_UPLOAD_MAX_NUMBER_FIELDS": 1000}
"""The most that a request may bring: bytes, and fields of a form. None would be no limit."""
WANTED = {
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",  # Strict would sign the buyer out on the way back from Alipay
    "CSRF_COOKIE_SAMESITE": "Lax",
    "SECURE_SSL_REDIRECT": True,
    "SECURE_CONTENT_TYPE_NOSNIFF": True,
    "X_FRAME_OPTIONS": "DENY",
}
"""What a browser is told, once the shop is on https."""


def judge(found: Iterable[Danger], *, deploy: bool = False) -> list[CheckMessage]:
    """Errors in production; elsewhere warnings, at the start or, with DEBUG on, on ``check --deploy``."""
    if settings.PRODUCTION:
        here = f"This is production ({'real money' if settings.ALIPAY_REAL_MONEY else 'ENVIRONMENT=production'})."
        return [] if deploy else [Error(f"{what} {here}", hint=mend, id=f"coursepay.E{n}") for n, what, mend in found]
    if settings.DEBUG is not deploy:
        return []
    return [CheckWarning(what, hint=mend, id=f"coursepay.W{n}") for n, what, mend in found]


def refuse_wrong_setup() -> None:
    """For whatever starts without a management command's checks. Raises SystemExit with all that is wrong.

    A database that does not answer is no wrong set-up: the process comes up, and /healthz/ready says no.
    """
    found = checks.run_checks() + checks.run_checks(tags=[WITH_DATABASE], databases=["default"])
    for message in found:
        logging.getLogger("coursepay.setup").log(message.level, "%s", message)
    if errors := [message for message in found if message.is_serious()]:
        raise SystemExit("Refused to start:\n" + "\n".join(str(error) for error in errors))


@register(Tags.security)
def check_web(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return judge(dangers())


@register(Tags.security, deploy=True)
def check_web_on_deploy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return judge(dangers(), deploy=True)


def dangers() -> Iterator[Danger]:
    yield from in_the_open()
    if settings.DEBUG:
        yield "001", "DEBUG is on: errors show code and settings to everyone.", "Set DEBUG=0."
    if not settings.RATE_LIMITS:
        yield "002", "RATE_LIMITS is off: passwords can be guessed without end.", "Set RATE_LIMITS=on."
    if "*" in settings.ALLOWED_HOSTS:
        yield "006", "ALLOWED_HOSTS has *: links can be made to point anywhere.", "Name the hosts."
    if not settings.CSRF_TRUSTED_ORIGINS:
        yield "008", "CSRF_TRUSTED_ORIGINS is empty: behind a proxy the admin's forms are refused.", "Name its origin."
    if is_weak(settings.SECRET_KEY):
        mend = "Set SECRET_KEY; make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        yield "009", "SECRET_KEY is short or plain: whoever guesses it can sign in as anybody.", mend
    if not has_authorities():
        mend = "Install the system's CA certificates (Debian: ca-certificates), or name them in SSL_CERT_FILE."
        yield "021", "There are no CA certificates: nobody can be called over https, Alipay included.", mend


def in_the_open() -> Iterator[Danger]:
    """What the addresses and the answers of the shop give away."""
    named = {"PUBLIC_URL": [settings.PUBLIC_URL], "STOREFRONT_URL": [settings.STOREFRONT_URL]}
    named |= {name: getattr(settings, name) for name in ("CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS")}
    if plain := [name for name, urls in named.items() if any(urlsplit(url).scheme != "https" for url in urls)]:
        what = f"Not https: {', '.join(plain)}. Notifies and buyers' data travel in the open."
        yield "005", what, "Set https:// URLs."
    if urlsplit(settings.PUBLIC_URL).scheme == "https":
        yield from weak_answers()
    if unbounded := [name for name, most in LIMITS.items() if (getattr(settings, name) or most + 1) > most]:
        mend = f"Set at most {', '.join(f'{name}={LIMITS[name]}' for name in unbounded)}."
        yield "019", f"A request may be as large as it likes: {', '.join(unbounded)}.", mend


def weak_answers() -> Iterator[Danger]:
    weak = [name for name, wanted in WANTED.items() if getattr(settings, name) != wanted]
    weak += ["SECURE_HSTS_SECONDS"] * (settings.SECURE_HSTS_SECONDS < YEAR)
    if weak:
        mend = "Leave these as backend/settings.py has them."
        yield "018", f"Browsers are not told to be careful: {', '.join(weak)}.", mend
    if settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXIES:
        what = "TRUSTED_PROXIES is empty: behind a proxy that speaks https, every page redirects to itself for ever."
        yield "025", what, "Name the proxy's address; on the same machine it is 127.0.0.1."
    path = urlsplit(settings.PAYMENT_PROVIDERS["alipay"]["OPTIONS"]["notify_url"]).path.lstrip("/")
    exempt = any(re.search(pattern, path) for pattern in settings.SECURE_REDIRECT_EXEMPT)
    if settings.PREPEND_WWW or (settings.SECURE_SSL_REDIRECT and not exempt):
        mend = "Name its path in SECURE_REDIRECT_EXEMPT, and leave PREPEND_WWW off."
        yield "024", "The notify address may answer with a redirect, and Alipay follows none.", mend


def is_weak(key: str) -> bool:
    return len(key) < SHORTEST_SECRET_KEY or len(set(key)) < ENOUGH_DIFFERENT or key.startswith("django-insecure-")


def has_authorities() -> bool:
    """Whether OpenSSL finds any certificate to trust where it looks."""
    places = ssl.get_default_verify_paths()
    return bool(places.cafile) or (bool(places.capath) and any(Path(places.capath).iterdir()))
