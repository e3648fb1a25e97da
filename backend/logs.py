"""Log lines: the request id in every one of them, and no secret in any.

The id is one for each request, in its answer and in every line that was written while it ran.
"""

import logging
import re
import secrets
from contextvars import ContextVar

NONE = "-"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
request_id: ContextVar[str] = ContextVar("request_id", default=NONE)
"""The id of the request that is being answered; NONE outside of one."""

REDACTED = "[redacted]"
_SECRETS = re.compile(
    r"""
    (?P<key>
        (?: (?<![a-z]) sign (?:ature)? | private_key | public_key | biz_content | buyer_\w{1,20}
        | passw(?:or)?d | passphrase | secret (?:_key)? | token | sessionid | api_?key )
        \\*["']? \s? (?:=>|[:=]) \s?
    )
    (?: b? (?P<quote>\\*["']) (?:\\.|[^\\\n])*? (?:(?P=quote)|$) | \{[^\n]{0,5000}\} | [^\s&"',;<>()\[\]{}|]+ )
    | (?P<header> \b (?:http_)? (?:authorization|(?:set-)?cookie) \\*["']? \s? [:=] \s? )
      (?: b? (?P<quoted>\\*["']) (?:\\.|[^\\\n])*? (?:(?P=quoted)|$) | [^\n"']+ )
    | (?P<user> :// [^\s/:@"']{0,100} : ) [^\s/@"']{1,300} (?=@)
    | \b bearer \s [\w.~+/=-]+
    | -----BEGIN\ [A-Z0-9 ]+-----  (?: .*? -----END\ [A-Z0-9 ]+----- | .* )
    | eyJ [\w-]{10,} \. [\w-]{10,} \. [\w-]*
    | (?<![a-z0-9+/]) [a-z0-9+/]{120,} ={0,2}
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII | re.MULTILINE | re.DOTALL,
)
"""Values by the names of their fields (as a form, JSON, a header or a repr has them), passwords in URLs, bearer tokens,
PEM blocks, JWTs, and base64 as long as a signature or a key of one line."""


def redact(text: str) -> str:
    """The text without what is secret or a buyer's own in it; the names of the fields stay."""
    return _SECRETS.sub(lambda found: f"{found['key'] or found['header'] or found['user'] or ''}{REDACTED}", text)


class Redacted(logging.Formatter):
    """Every handler's formatter: the finished line, its arguments and its traceback, redacted.

    A filter would have to change the record itself, which the other handlers see as well, and would come before the
    traceback is text.
    """

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def new_request_id(given: str | None) -> str:
    """What a proxy of ours gave, when it is fit to stand in a log; otherwise 64 random bits."""
    return given if given and _GIVEN.fullmatch(given) else secrets.token_hex(8)


class WithRequestId(logging.Filter):
    """Gives every record its ``request_id``. Django logs a refused request when its middleware is left already."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = getattr(request, "request_id", None) or request_id.get()
        return True
