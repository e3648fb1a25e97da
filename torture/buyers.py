"""Buyers, what each of them wants, and what they were told."""

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from backend.accounts.models import User
from backend.courses.models import Course
from backend.payments.management.commands.bench_seed import new_tokens
from torture.linear import Answer, Kind, Operation

PRICES = (3900, 7900, 1)
TOTAL = "118.01"
Ending = Literal["paid", "refunded", "unheard", "cancelled"]
ENDINGS: tuple[Ending, ...] = ("paid",) * 14 + ("refunded",) * 3 + ("unheard", "cancelled", "cancelled")


@dataclass
class Purchase:
    """What one buyer wanted, and was told in order."""

    user_id: int
    token: str
    key: str
    ending: Ending
    total: str = TOTAL
    numbers: set[str] = field(default_factory=set)
    """The order's number in each answer to createOrder."""
    out_trade_no: str = ""
    statuses: list[str] = field(default_factory=list)
    tries: int = 0
    """Requests, with those that were sent again."""
    found_again: int = 0
    """Answers to createOrder that say that the order was there already."""
    wrong: str = ""
    history: list[Operation] = field(default_factory=list)
    """What was asked of the shop, and of the cashier, as each was answered; polls without an answer say nothing."""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: Kind, called: float, *answer: Answer) -> None:
        """Answered just now; or not at all."""
        self.history.append(Operation(kind, called, time.monotonic(), *answer) if answer else Operation(kind, called))

    def asks(self) -> None:
        """Both windows do."""
        with self.turn:
            self.tries += 1

    @property
    def number(self) -> str:
        return next(iter(self.numbers))


@dataclass
class Stock:
    """Buyers with their tokens and the courses that all of them buy; somebody of the staff gives money back."""

    course_ids: list[str]
    staff: str
    buyers: list[tuple[int, str]] = field(default_factory=list)
    made: int = 0

    @classmethod
    def new(cls) -> "Stock":
        courses = [Course.objects.get_or_create(name=f"Torture {fen}", price_fen=fen)[0] for fen in PRICES]
        staff, _ = User.objects.get_or_create(username="torture staff", is_staff=True)
        return cls([str(course.pk) for course in courses], new_tokens([staff])[0])

    def more(self, count: int) -> None:
        """So many new buyers, made past the shop's server."""
        first = User.objects.count()
        users = User.objects.bulk_create(User(username=f"buyer {first + place}") for place in range(count))
        self.made += count
        self.buyers += [(user.pk, token) for user, token in zip(users, new_tokens(users), strict=True)]
