"""How PostgreSQL finds the rows of what is asked all day: by an index, or by reading a large table from end to end.

Nothing is written down twice: the shop's own code runs (sweeps, GraphQL, the admin's lists, readiness), the statements
that it sends are caught, and each is EXPLAINed with its own values. `bench.growth` prints what a million orders come
to, and `tests/db/test_plans.py` asserts it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import psycopg
from django.contrib.admin import site
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backend.accounts.models import AccessToken, User
from backend.accounts.tokens import sign_token
from backend.admin_lists import PARTS, LongListAdmin
from backend.monitoring.work import oldest_due
from backend.orders.models import Order, OrderStatus
from backend.payments.jobs import JOBS
from backend.payments.models import Payment, PaymentStatus
from backend.payments.providers.base import Trade, TradeState
from backend.payments.trades import apply_trade
from backend.sweeps import Sweep, claim
from bench.operations import CREATE, MINIMAL, WITH_LINES

ORDERS = """
query Orders($first: Int!, $after: String, $status: [OrderStatus!]) {
  orders(first: $first, after: $after, status: $status) {
    edges { cursor node { id status totalAmount lines { name course { id name } } } }
    pageInfo { endCursor hasNextPage }
    totalCount
  }
}
"""
BY_ID = "query Order($id: ID!) { order(id: $id) { id status payUrl paidAt refunds { amount } timeline { name at } } }"
COURSES = """
query Courses($after: String) {
  courses(first: 20, after: $after) { edges { node { id name owned } } pageInfo { endCursor } totalCount }
}
"""
MINE = "query Mine { myCourses(first: 20) { edges { node { id name } } pageInfo { endCursor } totalCount } }"

Statement = tuple[str, Any]


@dataclass
class Plan:
    """One statement, and what its plan reads from end to end: large tables by name."""

    sql: str
    indexes: list[str] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)


def all_plans(large: int) -> dict[str, list[Plan]]:
    """By what is asked: the plans of its statements on tables of ``large`` rows and more. Changes nothing."""
    return {name: plans_of(ask, large) for name, ask in questions().items()}


def plans_of(ask: Callable[[], object], large: int) -> list[Plan]:
    tables = large_tables(large)
    return [plan_of(statement, tables) for statement in sent_by(ask)]


def large_tables(rows: int) -> set[str]:
    """As the last ANALYZE counted them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s", [rows])
        return {name for (name,) in cursor.fetchall()}


def questions() -> dict[str, Callable[[], object]]:
    return {**jobs(), **graphql(), **money(), **admin_lists(), "readiness: oldest due rows": oldest_due}


def jobs() -> dict[str, Callable[[], object]]:
    """What each job asks before it has anything to do."""
    asked: dict[str, Callable[[], object]] = {}
    for job in JOBS:
        if isinstance(job, Sweep):
            asked[f"sweep: {job.name}, claim"] = lambda job=job: claim(job, 20, timezone.now() + timedelta(seconds=90))
            if job.prepare:
                asked[f"sweep: {job.name}, prepare"] = job.prepare
        else:
            asked[f"chore: {job.name}"] = job.work
    return asked


def graphql() -> dict[str, Callable[[], object]]:
    """The buyer with the newest open order."""
    order = Order.objects.filter(status=OrderStatus.UNPAID).select_related("user").latest("pk")
    number = Payment.objects.filter(order=order).values_list("out_trade_no", flat=True)[0]
    ask = asking(order.user)
    return {
        "status: minimal, by outTradeNo": lambda: ask(MINIMAL, outTradeNo=number),
        "status: with lines, by outTradeNo": lambda: ask(WITH_LINES, outTradeNo=number),
        "status: whole, by id": lambda: ask(BY_ID, id=order.number),
        "list: orders, first page": lambda: ask(ORDERS, first=20),
        "list: orders, next page": lambda: ask(ORDERS, first=20, after=order.number),
        "list: orders, paid": lambda: ask(ORDERS, first=20, status=["PAID"]),
        "list: courses": lambda: ask(COURSES),
        "list: my courses": lambda: ask(MINE),
    }


def money() -> dict[str, Callable[[], object]]:
    """An order is placed, and one is paid."""
    total = {"courseIds": ["1", "2", "3"], "totalAmount": "117.00", "idempotencyKey": "plans"}
    payment = Payment.objects.filter(status=PaymentStatus.OPEN).latest("pk")
    trade = Trade(
        provider="alipay",
        out_trade_no=payment.out_trade_no,
        trade_no="2026112222001000000000000000",
        state=TradeState.PAID,
        amount_fen=payment.amount_fen,
        paid_at=timezone.now(),
    )
    return {
        "money: createOrder": lambda: asking(User.objects.create_user("plans"))(CREATE, input=total),
        "money: a trade that is paid": lambda: apply_trade(trade),
    }


def asking(user: User) -> Callable[..., object]:
    now = timezone.now()
    row = AccessToken(user=user, created_at=now, expires_at=now + timedelta(hours=1))
    token = sign_token(row, epoch=user.token_epoch)
    client = Client(SERVER_NAME="127.0.0.1", headers={"authorization": f"Bearer {token}"})

    def ask(query: str, **variables: object) -> None:
        row.save(force_insert=True)
        body = {"query": query, "variables": variables}
        answer = client.post("/graphql", body, content_type="application/json").json()
        assert "errors" not in answer, answer

    return ask


def admin_lists() -> dict[str, Callable[[], object]]:
    """Each list of the admin as it opens; those that grow also searched for a row by each field, and on its day."""
    addresses: dict[str, str] = {}
    pages = {model._meta.label: page for model, page in site._registry.items()}  # noqa: SLF001 - Django shows no other
    for label, page in sorted(pages.items()):
        if not label.startswith("auth."):
            addresses |= {f"admin: {label}{how}": address for how, address in addresses_of(page).items()}
    return {name: lambda address=address: visit(address) for name, address in addresses.items()}


def addresses_of(page: Any) -> dict[str, str]:
    """By what is asked beside the bare list."""
    meta, rows = page.model._meta, page.model.objects
    opened = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    if not isinstance(page, LongListAdmin):
        return {"": opened}
    asked: dict[str, dict[str, Any]] = {}
    for path in (name.lstrip("=^") for name in page.search_fields):
        asked[f", by {path}"] = {"q": rows.filter(**{f"{path}__gt": ""}).values_list(path, flat=True).last()}
    if day := page.date_hierarchy:
        newest = timezone.localtime(rows.values_list(day, flat=True).last())
        asked[f", by day of {day}"] = {f"{day}__{part}": getattr(newest, part) for part in PARTS}
    return {"": opened, **{how: f"{opened}?{urlencode(values)}" for how, values in asked.items()}}


def visit(address: str) -> None:
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.create_superuser("plans", password=None))
    answer = client.get(address)
    assert answer.status_code == 200, answer


def sent_by(ask: Callable[[], object]) -> list[Statement]:
    """The statements that it sends, with their values; what it changes is undone."""
    with transaction.atomic():
        with watching() as statements:
            ask()
        transaction.set_rollback(True)
    return statements


@contextmanager
def watching() -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's own
        if sql.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield statements


def plan_of(statement: Statement, large: set[str]) -> Plan:
    sql, params = statement
    with psycopg.ClientCursor(connection.connection) as cursor:  # values into the text: EXPLAIN takes none beside it
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        row = cursor.fetchone()
    assert row is not None
    plan = Plan(sql)
    for node, above in nodes_of(row[0][0]["Plan"]):
        if "Index Name" in node:
            plan.indexes.append(node["Index Name"])
        elif node["Node Type"] == "Seq Scan" and node["Relation Name"] in large and not stops_early(node, above):
            plan.scans.append(node["Relation Name"])
    return plan


def nodes_of(node: dict[str, Any], above: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Each node, and the kind of the one above it."""
    yield node, above
    for inner in node.get("Plans", ()):
        yield from nodes_of(inner, node["Node Type"])


def stops_early(scan: dict[str, Any], above: str) -> bool:
    """Whether it takes the first rows it comes by, and no more than it needs: a count with an end."""
    return above == "Limit" and "Filter" not in scan


def main() -> None:
    """For `bench.growth`: all plans on the database of DATABASE_URL, as JSON."""
    plans = all_plans(large=5000)
    said = {name: [{"indexes": plan.indexes, "scans": plan.scans} for plan in one] for name, one in plans.items()}
    print(json.dumps(said))
