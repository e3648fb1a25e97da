"""The two ways in which a stream of results is written over plain HTTP, to the byte."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wire:
    """``opening``, then any number of ``before`` + JSON + ``after`` and ``heartbeat``, then ``complete``.

    A stream that ends without ``complete`` was cut: its client should subscribe again.
    """

    media_type: bytes
    opening: bytes
    before: bytes
    after: bytes
    heartbeat: bytes
    complete: bytes

    def result(self, body: bytes) -> bytes:
        return self.before + body + self.after


_PART = b"\r\ncontent-type: application/json\r\n\r\n"

MULTIPART = Wire(
    media_type=b'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
    opening=b"\r\n--graphql",
    before=_PART + b'{"payload":',
    after=b"}\r\n--graphql",
    heartbeat=_PART + b"{}\r\n--graphql",
    complete=b"--\r\n",
)
"""Apollo's multipart protocol for subscriptions, 1.0, as Apollo Router writes it: the boundary follows each part at
once, because Apollo Client takes a part for whole only when it sees the next boundary."""

EVENT_STREAM = Wire(
    media_type=b"text/event-stream; charset=utf-8",
    opening=b"",
    before=b"event: next\ndata: ",
    after=b"\n\n",
    heartbeat=b":\n\n",
    complete=b"event: complete\ndata: \n\n",
)
"""GraphQL over Server-Sent Events, "distinct connections mode". The body is JSON on one line."""


def wire_for(accept: str) -> Wire | None:
    """The first of the two that an Accept header names; server-sent events where it takes anything; else None."""
    for media_range in accept.lower().split(","):
        media_type = media_range.partition(";")[0].strip()
        if media_type in ("multipart/mixed", "multipart/*"):
            return MULTIPART
        if media_type in ("text/event-stream", "text/*", "*/*", ""):
            return EVENT_STREAM
    return None
