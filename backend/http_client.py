"""HTTP calls with a deadline that holds: one POST, and one download into a file.

A socket's time-out is per operation: a server that sends a byte a second keeps such a call alive for ever, and with it
a worker. Here each send and each receive gets only what is left of the whole, and the TLS handshake likewise. Only the
look-up of the host's name is the system's own and can take longer. No redirect is followed, no proxy of the
environment is asked, certificates are verified, and no more is read than was asked for.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

CONNECT_SECONDS = 3.0
LARGEST_HEAD = 64 * 1024
"""Bytes of everything that is no body: status line, headers, the marks between chunks."""

FIRST_WORDS = 1024
"""Bytes of an answer that are enough to see what is wrong."""

_PIECE = 64 * 1024


class HttpError(OSError):
    """No HTTP answer came, or not a whole one. Its text names the reason and quotes nothing of either side."""


class TooLarge(HttpError):
    """More came than the caller has room for."""


class Answer(NamedTuple):
    """An HTTP answer of any status, a redirect included. ``body`` may be cut where the call's limit is."""

    status: int
    body: bytes


def post(
    url: str, body: bytes, *, headers: Mapping[str, str], deadline: float, largest_answer: int = FIRST_WORDS
) -> Answer:
    """The answer to ``body`` posted to ``url`` within ``deadline`` seconds in all; ``largest_answer`` bytes of it.

    Raises TimeoutError when the time is over, and OSError (HttpError is one) for anything else that is no answer.
    """
    with _exchange("POST", url, body, headers, deadline, largest_answer) as answer:
        # Never read() without a number: it would make room for whatever Content-Length claims.
        return Answer(answer.status, answer.read(largest_answer))


def download(url: str, file: BinaryIO, *, deadline: float, largest: int) -> Answer:
    """Writes what lies at ``url`` to ``file``, at most ``largest`` bytes, within ``deadline`` seconds in all.

    ``body`` is empty then. Of an answer other than 200 nothing is written, and ``body`` is its first KiB. Raises as
    post, TooLarge, and HttpError when less comes than was announced; ``file`` may then hold a part.
    """
    with _exchange("GET", url, None, {}, deadline, largest) as answer:
        if answer.status != http.client.OK:
            return Answer(answer.status, answer.read(FIRST_WORDS))
        _save(answer, file, largest)
        return Answer(answer.status, b"")


def _save(answer: http.client.HTTPResponse, file: BinaryIO, room: int) -> None:
    if (answer.length or 0) > room:
        raise TooLarge("the answer is too large")
    while piece := answer.read(_PIECE):
        room -= len(piece)
        if room < 0:
            raise TooLarge("the answer is too large")
        file.write(piece)
    if answer.length:
        raise HttpError("the answer is cut short")


@contextmanager
def _exchange(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], deadline: float, largest: int
) -> Iterator[http.client.HTTPResponse]:
    """The answer with its body unread. Everything that can go wrong is an OSError outside."""
    ends = time.monotonic() + deadline
    try:
        with closing(_connect(url, ends)) as sock:
            parts = urlsplit(url)
            connection = http.client.HTTPConnection(parts.netloc)
            connection.sock = cast("socket.socket", _BoundedSocket(sock, ends, LARGEST_HEAD + largest))
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, {**headers, "Connection": "close"})
            yield connection.getresponse()
    except (http.client.HTTPException, ValueError) as error:
        raise HttpError(type(error).__name__) from error


def _connect(url: str, ends: float) -> socket.socket:
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise HttpError("not an http or https URL with a host and without a user")
    sock = _connect_tcp(host, parts.port or (443 if secure else 80), ends)
    if not secure:
        return sock
    try:
        sock.settimeout(_left(ends))  # OpenSSL's handshake counts this as one whole
        return _tls().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _connect_tcp(host: str, port: int, ends: float) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ends = min(ends, time.monotonic() + CONNECT_SECONDS)
    failure = OSError("the host has no address")
    for left, (family, kind, protocol, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(ends) / left)  # a dead first address must not eat the second one's time
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _BoundedSocket:
    """What http.client needs of a socket; each operation gets the time that is left. Its owner closes the socket."""

    def __init__(self, sock: socket.socket, ends: float, room: int) -> None:
        self._sock = sock
        self._ends = ends
        self._room = room

    def sendall(self, data: bytes) -> None:
        unsent = memoryview(data)
        while unsent:
            self._sock.settimeout(_left(self._ends))
            unsent = unsent[self._sock.send(unsent) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._sock, self._ends, self._room))

    def close(self) -> None:
        """Nothing: http.client closes before the body is read."""


class _BoundedReader(io.RawIOBase):
    """The bytes that come in, until the time or the size is used up."""

    def __init__(self, sock: socket.socket, ends: float, room: int) -> None:
        super().__init__()
        self._sock = sock
        self._ends = ends
        self._room = room

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._ends))
        count = self._sock.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise TooLarge("the answer is too large")
        return count
