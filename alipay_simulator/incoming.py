"""What arrives at the gateway: one set of parameters from URL and body, checked in Alipay's order (protocol 9.1)."""

import json
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.requests import Request

from .clock import Clock, parse_beijing
from .config import Config
from .errors import BusinessError, GatewayError
from .signing import request_text, verify

MAX_BODY = 256 * 1024
MAX_FIELDS = 100
FORM = "application/x-www-form-urlencoded"
METHOD_SHAPE = re.compile(r"[A-Za-z0-9_.]{1,128}")

Params = dict[str, str]
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed every check: who may do what with which business fields."""

    method: str
    params: Params
    biz: dict[str, Any]


async def read_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the parameters of URL and form body in order; ValueError when they are not UTF-8 or too many."""
    body = b""
    if request.method == "POST" and request.headers.get("content-type", FORM).split(";")[0].strip().lower() == FORM:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise ValueError("the body is too large")
    texts = (request.scope["query_string"].decode(), body.decode())
    return [
        pair
        for text in texts
        for pair in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    ]


def merge(pairs: Sequence[tuple[str, str]]) -> Params:
    """One value per name; a name twice, even with one value in URL and body, is refused (protocol 2.1, UNCONFIRMED)."""
    params = dict(pairs)
    if len(params) != len(pairs):
        raise GatewayError("40002", "isv.invalid-parameter", "：重复的参数", signed=False)
    return params


async def read_form(request: Request) -> Params:
    """The fields of a page's form; none at all when it cannot be read."""
    try:
        return merge(await read_pairs(request))
    except (ValueError, GatewayError):
        return {}


class Checks:
    """The checks of protocol 9.1, each a method, in their order in `ORDER`."""

    def __init__(
        self, config: Config, clock: Clock, app_key: Callable[[], RSAPublicKey | None], known: Container[str]
    ) -> None:
        self.config = config
        self.clock = clock
        self.app_key = app_key
        self.known = known

    def pass_all(self, params: Params) -> Call:
        """Return the call; GatewayError with the first check that fails."""
        for check in self.ORDER:
            check(self, params)
        return Call(params["method"], params, parse_biz(params.get("biz_content", "")))

    def app_is_known(self, params: Params) -> None:
        """An app we do not know has no key, hence the unsigned answer."""
        if not params.get("app_id"):
            raise GatewayError("40001", "isv.missing-app-id", signed=False)
        if params["app_id"] != self.config.app_id:
            raise GatewayError("40002", "isv.invalid-app-id", signed=False)

    def app_has_a_key(self, _params: Params) -> None:
        """The merchant has not uploaded a public key yet."""
        if self.app_key() is None:
            raise GatewayError("40003", "isv.missing-signature-config", signed=False)

    def required_are_there(self, params: Params) -> None:
        """A parameter without a value counts as missing."""
        for name, word in (("method", "method"), ("sign", "signature"), ("timestamp", "timestamp")):
            if not params.get(name):
                raise GatewayError("40001", f"isv.missing-{word}")

    def form_is_right(self, params: Params) -> None:
        """Only RSA2, UTF-8, version 1.0 and JSON are spoken."""
        if params.get("sign_type") != "RSA2":
            raise GatewayError("40002", "isv.invalid-signature-type")
        if params.get("charset", "").lower() != "utf-8":
            raise GatewayError("40002", "isv.invalid-charset")
        if params.get("format", "").lower() not in ("", "json"):
            raise GatewayError("40002", "isv.invalid-format")
        if params.get("version") != "1.0":
            raise GatewayError("40002", "isv.invalid-version")

    def timestamp_is_near(self, params: Params) -> None:
        """Beijing time, compared with the real time: an advanced test clock must not lock the merchant out."""
        try:
            sent = parse_beijing(params["timestamp"])
        except ValueError:
            raise GatewayError("40002", "isv.invalid-timestamp") from None
        if abs(self.clock.wall() - sent) > self.config.timestamp_tolerance:
            raise GatewayError("40002", "isv.invalid-timestamp")

    def signature_is_good(self, params: Params) -> None:
        """The answer quotes the text that should have been signed, as Alipay's does."""
        key = self.app_key()
        text = request_text(params)
        if key is None or not verify(text, params["sign"], key):
            raise GatewayError("40002", "isv.invalid-signature", text)

    def method_is_known(self, params: Params) -> None:
        """The simulator speaks a part of Alipay's methods."""
        if params["method"] not in self.known:
            raise GatewayError("40002", "isv.invalid-method")

    def method_is_permitted(self, params: Params) -> None:
        """A product that the merchant has not signed up for."""
        permitted = self.config.permitted_methods
        if permitted is not None and params["method"] not in permitted:
            raise GatewayError("40006", "isv.insufficient-isv-permissions")

    ORDER = (
        app_is_known,
        app_has_a_key,
        required_are_there,
        form_is_right,
        timestamp_is_near,
        signature_is_good,
        method_is_known,
        method_is_permitted,
    )


def parse_biz(text: str) -> dict[str, Any]:
    """Read biz_content: a JSON object whose every string can be written in UTF-8 (protocol 9.1, the last check)."""
    try:
        biz = json.loads(text)
        json.dumps(biz, ensure_ascii=False).encode()  # "\ud800" is JSON, but no text
    except (ValueError, RecursionError):
        raise GatewayError("40002", "ACQ.INVALID_PARAMETER", "：biz_content") from None
    if not isinstance(biz, dict):
        raise GatewayError("40002", "ACQ.INVALID_PARAMETER", "：biz_content")
    return biz


def optional_text(biz: dict[str, Any], name: str, limit: int) -> str:
    """Return an optional business field, "" when absent; BusinessError unless it is a string of at most `limit`."""
    value = biz.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit:
        raise BusinessError("ACQ.INVALID_PARAMETER", f"：{name}")
    return value
