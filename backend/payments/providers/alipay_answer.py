"""The gateway's answer: which bytes are signed, and what they say.

An answer is ``{"alipay_trade_query_response":{…},"sign":"…"}``; the signature covers the exact text of the node's
value. Which part that is must be found by a JSON reader: counting braces fails on a brace inside a string. What was
verified is what is used: the value is the one that this reader found in exactly the signed text, and a name that
occurs twice, on any level, is refused, because two readers could each take another of the two.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from backend.money import parse_yuan
from backend.payments.providers.base import ProviderRejected, ProviderUnavailable, TradeNotFound

SUCCESS = "10000"
REFUSALS = frozenset({"20001", "40001", "40002", "40003", "40004", "40006"})
"""Gateway codes that mean no. Every other one (20000, 40005, a new one) leaves the outcome unknown."""

_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_INTEGER = 18
_BINDING = frozenset({"out_trade_no", "out_request_no", "refund_amount"})

Node = Mapping[str, object]


class Member(NamedTuple):
    """One member of the envelope: its value, and the text it was read from."""

    value: object
    text: str


def open_answer(raw: bytes, method: str, verify: Callable[[bytes, object], bool]) -> Node:
    """The node of ``method``'s answer, its signature good. Raises ProviderUnavailable for anything else."""
    try:
        envelope = _members(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable(f"not an answer: {type(error).__name__}") from error
    node = envelope.get(method.replace(".", "_") + "_response")
    sign = envelope.get("sign")
    if node is None or not isinstance(node.value, dict) or sign is None or not sign.value:
        raise ProviderUnavailable(f"an unsigned answer, which proves nothing{_hint(envelope)}")
    if not verify(node.text.encode(), sign.value):
        raise ProviderUnavailable("the answer's signature is wrong")
    return node.value


def check_bound(node: Node, request: Node) -> None:
    """Raises ProviderUnavailable unless each number and amount that ``node`` repeats of ``request`` is equal.

    Nothing in the signed text ties an answer to a request: a genuine answer about another order verifies as well.
    """
    for name in _BINDING & node.keys() & request.keys():
        if node[name] != request[name]:
            raise ProviderUnavailable(f"an answer to another request: its {name} is not ours")


def check_success(node: Node) -> None:
    """Returns when the call succeeded. Raises ProviderRejected or TradeNotFound for a no, else ProviderUnavailable."""
    code, sub_code = node.get("code"), _text(node, "sub_code")
    if code == SUCCESS:
        return
    # "ACQ.SYSTEM_ERROR", and "AQC." as Alipay spells it in places: it may have been done all the same.
    if code not in REFUSALS or sub_code.startswith("isp.") or sub_code.endswith("SYSTEM_ERROR"):
        raise ProviderUnavailable(f"no definite answer: {plain_words(code, sub_code)}")
    kind = TradeNotFound if sub_code == "ACQ.TRADE_NOT_EXIST" else ProviderRejected
    raise kind(sub_code or str(code), _text(node, "sub_msg") or _text(node, "msg"))


def check_names_trade(node: Node, out_trade_no: str) -> None:
    """Raises ProviderUnavailable unless ``node`` says that it is about our trade."""
    if node.get("out_trade_no") != out_trade_no:
        raise ProviderUnavailable("an answer that does not say which trade it is about")


def read_amount(node: Node, name: str) -> int:
    """The fen in the member ``name``. Raises ProviderUnavailable."""
    try:
        return parse_yuan(node.get(name))
    except ValueError as error:
        raise ProviderUnavailable("an answer without a readable amount") from error


def _text(node: Node, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _hint(envelope: Mapping[str, Member]) -> str:
    """What an unsigned refusal claims, for the operator: a wrong app_id is told only this way."""
    for member in envelope.values():
        if isinstance(member.value, dict) and (
            words := plain_words(member.value.get("code"), member.value.get("sub_code"))
        ):
            return f" ({words})"
    return ""


def plain_words(*values: object) -> str:
    """Those of ``values`` that look like codes: text of an answer that may stand in a log."""
    return " ".join(value for value in values if isinstance(value, str) and _WORD.fullmatch(value))


def _members(text: str) -> dict[str, Member]:
    """The members of the one JSON object in ``text``. Raises ValueError or RecursionError."""
    found: dict[str, Member] = {}
    at = _after(text, 0, "{")
    while True:
        name, at = _READER.raw_decode(text, at)
        start = _after(text, at, ":")
        value, end = _READER.raw_decode(text, start)
        if not isinstance(name, str) or name in found:
            raise ValueError("a name that is not text, or that occurs twice")
        found[name] = Member(value, text[start:end])
        at = _skip_space(text, end)
        if text.startswith("}", at):
            break
        at = _after(text, at, ",")
    if _skip_space(text, at + 1) != len(text):
        raise ValueError("more after the object")
    return found


def _after(text: str, at: int, mark: str) -> int:
    at = _skip_space(text, at)
    if not text.startswith(mark, at):
        raise ValueError(f"no {mark} where one belongs")
    return _skip_space(text, at + 1)


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _short_integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError("a number out of all proportion")
    return int(digits)


def _no_number(text: str) -> Any:
    raise ValueError("a number that is not one")


# Alipay writes amounts as strings. A float has no place in its answers, and NaN is not JSON.
_READER = json.JSONDecoder(
    object_pairs_hook=_object_without_repeats,
    parse_int=_short_integer,
    parse_float=_no_number,
    parse_constant=_no_number,
)
