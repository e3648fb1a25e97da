"""What Django's middleware does for every other address, for the stream, which has none: hosts and foreign pages."""

from corsheaders.conf import conf as cors
from cross_web import HTTPException
from django.conf import settings
from django.http.request import split_domain_port, validate_host

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json; charset=utf-8")


def refuse_foreign_host(headers: dict[str, str]) -> None:
    """Raises HTTPException for a Host that is not in ALLOWED_HOSTS."""
    domain, _ = split_domain_port(headers.get("host", ""))
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        raise HTTPException(400, "This host is not served here.")


def cors_headers(headers: dict[str, str]) -> Headers:
    """What lets a page of an allowed origin read the answer; nothing for any other."""
    vary = (b"vary", b"origin")
    origin = headers.get("origin")
    if origin not in settings.CORS_ALLOWED_ORIGINS:
        return [vary]
    exposed = ", ".join(cors.CORS_EXPOSE_HEADERS).encode()
    return [
        vary,
        (b"access-control-allow-origin", str(origin).encode("latin-1")),
        (b"access-control-expose-headers", exposed),
    ]


def preflight(headers: dict[str, str]) -> Headers:
    """The answer to OPTIONS, as django-cors-headers gives it for /graphql."""
    found = cors_headers(headers)
    if len(found) == 1:
        return found
    return [
        *found,
        (b"access-control-allow-headers", ", ".join(cors.CORS_ALLOW_HEADERS).encode()),
        (b"access-control-allow-methods", ", ".join(cors.CORS_ALLOW_METHODS).encode()),
        (b"access-control-max-age", str(cors.CORS_PREFLIGHT_MAX_AGE).encode()),
    ]
