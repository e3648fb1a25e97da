"""Workers and brokers die in the middle of it: each order ends exactly once, and other systems hear of each."""

import time

import pytest
from django.conf import settings

from tests.engine.due import ended, is_all_done, make_due, wrongs
from tests.live.conftest import until

pytestmark = pytest.mark.django_db(transaction=True)

ORDERS = 1000 if settings.ON_POSTGRES else 100
DONE_SECONDS = 240


@pytest.fixture
def due(control, endpoint):
    """Of a hundred orders five wait at the cashier, and two are paid without a notify."""
    return make_due(ORDERS, visited=ORDERS // 20, paid=ORDERS // 50, control=control)


def in_mid_sweep(share):
    """Returns when so many of the orders have ended, and not all of them."""
    deadline = time.monotonic() + DONE_SECONDS
    while (so_far := ended()) < share * ORDERS:
        assert time.monotonic() < deadline, f"only {so_far} orders have ended"
        time.sleep(0.02)
    assert so_far < ORDERS


def closed_at_alipay(control):
    trades = control.http.get("/api/trades").json()["trades"]
    return {trade["out_trade_no"] for trade in trades if trade["status"] == "TRADE_CLOSED"}


def test_celery_loses_nothing_and_does_nothing_twice(programs, broker, control, due, endpoint):
    url = broker.url
    worker, other = programs.worker(url), programs.worker(url)
    broker.settle("coursepay")
    beat = programs.beat(url)

    in_mid_sweep(0.1)
    worker.kill()
    with programs.alipay_silent():
        again = programs.worker(url)
    in_mid_sweep(0.4)
    broker.kill()
    again.kill()
    with programs.alipay_silent():
        broker.start()
        third = programs.worker(url)
    in_mid_sweep(0.5)

    until(lambda: is_all_done(due), DONE_SECONDS, "the orders to end and their events to arrive")
    assert wrongs(due, endpoint.received) == []
    assert closed_at_alipay(control) == due.visited
    assert [program.tracebacks() for program in (worker, other, again, third, beat)] == [[]] * 5


def test_run_jobs_loses_nothing_and_does_nothing_twice(programs, control, due, endpoint):
    worker, other = programs.run_jobs(), programs.run_jobs()
    in_mid_sweep(0.1)
    worker.kill()
    again = programs.run_jobs()
    in_mid_sweep(0.4)
    again.kill()
    third = programs.run_jobs()

    until(lambda: is_all_done(due), DONE_SECONDS, "the orders to end and their events to arrive")
    assert wrongs(due, endpoint.received) == []
    assert closed_at_alipay(control) == due.visited
    assert [program.tracebacks() for program in (worker, other, again, third)] == [[]] * 4
