"""T14: every argument of the API, every field of a notify and of a return, with everything that has ever broken a form.

A typed refusal or a clean answer, never a 5xx; and the same verdict on both databases, though one of them knows no
lengths and takes a NUL, and the other does not. A case is a place and every fourth trap, each undone; so the gate has
every place and every trap, and the long run each with each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from copy import deepcopy
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.test import Client

from backend.payments.models import Notification
from tests.api.helpers import pay
from tests.edge.test_attacks import OURS
from tests.shop import AlipaySide, Shopper, post_notify
from torture.customers import courses, new_order
from torture.traps import ROOT, SLICES, TRAPS, Place, of_case, places, schema
from torture.trial import Tally, Trial
from torture.trials.attacks import a_shop
from torture.worker import fill_memory


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    cases = list(cases)
    here, there = verdicts(cases), verdicts_elsewhere(cases)
    for case in cases:
        place, traps = of_case(case)
        for trap, verdict, other in zip(map(told, traps), here[case], there[case], strict=True):
            if verdict.startswith("!"):
                tally.violation(case, f"{told(place)} with {trap}: {verdict}")
            if verdict != other:
                tally.violation(case, f"{told(place)} with {trap}: {verdict} on PostgreSQL, {other} on SQLite")
            tally.count("inputs")
            tally.count("inputs taken", "success" in verdict.lower() and not verdict.startswith("!"))
        tally.case_done()


def verdicts_elsewhere(cases: list[int]) -> dict[int, list[str]]:
    """The same on SQLite, by another process: one has one database."""
    env = {**os.environ, "DATABASE_URL": "sqlite:///:memory:"}
    program = "import django; django.setup(); from torture.trials.inputs import main; main()"
    command = [sys.executable, "-c", program, *map(str, cases)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {int(case): found for case, found in json.loads(done.stdout).items()}


def verdicts(cases: Iterable[int]) -> dict[int, list[str]]:
    """For each place, what each trap comes to; "!" before what must not be."""
    with a_shop() as people:
        shop = Trapped(people)
        return {case: [shop.verdict(of_case(case)[0], trap) for trap in of_case(case)[1]] for case in cases}


def told(what: Any) -> str:
    return ascii(what)[:120]


# --- Verdicts ---------------------------------------------------------------------------------------------------------


class Trapped:
    """A buyer with an order to pay and a paid one, and good arguments for everything; a trap is put in one place."""

    def __init__(self, people: dict[str, Shopper]) -> None:
        self.people, self.alipay = people, AlipaySide()
        stock = courses()
        buyer = people["a buyer"]
        assert buyer.user is not None
        self.payment = buyer.user.orders.get().payments.get()
        paid = new_order(stock[2:], buyer)
        pay(paid.payments.get())
        number, course = self.payment.order.number, str(stock[2].pk)
        self.good: dict[str, dict[str, Any]] = {
            "course": {"id": course},
            "courses": {"first": 2},
            "order": {},
            "orders": {"first": 2},
            "myCourses": {"first": 2},
            "login": {"input": {"username": "x", "password": "x"}},
            "createOrder": {"input": {"courseIds": [str(stock[0].pk)], "totalAmount": "117.00"}},
            "payOrder": {"input": {"orderId": number}},
            "cancelOrder": {"input": {"orderId": number}},
            "confirmReturn": {"input": {"query": self.alipay.return_query(self.payment)}},
            "refundOrder": {"input": {"orderId": paid.number, "reason": "x", "idempotencyKey": "x", "amount": "0.01"}},
        }

    def verdict(self, place: Place, trap: Any) -> str:
        with transaction.atomic():
            try:
                return getattr(self, f"verdict_of_{place[0].lower()}")(place[1:], trap)
            finally:
                transaction.set_rollback(True)

    def verdict_of_graphql(self, place: Place, trap: Any) -> str:
        field, *path = place
        given = put(self.good[field], path, trap)
        mutation = schema().mutation_type
        is_mutation = mutation is not None and field in mutation.fields
        who = self.people["staff" if field == "refundOrder" else "a buyer"]
        return graphql_verdict(who, document(field, list(given), is_mutation=is_mutation), given)

    def verdict_of_notify(self, place: Place, trap: str) -> str:
        body = self.alipay.paid_notify(self.payment, **{place[0]: trap})
        response = post_notify(body, Client(raise_request_exception=False))
        if (response.status_code, response.content) not in ((200, b"success"), (200, b"fail")):
            return f"! {response.status_code} {response.content[:80]!r}"
        kept = Notification.objects.latest("pk")
        return f"{response.content.decode()} {kept.verdict} {kept.reason}"

    def verdict_of_return(self, place: Place, trap: str) -> str:
        query = self.alipay.return_query(self.payment, **{place[0]: trap})
        if place[0] == "sign":
            query = f"{query.partition('&sign=')[0]}&{urlencode({'sign': trap})}"
        response = Client(raise_request_exception=False).get(f"/payments/alipay/return/?{query}")
        if response.status_code != 200:
            return f"! {response.status_code} {response.content[:80]!r}"
        said = response.json()
        return f"{said['verified']} {said['paid']} {said['status']}"

    def verdict_of_header(self, place: Place, trap: str) -> str:
        client = Client(raise_request_exception=False)
        body = json.dumps({"query": "{ me { __typename } }"})
        text = f"Bearer {trap}" if place[0] == "authorization" else trap
        return answer_verdict(client.post("/graphql", body, "application/json", headers={place[0]: text}))


def put(good: dict[str, Any], path: list[str], trap: Any) -> dict[str, Any]:
    """The good arguments, with the trap in its place."""
    given = deepcopy(good)
    inside: Any = given
    for name, after in pairwise(path):
        if name != "[]":
            inside = inside.setdefault(name, [] if after == "[]" else {})
    if path[-1] == "[]":
        inside[:] = [trap]
    else:
        inside[path[-1]] = trap
    return given


def document(field: str, names: list[str], *, is_mutation: bool) -> str:
    root = schema().mutation_type if is_mutation else schema().query_type
    assert root is not None
    variables = ", ".join(f"${name}: {root.fields[field].args[name].type}" for name in names)
    arguments = ", ".join(f"{name}: ${name}" for name in names)
    errors = " ... on UserError { code } ... on InvalidInput { field }" if is_mutation else ""
    return f"{'mutation' if is_mutation else 'query'} ({variables}) {{ {field}({arguments}) {{ __typename{errors} }} }}"


def graphql_verdict(who: Shopper, query: str, variables: dict[str, Any]) -> str:
    shopper = Shopper(token=who.token, http=Client(raise_request_exception=False))
    return answer_verdict(shopper.post(query, **variables))


def answer_verdict(response: Any) -> str:
    if response.status_code >= 500:
        return f"! {response.status_code} {response.content[:200]!r}"
    answer = json.loads(response.content)
    errors = answer.get("errors", [])
    codes = [error["extensions"]["code"] for error in errors]
    said = " ".join(error["message"] for error in errors)
    if "INTERNAL" in codes or OURS.search(said):
        return f"! {codes} {said[:200]}"
    return f"{response.status_code} {codes} {json.dumps(answer.get('data'), sort_keys=True)}"


TRIAL = Trial(
    name="T14",
    title=f"{len(TRAPS)} input traps in every argument, and in every field of a form, on both databases",
    unit="places, each with a fourth of the traps",
    gate=len(places()),
    long=SLICES * len(places()),
    database="postgres",
    run=run,
    batch=len(places()),
)


def main() -> None:
    """In a process of its own: the verdicts of the cases that it is called with, as JSON."""
    fill_memory()
    print(json.dumps(verdicts(map(int, sys.argv[1:]))))
