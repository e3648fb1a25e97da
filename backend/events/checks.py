"""Wrong set-up of outgoing events fails at start."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

SHORTEST_SECRET = 16
LONGEST_URL = 300


@register(Tags.security)
def check_events(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for url in settings.EVENT_URLS:
        if not is_address(url):
            hint = f"Write an absolute http or https URL of at most {LONGEST_URL} characters, without a user name."
            shown = url.rpartition("@")[2]  # what stands before may be a password
            found.append(Error(f"EVENT_URLS has {shown!r}, which is no address.", hint=hint, id="coursepay.E011"))
    if settings.EVENT_URLS and not settings.EVENT_SECRETS:
        hint = "Set EVENT_SECRET; make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"
        found.append(Error("EVENT_URLS is set, and EVENT_SECRET is not.", hint=hint, id="coursepay.E012"))
    if any(len(secret) < SHORTEST_SECRET for secret in settings.EVENT_SECRETS):
        hint = f"A secret has at least {SHORTEST_SECRET} characters."
        found.append(Error("EVENT_SECRET is too short to sign with.", hint=hint, id="coursepay.E013"))
    return found


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    has_host = bool(parts.hostname) and "@" not in parts.netloc and port != 0
    return is_plain and has_host and parts.scheme in ("http", "https")
