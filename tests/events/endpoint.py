"""Somebody else's system: a real HTTP endpoint whose answers a test scripts. It knows nothing of the shop's code."""

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "a secret that both sides know"
MINUTES_5 = 300

Answer = int | bytes | Callable[[Any], None]
"""A status; or the bytes of the whole answer; or what writes it to the handler's ``wfile``."""


@dataclass(frozen=True)
class Received:
    """One request as it came in; ``genuine`` is by the receiver's own reckoning and clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    genuine: bool

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.told["id"]


@dataclass
class Endpoint:
    """Gives the scripted answers in turn, the last one for ever. ``down`` refuses connections until ``up``."""

    answers: list[Answer] = field(default_factory=lambda: [200])
    secret: str = SECRET
    received: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?shop=1"

    def keys(self) -> list[str]:
        return [request.key for request in self.received]

    def up(self) -> None:
        self.server = Server(("127.0.0.1", self.port), handler_of(self))
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def down(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up, as one does whose patience is over: no business of the test's output."""


def handler_of(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                return  # its sender died: nobody was told anything
            headers = {name.lower(): value for name, value in self.headers.items()}
            genuine = is_genuine(headers.get("coursepay-signature", ""), body, endpoint.secret)
            with turn:
                endpoint.received.append(Received(self.command, self.path, headers, body, genuine))
                answer = endpoint.answers.pop(0) if len(endpoint.answers) > 1 else endpoint.answers[0]
            self.give(answer)

        do_GET = do_POST  # noqa: N815 - what a redirect that is followed would come as

        def give(self, answer: Answer) -> None:
            if callable(answer):
                answer(self)
            elif isinstance(answer, bytes):
                self.wfile.write(answer)
            else:
                self.wfile.write(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % answer)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def is_genuine(header: str, body: bytes, secret: str) -> bool:
    """As Stripe's documentation tells a receiver to do it, without a word of ours."""
    found = re.fullmatch(r"t=(\d+)((?:,v1=[0-9a-f]{64})+)", header)
    if not found or abs(time.time() - int(found[1])) > MINUTES_5:
        return False
    expected = hmac.new(secret.encode(), found[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(expected, told) for told in found[2].split(",v1=")[1:])
