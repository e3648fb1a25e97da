"""The HTTP client: an answer of any status, or an OSError in time; no more than was asked for, and no second try."""

import io
import socket
import time
from contextlib import closing
from itertools import repeat
from queue import Queue

import pytest

from backend.http_client import FIRST_WORDS, LARGEST_HEAD, Answer, HttpError, TooLarge, download, post
from tests.unit.providers.alipay_world import http, serving

BODY = b'{"event":"order.paid"}'
HEADERS = {"Content-Type": "application/json", "X-Signature": "t=1,v1=ab"}


@pytest.fixture
def server():
    with serving(b"") as made:
        yield made


def hook(server, script, **how):
    server.script = script
    given = {"headers": HEADERS, "deadline": 10.0}
    return post(server.url.replace("/gateway.do", "/hook?a=1&b=%2F"), BODY, **(given | how))


def fetch(server, script, *, file=None, **how):
    server.script = script
    given = {"deadline": 10.0, "largest": 1000}
    return download(server.url, file or io.BytesIO(), **(given | how))


def test_a_post_sends_the_body_the_headers_and_the_query_once(server):
    assert hook(server, http(b"ok")) == Answer(200, b"ok")
    [(head, body)] = server.requests
    first, *lines = head.split("\r\n")
    assert first == "POST /hook?a=1&b=%2F HTTP/1.1"
    assert {"Content-Type: application/json", "X-Signature: t=1,v1=ab", "Connection: close"} <= set(lines)
    assert f"Host: 127.0.0.1:{server.server_address[1]}" in lines
    assert body == BODY.decode()


@pytest.mark.parametrize("status", ["201 Created", "301 Moved", "302 Found", "404 No", "410 Gone", "500 Oops", "599 x"])
def test_every_status_is_an_answer_and_a_redirect_is_not_followed(server, status):
    with serving(http(b"")) as elsewhere:
        script = http(b"why", status=status, headers=f"Location: {elsewhere.url}\r\n")
        assert hook(server, script) == Answer(int(status[:3]), b"why")
        assert elsewhere.requests == []
    assert len(server.requests) == 1


def test_no_proxy_of_the_environment_is_asked(server, monkeypatch):
    with serving(http(b"proxy")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert hook(server, http(b"direct")).body == b"direct"
        assert proxy.requests == []


def test_of_a_long_answer_only_its_beginning_is_kept(server):
    assert hook(server, http(b"x" * 5000)).body == b"x" * FIRST_WORDS
    assert hook(server, http(b"x" * 5000), largest_answer=3).body == b"xxx"


@pytest.mark.parametrize("call", [hook, fetch])
def test_of_a_head_without_end_little_is_read(server, call):
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"

    def flood(caller):
        caller.read_request()
        caller.send_until_caller_leaves(repeat(interim * 1000, 4000))

    with pytest.raises(TooLarge):
        call(server, flood)
    assert server.caller_left.wait(20)


@pytest.mark.parametrize("call", [hook, fetch])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * (LARGEST_HEAD + 5000) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_answer_is_an_http_error_and_not_sent_again(server, call, raw):
    with pytest.raises(HttpError):
        call(server, raw)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/etc/passwd",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://u:p@127.0.0.1:9/",
        "http://a:b/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        f"http://{'a' * 70}.test/",
        "https://.test/",
    ],
)
def test_what_is_no_url_is_an_http_error_and_quotes_nothing(url):
    for call in (lambda: post(url, b"", headers={}, deadline=1), lambda: download(url, None, deadline=1, largest=1)):
        with pytest.raises(HttpError) as caught:
            call()
        assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/a b", {}), ("/a\r\nX: y", {}), ("/课", {}), ("/\x00", {}), ("/", {"X": "a\r\nb: c"}), ("/", {"X\n": "a"})],
)
def test_nothing_can_be_put_into_the_request(server, path, headers):
    came = Queue()
    server.script = lambda caller: came.put(caller.rfile.read())
    with pytest.raises(HttpError):
        post(server.url.replace("/gateway.do", path), b"", headers=headers, deadline=5)
    assert came.get(timeout=20) == b""


def test_a_closed_door_and_a_host_without_address_are_os_errors(server):
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = door.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        post(f"http://127.0.0.1:{port}/", b"", headers={}, deadline=5)
    with pytest.raises(socket.gaierror):
        post("http://shop.invalid/", b"", headers={}, deadline=5)


def test_a_door_without_tls_gets_no_word(server):
    server.script = lambda caller: caller.wfile.write(caller.request.recv(4096) and b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(OSError, match="SSL"):
        post(server.url.replace("http", "https", 1), b"", headers={}, deadline=5)


# In time


def drip(caller):
    caller.request.settimeout(60)
    caller.read_request()
    caller.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    caller.send_until_caller_leaves(repeat(b" ", 200), pause=0.05)


@pytest.mark.parametrize("call", [hook, fetch])
def test_an_answer_that_drips_is_left_at_the_deadline(server, call):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        call(server, drip, deadline=0.4)
    assert time.monotonic() - began < 8
    assert server.caller_left.wait(20)


def test_a_server_that_does_not_take_what_is_sent_is_left_at_the_deadline(server):
    server.script = lambda caller: caller.server.caller_left.wait(60)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        post(server.url, b"x" * 64 * 1024**2, headers={}, deadline=0.4)
    assert time.monotonic() - began < 8
    server.caller_left.set()


@pytest.mark.parametrize("call", [hook, fetch])
def test_no_time_at_all_is_no_call(server, call):
    with pytest.raises(TimeoutError):
        call(server, http(b"ok"), deadline=0)
    assert server.requests == []


# Downloads


@pytest.mark.parametrize(
    "script",
    [
        http(b"x" * 1000),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1f4\r\n" + b"x" * 500 + b"\r\n1f4\r\n" + b"x" * 500
        + b"\r\n0\r\n\r\n",
    ],
    ids=["a length", "until the end", "chunks"],
)  # fmt: skip
def test_a_download_of_just_the_size_is_written_whole(server, script):
    file = io.BytesIO()
    assert fetch(server, script, file=file) == Answer(200, b"")
    assert file.getvalue() == b"x" * 1000
    with pytest.raises(TooLarge):
        fetch(server, script, largest=999)
    assert server.requests[0][0].startswith("GET /gateway.do HTTP/1.1")


def test_a_large_download_comes_whole_in_pieces(server):
    sizes = []

    class File(io.BytesIO):
        def write(self, data):
            sizes.append(len(data))
            return len(data)

    assert fetch(server, http(b"x" * 3_000_000), file=File(), largest=3_000_000).status == 200
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 64 * 1024


def test_what_says_that_it_is_too_large_is_not_begun(server):
    file = io.BytesIO()
    with pytest.raises(TooLarge):
        fetch(server, b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\nxxx", file=file)
    assert file.getvalue() == b""


@pytest.mark.parametrize(
    "script",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n" + b"x" * 599,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + b"x" * 499,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + b"x" * 500 + b"\r\n",
    ],
)
def test_a_download_that_is_cut_short_is_no_download(server, script):
    with pytest.raises(HttpError):
        fetch(server, script)


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial", "302 Found", "403 Forbidden", "500 Oops"])
def test_of_another_status_nothing_is_written(server, status):
    file = io.BytesIO()
    answer = fetch(server, http(b"" if status.startswith("204") else b"y" * 5000, status=status), file=file, largest=9)
    assert answer == Answer(int(status[:3]), b"" if answer.status == 204 else b"y" * FIRST_WORDS)
    assert file.getvalue() == b""
