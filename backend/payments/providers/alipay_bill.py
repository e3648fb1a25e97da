"""Alipay's bill of a day: asked for, fetched, read.

- A bill is ready about nine the next morning. One that is not ready and a day without trades are refused in one word,
  which the documentation spells in two ways and the wire in a third.
- The URL in the signed answer lives 30 s and may be plain http, with nothing signed behind it. Too late for it, a page
  for people comes instead of the file: then a new URL is asked for.
"""

import time
from collections.abc import Callable, Iterator
from datetime import date
from tempfile import TemporaryFile
from typing import BinaryIO

from backend.payments.providers.alipay_answer import SUCCESS, Node, check_success
from backend.payments.providers.alipay_bill_file import read_lines
from backend.payments.providers.alipay_bill_table import read_rows
from backend.payments.providers.alipay_http import fetch_file
from backend.payments.providers.base import BillNotReady, ProviderUnavailable
from backend.payments.providers.bill import BillRow

METHOD = "alipay.data.dataservice.bill.downloadurl.query"
LARGEST_FILE = 1024**3
"""Bytes of a zip: some 20 million rows."""

ASK_SECONDS = 10.0
URLS = 3
"""How many are asked for, one after the other."""

_NO_BILL = frozenset({"BILL_NOT_EXIST", "NO_BILL_DATA"})


def bill_content(day: date) -> dict[str, str]:
    """What asks for the bill of one day in Beijing."""
    return {"bill_type": "trade", "bill_date": f"{day:%Y-%m-%d}"}


def check_bill(node: Node) -> None:
    """As check_success, and BillNotReady for every spelling of it."""
    words = [word for word in (node.get("sub_code"), node.get("code")) if isinstance(word, str) and word]
    if node.get("code") != SUCCESS:
        for word in words:
            if word.removeprefix("isp.").upper() in _NO_BILL:
                raise BillNotReady(word, "not made yet, or no trades that day")
    check_success(node)


def bill_url(node: Node) -> str:
    """Where the bill lies for the next 30 s. Raises ProviderUnavailable."""
    url = node.get("bill_download_url")
    if not isinstance(url, str) or not url:
        raise ProviderUnavailable("an answer without the bill's URL")
    return url


def fetch_rows(
    new_url: Callable[[float], str], *, deadline: float, progress: Callable[[int, int], None] | None
) -> Iterator[BillRow]:
    """The bill's rows. ``new_url`` asks for a URL within so many seconds. The file is temporary and has no name."""
    with TemporaryFile() as file:
        _fetch(new_url, file, time.monotonic() + deadline)
        yield from read_rows(read_lines(file, progress))


def _fetch(new_url: Callable[[float], str], file: BinaryIO, ends: float) -> None:
    for _ in range(URLS):
        url = new_url(min(ASK_SECONDS, ends - time.monotonic()))
        file.seek(0)
        file.truncate()
        status = fetch_file(url, file, deadline=ends - time.monotonic(), largest=LARGEST_FILE)
        if status == 200 and _is_zip(file):
            return
    raise ProviderUnavailable(f"{URLS} URLs for the bill, and no bill at any of them: HTTP {status} at the last")


def _is_zip(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(2) == b"PK"
