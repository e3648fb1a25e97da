"""One POST with a deadline that holds.

A socket's time-out is per operation: a server that sends a byte a second keeps such a call alive for ever, and with it
a worker. Here each send and each receive gets only what is left of the whole, and the TLS handshake likewise. Only the
look-up of the host's name is the system's own and can take longer. No redirect is followed, no proxy of the
environment is asked, and little more than 64 KiB is read.
"""

import http.client
import io
import socket
import ssl
import time
from contextlib import closing
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from backend.payments.providers.base import ProviderUnavailable

CONNECT_SECONDS = 3.0
LARGEST_ANSWER = 64 * 1024
"""Bytes of head and body together. A trade's answer is under 2 KiB."""

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Connection": "close"}


def post_form(url: str, form: str, *, deadline: float) -> bytes:
    """The body of a 200 answer to ``form`` (urlencoded ASCII) posted to ``url``, within ``deadline`` seconds in all.

    Raises ProviderUnavailable for everything else; its text names the reason and quotes nothing of either side.
    """
    ends = time.monotonic() + deadline
    try:
        with closing(_connect(url, ends)) as sock:
            return _exchange(_BoundedSocket(sock, ends), url, form)
    except TimeoutError as error:
        raise ProviderUnavailable("no whole answer in time") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ProviderUnavailable(f"the call failed: {type(error).__name__}") from error


def _exchange(sock: "_BoundedSocket", url: str, form: str) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.sock = cast("socket.socket", sock)
    connection.request("POST", parts.path or "/", form.encode("ascii"), _HEADERS)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise ProviderUnavailable(f"HTTP {answer.status}")
    # Never read() without a number: it would make room for whatever Content-Length claims.
    return answer.read(LARGEST_ANSWER + 1)


def _connect(url: str, ends: float) -> socket.socket:
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
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

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock = sock
        self._ends = ends

    def sendall(self, data: bytes) -> None:
        unsent = memoryview(data)
        while unsent:
            self._sock.settimeout(_left(self._ends))
            unsent = unsent[self._sock.send(unsent) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._sock, self._ends))

    def close(self) -> None:
        """Nothing: http.client closes before the body is read."""


class _BoundedReader(io.RawIOBase):
    """The bytes that come in, until the time or the size is used up."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        super().__init__()
        self._sock = sock
        self._ends = ends
        self._room = LARGEST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._ends))
        count = self._sock.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise ProviderUnavailable("the answer is too large")
        return count
