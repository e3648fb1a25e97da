"""The request id: one for each request, in its answer and in every log line that was written while it ran."""

import logging
import re
import secrets
from contextvars import ContextVar

NONE = "-"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
request_id: ContextVar[str] = ContextVar("request_id", default=NONE)
"""The id of the request that is being answered; NONE outside of one."""


def new_request_id(given: str | None) -> str:
    """What a proxy of ours gave, when it is fit to stand in a log; otherwise 64 random bits."""
    return given if given and _GIVEN.fullmatch(given) else secrets.token_hex(8)


class WithRequestId(logging.Filter):
    """Gives every record its ``request_id``. Django logs a refused request when its middleware is left already."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = getattr(request, "request_id", None) or request_id.get()
        return True
