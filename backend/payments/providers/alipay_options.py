"""Which ids and URLs the shop can be set up with. Every refusal says the mend."""

import re
from urllib.parse import urlsplit

LONGEST_URL = 256
"""Characters that Alipay takes of a notify or return URL."""

_PLAIN_URL = re.compile(r"[!\"$->@-~]+")


def check_ids(**ids: str) -> None:
    """Raises ValueError for an id that is not digits only."""
    for what, text in ids.items():
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(f"{what} must be digits only: copy it from the app's page in the open platform")


def check_urls(**urls: str) -> None:
    """Raises ValueError for a URL that Alipay would not take."""
    for what, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.port == 0:
            raise ValueError(f"{what} must be an absolute http or https URL")
        if not _PLAIN_URL.fullmatch(url):
            raise ValueError(f"{what} must be plain ASCII without a query or fragment: Alipay adds its own parameters")
        if len(url) > LONGEST_URL:
            raise ValueError(f"{what} has {len(url)} characters, Alipay takes {LONGEST_URL}")
