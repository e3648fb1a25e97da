"""Alipay's two ways over HTTP: a form posted to the gateway, and a bill's file fetched. What fails is *unknown*."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from backend.http_client import HttpError, download, post
from backend.payments.providers.base import ProviderUnavailable

LARGEST_ANSWER = 64 * 1024
"""Bytes of an answer's body. A trade's answer is under 2 KiB."""

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def post_form(url: str, form: str, *, deadline: float) -> bytes:
    """The body of a 200 answer to ``form`` (urlencoded ASCII) posted to ``url``, within ``deadline`` seconds in all.

    Raises ProviderUnavailable for everything else; its text names the reason and quotes nothing of either side.
    """
    with _failures_are_unknown():
        answer = post(url, form.encode("ascii"), headers=_HEADERS, deadline=deadline, largest_answer=LARGEST_ANSWER + 1)
    if answer.status != http.client.OK:
        raise ProviderUnavailable(f"HTTP {answer.status}")
    if len(answer.body) > LARGEST_ANSWER:
        raise ProviderUnavailable("the answer is too large")
    return answer.body


def fetch_file(url: str, file: BinaryIO, *, deadline: float, largest: int) -> int:
    """The HTTP status of what lies at ``url``; when it is 200, ``file`` holds it all. Raises ProviderUnavailable."""
    with _failures_are_unknown():
        return download(url, file, deadline=deadline, largest=largest).status


@contextmanager
def _failures_are_unknown() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ProviderUnavailable("no whole answer in time") from error
    except HttpError as error:
        raise ProviderUnavailable(f"the call failed: {error}") from error
    except (OSError, ValueError) as error:
        raise ProviderUnavailable(f"the call failed: {type(error).__name__}") from error
