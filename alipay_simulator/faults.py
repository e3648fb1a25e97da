"""The faults that are waiting to happen: to one method, to any, to notifies or to bills (protocol 9.4 and 9.9).

They live in memory: a restart clears them. The journal keeps `fault.set`, `fault.struck` and `faults.cleared`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .book import Book
from .clock import Clock
from .money import MAX_FEN

ANY = "*"
NOTIFY = "notify"
BILL = "bill"
PAGE_PAY = "alipay.trade.page.pay"
MANY = 1_000_000
MEBIBYTE = 1024 * 1024

# What an API call can suffer, and whether the call is carried out all the same.
API_KINDS = {
    "timeout_before": False,
    "timeout_after": True,
    "http_502": False,
    "code_20000": False,
    "system_error": False,
    "system_error_applied": True,
    "unsigned": True,
    "bad_signature": True,
    "wrong_key": True,
    "other_order": True,
    "truncated": True,
    "huge": True,
    "drip": True,
    "empty": True,
    "html_200": True,
    "not_json": True,
}
# A browser opens page.pay; nothing is signed there, and only these can be told apart.
PAGE_KINDS = ("timeout_before", "timeout_after", "http_502", "code_20000", "system_error", "empty", "html_200")
NOTIFY_KINDS = (
    *("drop", "drop_all", "delay", "duplicate", "reorder", "corrupt"),
    *("wrong_amount", "wrong_app", "wrong_seller"),
)
# A bill's download: what its rows, its file and its way can suffer.
ROW_KINDS = ("row_missing", "refund_missing", "amount_changed", "refund_changed", "duplicate_row", "foreign_row")
FILE_KINDS = ("utf8", "no_footer", "cut_csv")
WAY_KINDS = ("expired", "timeout_before", "stall", "drip", "truncated", "http_500", "html_200", "empty")
BILL_KINDS = ROW_KINDS + FILE_KINDS + WAY_KINDS
# The numbers a fault may be given: default, least, most.
NUMBERS: dict[str, dict[str, tuple[float, float, float]]] = {
    "timeout_before": {"seconds": (30, 0, 300)},
    "timeout_after": {"seconds": (30, 0, 300)},
    "drip": {"seconds": (1, 0, 60)},
    "huge": {"size": (100 * MEBIBYTE, 1, 1024 * MEBIBYTE)},
    "delay": {"seconds": (60, 0, 10 * 86400)},
    "duplicate": {"copies": (2, 2, 20)},
    "stall": {"seconds": (30, 0, 300)},
    "amount_changed": {"fen": (1, -MAX_FEN, MAX_FEN)},
    "refund_changed": {"fen": (1, -MAX_FEN, MAX_FEN)},
    "foreign_row": {"fen": (11700, 1, MAX_FEN)},
}
TEXTS = (
    *("other_order", "wrong_amount", "wrong_app", "wrong_seller"),
    *("refund_missing", "refund_changed", "foreign_row"),
)
EITHER = ("http_502", "code_20000", "empty", "html_200", "not_json")


@dataclass(slots=True)
class Fault:
    """One fault; `left` counts down with each time it strikes. `parameters` are complete, with their defaults."""

    id: int
    target: str
    kind: str
    left: int
    out_trade_no: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def processed(self) -> bool:
        """Whether the call is carried out although its answer is spoilt."""
        return bool(self.parameters.get("effect", API_KINDS.get(self.kind, True)))

    @property
    def number(self) -> float:
        """The one number this kind of fault takes."""
        return float(self.parameters[next(iter(NUMBERS[self.kind]))])

    @property
    def value(self) -> str:
        """The wrong text to say, "" for the simulator's choice."""
        return str(self.parameters.get("value", ""))

    def fits(self, target: str, out_trade_no: str) -> bool:
        """`*` is any call of a server; a browser's page.pay, notifies and bills must be named."""
        anywhere = self.target == ANY and target not in (PAGE_PAY, NOTIFY, BILL)
        return (self.target == target or anywhere) and self.out_trade_no in ("", out_trade_no)

    def as_json(self) -> dict[str, Any]:
        """What `GET /api/faults` shows."""
        base = {"id": self.id, "target": self.target, "kind": self.kind, "times": self.left}
        return {**base, "out_trade_no": self.out_trade_no, **self.parameters}


class Faults:
    """The list of faults, the oldest strikes first."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self.book = book
        self.clock = clock
        self._numbers = count(1)
        self._waiting: list[Fault] = []

    def add(self, wanted: Mapping[str, Any], methods: tuple[str, ...]) -> Fault:
        """Add a fault as `POST /api/faults` has it; ValueError when it makes no sense."""
        fault = read_fault(next(self._numbers), wanted, methods)
        self._waiting.append(fault)
        self._record("fault.set", fault)
        return fault

    def take(self, target: str, out_trade_no: str, *kinds: str) -> Fault | None:
        """Let the first fault that fits strike, if there is one; with `kinds`, only one of them."""
        for fault in self._waiting:
            if fault.fits(target, out_trade_no) and (not kinds or fault.kind in kinds):
                self.strike(fault, out_trade_no)
                return fault
        return None

    def strike(self, fault: Fault, out_trade_no: str) -> None:
        """Note that a fault has struck; what has struck often enough is gone."""
        fault.left -= 1
        if fault.left == 0 and fault in self._waiting:  # all may have been cleared while a bill was written
            self._waiting.remove(fault)
        self._record("fault.struck", fault, out_trade_no)

    def of(self, *kinds: str) -> list[Fault]:
        """The waiting faults of some kinds, the oldest first; none has struck by that."""
        return [fault for fault in self._waiting if fault.kind in kinds]

    def waiting(self) -> list[dict[str, Any]]:
        """Every fault that has not struck often enough yet."""
        return [fault.as_json() for fault in self._waiting]

    def clear(self) -> None:
        """Nothing more goes wrong."""
        self._waiting.clear()
        self.book.record("faults.cleared", self.clock.now())

    def restart(self) -> None:
        """Be as at the start, without a word in the book, which begins again."""
        self._waiting.clear()
        self._numbers = count(1)

    def _record(self, kind: str, fault: Fault, out_trade_no: str = "") -> None:
        self.book.record(kind, self.clock.now(), out_trade_no=out_trade_no or fault.out_trade_no, data=fault.as_json())


def kinds_of(target: str) -> tuple[str, ...]:
    """What can go wrong with a target."""
    if target in (NOTIFY, BILL):
        return NOTIFY_KINDS if target == NOTIFY else BILL_KINDS
    return PAGE_KINDS if target == PAGE_PAY else tuple(API_KINDS)


def read_fault(number: int, wanted: Mapping[str, Any], methods: tuple[str, ...]) -> Fault:
    """Read and complete a fault's description; ValueError says what is wrong with it."""
    target, kind = wanted.get("target"), wanted.get("kind")
    if not isinstance(target, str) or target not in (ANY, NOTIFY, BILL, *methods):
        raise ValueError(f"target is {ANY}, {NOTIFY}, {BILL} or one of {', '.join(methods)}")
    if kind not in kinds_of(target):
        raise ValueError(f"kind is one of {', '.join(kinds_of(target))}")
    number_filter = wanted.get("out_trade_no", "")
    if not isinstance(number_filter, str):
        raise ValueError("out_trade_no is a text")
    times = MANY if kind == "drop_all" else _number(wanted.get("times", 1), "times", 1, MANY)
    rest = {n: v for n, v in wanted.items() if n not in ("target", "kind", "times", "out_trade_no")}
    either = target != BILL and kind in EITHER
    return Fault(number, target, kind, int(times), number_filter, _parameters(kind, rest, either=either))


def _parameters(kind: str, given: dict[str, Any], *, either: bool) -> dict[str, Any]:
    """Complete the parameters of one kind with their defaults."""
    complete: dict[str, Any] = {
        name: _number(given.pop(name, default), name, least, most)
        for name, (default, least, most) in NUMBERS.get(kind, {}).items()
    }
    if kind in TEXTS and isinstance(given.get("value", ""), str):
        complete["value"] = given.pop("value", "")
    if either and isinstance(given.get("effect", True), bool):
        complete["effect"] = given.pop("effect", API_KINDS[kind])
    if given:
        raise ValueError(f"{kind} does not take {', '.join(given)}")
    return complete


def _number(value: object, name: str, least: float, most: float) -> float:
    whole = name in ("times", "copies", "size", "fen")
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not least <= value <= most:
        raise ValueError(f"{name} is a number from {least:g} to {most:g}")
    return value
