"""Linearisability of one order: is there one row of its operations in which each was answered rightly?

Operations of several clients overlap. A history is linearisable when each operation can be given one moment between its
call and its answer so that, taken in the order of these moments, all answers are those of an order that is asked one
thing at a time (Herlihy and Wing 1990). The search tries every operation that may come next (Wing and Gong 1993), and
never twice from the same place (Lowe 2017). Of one without an answer nothing is known: it took effect at some time
after its call, or never (Jepsen's ``info``). What the shop does by itself is such an operation, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Literal, NamedTuple

Kind = Literal["create", "cancel", "pay", "hear", "notify", "expire", "read", "courses", "refund part", "refund all"]
NOT_TOLD = "?"
"""The number of an order whose creation was never answered."""


class Created(NamedTuple):
    """The answer to createOrder."""

    number: str
    status: str
    replayed: bool


Answer = Created | str | bool | None


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that was asked of the order, or of Alipay for it. Seconds are of one clock that is never set."""

    kind: Kind
    called: float
    answered: float = inf
    """Never: the outcome is unknown."""
    answer: Answer = None

    @property
    def is_known(self) -> bool:
        return self.answered < inf


class State(NamedTuple):
    """One order, what was paid for it at Alipay, and what was given back."""

    number: str = ""
    status: str = ""
    """Nothing: there is no order yet."""
    paid: bool = False
    """The buyer has paid at Alipay; the shop may not know."""
    refunded: str = ""
    shut: bool = False
    """All money has gone back, and the courses have been closed after it."""


# --- The rules of docs/payments.md: each tells what may follow, and where the answer is not right, nothing ------------

States = tuple[State, ...]
NOTHING = State()


def create(state: State, answer: Answer) -> States:
    """One order for one key: the first is new, all others are told of that one as it is."""
    if not state.status:
        number = answer.number if isinstance(answer, Created) else NOT_TOLD
        return (State(number, "UNPAID"),) if answer in (None, Created(number, "UNPAID", replayed=False)) else ()
    if answer is None:
        return (state,)
    if not isinstance(answer, Created) or state.number not in (NOT_TOLD, answer.number):
        return ()
    return (state._replace(number=answer.number),) if answer[1:] == (state.status, True) else ()


def cancel(state: State, answer: Answer) -> States:
    """The buyer's word ends an unpaid order at once, and no other."""
    if state.status == "UNPAID":
        return (state._replace(status="CANCELLED"),) if answer in (None, "CancelOrderSuccess") else ()
    return (state,) if state.status and answer in (None, "OrderNotCancellable") else ()


def pay(state: State, answer: Answer) -> States:
    """At Alipay's cashier, with the URL of an order."""
    return (state._replace(paid=True),) if state.status else ()


def hear(state: State, answer: Answer) -> States:
    """The shop learns of the money: it pays the order, and late money does or goes back. A cancelled one stays so."""
    if not state.paid:
        return ()
    honoured = state._replace(status="PAID")
    return {"UNPAID": (honoured,), "TIMED_OUT": (honoured, state)}.get(state.status, (state,))


def expire(state: State, answer: Answer) -> States:
    """The clock's word; before it the shop asks Alipay, so never for an order that is paid there."""
    return (state._replace(status="TIMED_OUT"),) if state.status == "UNPAID" and not state.paid else ()


def read(state: State, answer: Answer) -> States:
    return (state,) if answer == state.status else ()


def courses(state: State, answer: Answer) -> States:
    """Open from the moment that the order is paid, all of them; and shut some time after all money has gone back."""
    may_be_open = state.status == "PAID" and not state.shut
    if answer == "all":
        return (state,) if may_be_open else ()
    if answer != "none" or (may_be_open and state.refunded != "all"):
        return ()
    return (state._replace(shut=may_be_open or state.shut),)


def refund(state: State, answer: Answer, how_much: str) -> States:
    """The staff's word, once for a key: ``answer`` says whether it was a repeat."""
    is_right = answer in (None, bool(state.refunded))
    return (state._replace(refunded=how_much),) if state.status == "PAID" and is_right else ()


MODEL: dict[Kind, Callable[[State, Answer], States]] = {
    "create": create,
    "cancel": cancel,
    "pay": pay,
    "hear": hear,
    "notify": hear,
    "expire": expire,
    "read": read,
    "courses": courses,
    "refund part": partial(refund, how_much="part"),
    "refund all": partial(refund, how_much="all"),
}

# --- The search ------------------------------------------------------------------------------------------------------


@dataclass
class Search:
    """Of one history. ``order`` is a legal one, or as far as any came; ``state`` is where that leads."""

    history: Sequence[Operation]
    order: tuple[Operation, ...] = ()
    state: State = NOTHING
    seen: set[tuple[int, State]] = field(default_factory=set)

    def go(self, done: int, state: State, order: tuple[Operation, ...]) -> bool:
        """Whether what is not ``done`` (a bit for each) can follow in this state."""
        if len(order) > len(self.order):
            self.order, self.state = order, state
        if (done, state) in self.seen:
            return False
        self.seen.add((done, state))
        if not any(operation.is_known for _, operation in self.left(done)):
            self.order, self.state = order, state
            return True
        return any(
            self.go(done | 1 << place, after, (*order, operation))
            for place, operation in self.may_be_next(done)
            for after in MODEL[operation.kind](state, operation.answer)
        )

    def left(self, done: int) -> list[tuple[int, Operation]]:
        return [(place, operation) for place, operation in enumerate(self.history) if not done >> place & 1]

    def may_be_next(self, done: int) -> Iterator[tuple[int, Operation]]:
        """Those that were called before any of the others was answered: real time is respected."""
        left = self.left(done)
        first_answer = min(operation.answered for _, operation in left)
        yield from ((place, operation) for place, operation in left if operation.called <= first_answer)


def legal_order(history: Sequence[Operation]) -> tuple[Operation, ...] | None:
    """What took effect, in an order in which every answer is right; None where there is no such order."""
    search = Search(history)
    return search.order if search.go(0, NOTHING, ()) else None


def wrong_with(history: Sequence[Operation]) -> str:
    """The history and how far it can be explained; nothing where it is linearisable."""
    search = Search(history)
    if search.go(0, NOTHING, ()):
        return ""
    began = min(operation.called for operation in history)
    told = [account(operation, began) for operation in sorted(history, key=lambda operation: operation.called)]
    row = ", ".join(operation.kind for operation in search.order)
    return f"no legal order of [{'; '.join(told)}]: none goes on after [{row}] with {search.state}"


def account(operation: Operation, began: float) -> str:
    """In milliseconds since ``began``."""
    called, answered = ((moment - began) * 1000 for moment in (operation.called, operation.answered))
    outcome = f"{answered:.1f} {operation.answer}" if operation.is_known else "unknown"
    return f"{operation.kind} {called:.1f} to {outcome}"
