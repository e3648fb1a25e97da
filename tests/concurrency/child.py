"""What the processes of a race do. Imported before they are forked, so that each is there at once."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import django
import psycopg

django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client, RequestFactory  # noqa: E402

import backend.urls  # noqa: E402, F401 - the schema is put together once, before the fork
from backend.payments.models import Payment  # noqa: E402
from backend.payments.registry import get_provider  # noqa: E402
from tests.shop import CREATE_ORDER, STATUS, Shopper, post_notify  # noqa: E402

PAY_ORDER = """
mutation ($id: ID!) {
  payOrder(input: {orderId: $id}) {
    __typename
    ... on PayOrderSuccess { payUrl order { outTradeNo status } }
    ... on UserError { code message }
  }
}
"""


def warm_up() -> None:
    """Connect and read the keys: what is measured against each other is the request, not the start."""
    connection.ensure_connection()
    get_provider("alipay")


def notify(body: str) -> tuple[int, str]:
    response = post_notify(body, Client(raise_request_exception=False))
    return response.status_code, response.content.decode()


def ask(token: str, query: str, **variables: Any) -> dict[str, Any]:
    """The whole answer, with its errors."""
    return Shopper(token=token, http=Client(raise_request_exception=False)).post(query, **variables).json()


def create_order(token: str, given: dict[str, Any]) -> dict[str, Any]:
    """The member of the union; for a top-level error, the errors."""
    answer = ask(token, CREATE_ORDER, input=given)
    return answer if "errors" in answer else answer["data"]["createOrder"]


def pay_order(token: str, number: str) -> dict[str, Any]:
    answer = ask(token, PAY_ORDER, id=number)
    return answer if "errors" in answer else answer["data"]["payOrder"]


def status(token: str, out_trade_no: str) -> str | None:
    order = ask(token, STATUS, no=out_trade_no)["data"]["order"]
    return order and order["status"]


def sabotaged(make: Callable[[], AbstractContextManager[None]], work: Callable[[], Any]) -> Any:
    """Do the work with some of the shop's protection taken out."""
    with make():
        return work()


def held_open(work: Callable[[], Any], *, done: Any, commit: Any) -> Any:
    """Do the work in a transaction that stays open until `commit` is set; `done` is set when only that is left."""
    with transaction.atomic():
        answer = work()
        done.set()
        assert commit.wait(15), "nobody asked to commit"
    return answer


def announced(work: Callable[[], Any], *, begun: Any) -> Any:
    begun.set()
    return work()


def mixed_load(token: str, course_ids: list[int], bodies: list[str]) -> list[tuple[int, str]]:
    """A buyer's afternoon: an order of each course, with a notify of another order between any two."""
    answers = []
    for course_id, body in zip(course_ids, bodies, strict=True):
        made = create_order(token, {"courseIds": [str(course_id)], "totalAmount": "1.00"})
        answers.append((200, made.get("__typename") or str(made)))
        answers.append(notify(body))
    return answers


class DeathWish:
    """Kills this process at its `step`-th database statement or commit, `before` or `after` it."""

    def __init__(self, step: int, moment: str) -> None:
        self.step, self.moment, self.steps = step, moment, 0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        return self.around(partial(execute, *args))

    def around(self, act: Callable[[], Any]) -> Any:
        self.steps += 1
        mine = self.steps
        self.die_if(mine, "before")
        result = act()
        self.die_if(mine, "after")
        return result

    def die_if(self, step: int, moment: str) -> None:
        if (step, moment) == (self.step, self.moment):
            os.kill(os.getpid(), signal.SIGKILL)


def doomed(work: Callable[[], Any], *, step: int, moment: str) -> tuple[int, Any]:
    """Do the work and die on the way; how many steps there were, and the answer, if it came so far."""
    wish = DeathWish(step, moment)
    commit = connection._commit
    with ExitStack() as stack:
        connection._commit = lambda: wish.around(commit)
        stack.callback(lambda: setattr(connection, "_commit", commit))
        stack.enter_context(connection.execute_wrapper(wish))
        answer = work()
    return wish.steps, answer


def with_number(out_trade_no: str, work: Callable[[], Any]) -> Any:
    """Do the work with the next payment's number known beforehand."""
    field = Payment._meta.get_field("out_trade_no")
    with patch.object(field, "_get_default", lambda: out_trade_no):
        return work()


def serve(path: str, body: str) -> tuple[int, str]:
    """Through the server's own door: unlike the test client, it gives its connection back after each request."""
    environ = RequestFactory().post(path, body, content_type="application/x-www-form-urlencoded").environ
    said: list[str] = []
    response = WSGIHandler()(environ, lambda line, headers: said.append(line))
    try:
        return int(said[0].split()[0]), b"".join(response).decode()
    finally:
        response.close()


def cut_line(pid: int) -> None:
    """As an administrator does, or a failover: the server ends a session."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])  # and wait until it is gone


def notifies_with_the_line_cut_between(bodies: list[str], *, health_checks: bool = True) -> list[tuple[int, str]]:
    connection.close()
    connection.close_pool()
    connection.settings_dict["CONN_HEALTH_CHECKS"] &= health_checks
    connection.settings_dict["OPTIONS"]["pool"]["max_size"] = 1  # so that the next request gets the one that was cut
    answers = []
    for body in bodies:
        answers.append(serve("/payments/alipay/notify/", body))
        connection.ensure_connection()
        pid = connection.connection.info.backend_pid
        connection.close()
        while not connection.pool.get_stats()["pool_available"]:  # it is taken back by a thread
            time.sleep(0.01)
        cut_line(pid)
    return answers


def notify_with_the_line_cut_at(body: str, statement: str) -> tuple[int, str]:
    cut = []

    def cut_once(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if sql.startswith((statement, "WITH ")) and statement in sql and not cut:
            cut.append(statement)
            cut_line(connection.connection.info.backend_pid)
        return execute(sql, *args)

    with connection.execute_wrapper(cut_once):
        answer = serve("/payments/alipay/notify/", body)
    assert cut, f"there was no {statement}"
    return answer
