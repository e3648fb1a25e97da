"""What leaves the gateway: the reply as it should be, or as a fault spoils it (protocol 9.9)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import IO

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .faults import MEBIBYTE, Fault
from .signing import envelope, sign

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>Tengine</center>\r\n</body>\r\n</html>\r\n"
)
MAINTENANCE = "<!doctype html><html><head><title>系统维护中</title></head><body>系统维护中，请稍后再试</body></html>"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `held` seconds of silence, after the body if there is one, and then no more; `drip` seconds between
    bytes; `padding` bytes of x after `body`, before `tail`; or the first `size` bytes of `file`, which is then closed.
    """

    body: bytes = b""
    status: int = 200
    media_type: str = JSON
    held: float | None = None
    drip: float | None = None
    padding: int = 0
    tail: bytes = b""
    file: IO[bytes] | None = None
    size: int = 0

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces of at most a mebibyte."""
        yield self.body
        for done in range(0, self.padding, MEBIBYTE):
            yield b"x" * min(MEBIBYTE, self.padding - done)
        yield self.tail
        if self.file:
            with self.file:
                for done in range(0, self.size, MEBIBYTE):
                    yield self.file.read(min(MEBIBYTE, self.size - done))


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply before it is written: the node's name, its text, and the key it is signed with, if it is."""

    node: str
    text: str
    key: RSAPrivateKey | None

    @property
    def raw(self) -> str:
        """The whole reply as it should be."""
        return envelope(self.node, self.text, sign(self.text, self.key) if self.key else None)


def honest(draft: Draft) -> Reply:
    """The reply of a good day."""
    return Reply(draft.raw.encode())


def spoil(draft: Draft, fault: Fault) -> Reply:
    """The reply a fault makes of an answer; kinds that are about the answer's content have been dealt with before."""
    spoiler = SPOILERS.get(fault.kind)
    return spoiler(draft, fault) if spoiler else honest(draft)


def _held(_draft: Draft, fault: Fault) -> Reply:
    return Reply(held=fault.number)


def _bad_gateway(_draft: Draft, _fault: Fault) -> Reply:
    return Reply(BAD_GATEWAY.encode(), 502, HTML)


def _unsigned(draft: Draft, _fault: Fault) -> Reply:
    return honest(replace(draft, key=None))


def _bad_signature(draft: Draft, _fault: Fault) -> Reply:
    """The signature is good base64 of the right length, of another text."""
    if draft.key is None:
        return honest(draft)
    return Reply(envelope(draft.node, draft.text, sign(draft.text + " ", draft.key)).encode())


def _wrong_key(draft: Draft, _fault: Fault) -> Reply:
    return honest(replace(draft, key=a_strangers_key()))


def _truncated(draft: Draft, _fault: Fault) -> Reply:
    whole = draft.raw.encode()
    return Reply(whole[: len(whole) // 2])


def _huge(draft: Draft, fault: Fault) -> Reply:
    """Good JSON of the right shape that a client must give up on before its end."""
    head = f'{{"{draft.node}":{{"code":"10000","msg":"'
    return Reply(head.encode(), padding=int(fault.number), tail=b'"},"sign":""}')


def _drip(draft: Draft, fault: Fault) -> Reply:
    return replace(honest(draft), drip=fault.number)


def _empty(_draft: Draft, _fault: Fault) -> Reply:
    return Reply()


def _html(_draft: Draft, _fault: Fault) -> Reply:
    return Reply(MAINTENANCE.encode(), media_type=HTML)


def _not_json(_draft: Draft, _fault: Fault) -> Reply:
    return Reply(b"success")


SPOILERS: dict[str, Callable[[Draft, Fault], Reply]] = {
    "timeout_before": _held,
    "timeout_after": _held,
    "http_502": _bad_gateway,
    "unsigned": _unsigned,
    "bad_signature": _bad_signature,
    "wrong_key": _wrong_key,
    "truncated": _truncated,
    "huge": _huge,
    "drip": _drip,
    "empty": _empty,
    "html_200": _html,
    "not_json": _not_json,
}


@cache
def a_strangers_key() -> RSAPrivateKey:
    """A key that is not Alipay's, made when it is first needed."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
