"""T9: one buyer, many clicks at once, and all of them again. One order for what is wanted once."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import combinations
from random import Random
from typing import Any

from backend.courses.models import Course
from backend.money import format_yuan
from backend.orders.models import IdempotencyKey, Order
from tests.concurrency import child
from tests.concurrency.books import wrongs
from tests.shop import Shopper, params_of
from torture.crowd import Crowd, Work, crowd
from torture.customers import courses, new_buyer
from torture.trial import Tally, Trial, dice

GATE_SIZE, LONG_SIZE = 8, 16
GATE = 40
STORMS = 2
"""How often each client sends the same again: it has not heard an answer, and nobody minds."""
Given = dict[str, Any]
MEMBERS = {"CreateOrderSuccess", "IdempotencyKeyReused", "OpenOrderExists"}


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    cases = list(cases)
    size = GATE_SIZE if max(cases, default=0) < GATE else LONG_SIZE
    with crowd(size) as people:
        race_all(cases, seed, tally, people)


def race_all(
    cases: Iterable[int],
    seed: int,
    tally: Tally,
    people: Crowd,
    spoilt: Callable[[Work], Work] = lambda work: work,
    choose: Callable[[Random, list[Course], int], list[Given]] | None = None,
) -> None:
    """``spoilt`` takes a protection out, for the negative control, and ``choose`` says what is clicked."""
    stock = courses()
    for case in cases:
        luck, buyer = dice(seed, case), new_buyer()
        clicks = (choose or what_is_clicked)(luck, stock, len(people.pipes))
        heard = []
        for _ in range(STORMS):
            answers = people.race([spoilt(partial(child.create_order, buyer.token, given)) for given in clicks])
            heard += zip(clicks, answers, strict=True)
        tally.count("createOrders", len(heard))
        for wrong in [*answers_wrong(heard), *books_wrong(buyer, heard)]:
            tally.violation(case, wrong)
        tally.case_done()


def what_is_clicked(luck: Random, stock: list[Course], size: int) -> list[Given]:
    """A few intents, each from several windows, with the same key, a key each, one key for all, or none."""
    baskets = [list(few) for count in (1, 2, 3) for few in combinations(stock, count)]
    wanted = [luck.choice(baskets) for _ in range(luck.choice((1, 1, 2, 3)))]
    keys = luck.choice(("one for each basket", "one for each click", "one for all", "none", "some"))
    clicks = []
    for number in range(size):
        which = number % len(wanted)
        key = {
            "one for each basket": f"basket {which}",
            "one for each click": f"click {number}",
            "one for all": "all",
            "none": None,
            "some": luck.choice((None, f"basket {which}", f"click {number}")),
        }[keys]
        clicks.append(asked_for(wanted[which], key))
    luck.shuffle(clicks)
    return clicks


def asked_for(basket: list[Course], key: str | None) -> Given:
    total = format_yuan(sum(course.price_fen for course in basket))
    return {"courseIds": [str(course.pk) for course in basket], "totalAmount": total, "idempotencyKey": key}


def answers_wrong(heard: list[tuple[Given, Any]]) -> list[str]:
    """A typed answer to each; one order for a key; and the same pay URL, but for its time, for the same order."""
    found = [f"answered {answer}" for _, answer in heard if answer.get("__typename") not in MEMBERS]
    orders: dict[str, set[str]] = {}
    urls: dict[str, set[str]] = {}
    fresh: dict[str, int] = {}
    for given, answer in heard:
        if answer.get("__typename") == "CreateOrderSuccess":
            number = answer["order"]["id"]
            orders.setdefault(given["idempotencyKey"] or "", set()).add(number)
            urls.setdefault(number, set()).add(params_of(answer["payUrl"])["biz_content"])
            fresh[number] = fresh.get(number, 0) + (not answer["replayed"])
    found += [f"key {key!r} has {len(numbers)} orders" for key, numbers in orders.items() if key and len(numbers) > 1]
    found += [f"order {number} has {len(contents)} pay URLs" for number, contents in urls.items() if len(contents) > 1]
    return found + [f"order {number} was new {times} times" for number, times in fresh.items() if times != 1]


def books_wrong(buyer: Shopper, heard: list[tuple[Given, Any]]) -> list[str]:
    """One unpaid order for a course, whole; and every key that was answered is kept for that order."""
    orders = list(Order.objects.filter(user=buyer.user))
    found = [wrong for order in orders for wrong in wrongs(order)]
    taken = [course for order in orders for course in order.lines.values_list("course_id", flat=True)]
    found += [f"course {course} is in two unpaid orders" for course in set(taken) if taken.count(course) > 1]
    kept = dict(IdempotencyKey.objects.filter(user=buyer.user).values_list("key", "order__number"))
    due = {
        given["idempotencyKey"]: answer["order"]["id"]
        for given, answer in heard
        if given["idempotencyKey"] and answer.get("__typename") == "CreateOrderSuccess"
    }
    return found if kept == due else [*found, f"keys kept {kept}, answered {due}"]


TRIAL = Trial(
    name="T9",
    title="Double clicks and retry storms, with the same and with different keys",
    unit="buyers, each clicking from 8 processes at once in the gate, 16 in the long run, and all of it twice",
    gate=GATE,
    long=1000,
    database="postgres",
    run=run,
    batch=200,
)
