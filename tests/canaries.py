"""A hunt for leaks over the whole run: what is secret in it may stand in no log line and in no answer.

Every key, password and secret that the tests use is a canary. The watch listens to every line that the shop logs and
reads every answer that it gives to a test client; what it sees fails the run at its end, whichever test it was in.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from django.conf import settings
from django.core.handlers.base import BaseHandler

PASSWORDS = ("correct horse", "battery staple", "paper clip")
"""Of the people in tests/conftest.py."""
IN_LOGS = {
    "a token": re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"),
    "a signature": re.compile(r"sign(?:=|\"?: ?\")[\w%+/]{300,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
}
"""What no line may hold, whosever it is; a token's place is the answer to its sign-in."""


def planted() -> dict[str, str]:
    """The run's secrets by name; of a key, a stretch from its middle."""
    keys = {path.name: path for path in Path(settings.ALIPAY_APP_PRIVATE_KEY_FILE).parent.glob("*private_key.pem")}
    found = {name: "".join(path.read_text().splitlines()[1:-1])[400:460] for name, path in keys.items()}
    found |= {f"password {number}": password for number, password in enumerate(PASSWORDS)}
    return {"SECRET_KEY": settings.SECRET_KEY, **found}


@dataclass(eq=False)
class Watch(logging.Handler):
    """Notes each canary once for each place that sang."""

    canaries: dict[str, str]
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines = self.answers = 0
        self.formatter = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("alipay_simulator"):
            return
        self.lines += 1
        self.look(self.format(record), f"a log line of {record.name}", IN_LOGS)

    def look(self, text: str, place: str, shapes: dict[str, re.Pattern[str]] | None = None) -> None:
        self.seen |= {f"{name} in {place}" for name, secret in self.canaries.items() if secret in text}
        self.seen |= {f"{name} in {place}" for name, shape in (shapes or {}).items() if shape.search(text)}

    @contextmanager
    def watching(self) -> Iterator[None]:
        answer = BaseHandler.get_response

        def watched(handler, request):
            response = answer(handler, request)
            if not getattr(response, "streaming", False):
                self.answers += 1
                said = response.content.decode("utf-8", "replace") + str(response.headers)
                self.look(said, f"an answer of {request.path}")
            return response

        logging.getLogger().addHandler(self)
        try:
            with patch.object(BaseHandler, "get_response", watched):
                yield
        finally:
            logging.getLogger().removeHandler(self)
