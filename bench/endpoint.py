"""The other system, which hears every event out: a process of its own."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench import postgres


class Ear(BaseHTTPRequestHandler):
    """Hears every event out and says yes."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    def log_message(self, *args: object) -> None:
        pass


def listen(port: int) -> None:
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", port), Ear).serve_forever()


@contextmanager
def endpoint() -> Iterator[str]:
    port = postgres.free_port()
    process = multiprocessing.get_context("spawn").Process(target=listen, args=(port,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.join()
