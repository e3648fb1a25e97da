"""`manage.py run_jobs` as people run it: it ends when asked to, and waits for a database that is away."""

import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from backend.orders.models import Order
from backend.payments.models import Payment
from backend.sweeps import BATCH
from tests.engine.due import ended, make_orders
from tests.engine.gateway import PATIENCE, Gate, gateway
from tests.engine.programs import ROOT
from tests.ports import free_ports

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(programs):
    """Alipay answers when the gate is open."""
    gate = Gate()
    with gateway(gate) as alipay:
        programs.env["ALIPAY_GATEWAY_URL"] = alipay.url
        yield gate, alipay
        gate.is_open.set()


def test_sigterm_ends_it_once_the_batch_in_hand_is_done(programs, held):
    gate, alipay = held
    make_orders(BATCH + 5)
    worker = programs.run_jobs(JOB_THREADS="2", JOB_LEASE_SECONDS="90")
    worker.wait_until(lambda: gate.waiting == 2)
    worker.process.terminate()
    gate.is_open.set()

    assert worker.process.wait(PATIENCE) == 0, worker.said()
    assert worker.tracebacks() == []
    assert ended() == len(set(alipay.asked)) == len(alipay.asked) == BATCH
    assert Payment.objects.filter(order__status="UNPAID", status="OPEN", times_asked=0).count() == 5


def test_killed_at_the_same_point_it_leaves_the_batch_to_the_next_lease(programs, held):
    """What SIGTERM spares the others: the negative control of the test above."""
    gate, _ = held
    make_orders(BATCH)
    worker = programs.run_jobs(JOB_THREADS="2", JOB_LEASE_SECONDS="90")
    worker.wait_until(lambda: gate.waiting == 2)
    worker.kill()
    gate.is_open.set()
    assert ended() == 0
    assert set(Order.objects.values_list("status", flat=True)) == {"UNPAID"}


@pytest.mark.parametrize("threads", [2, 4])
def test_so_many_rows_as_it_has_threads_are_worked_on_at_a_time(programs, threads):
    """Nobody is answered before all have asked: with one thread less, the questions would wait for ever."""
    meeting = threading.Barrier(threads)
    with gateway(lambda: meeting.wait(PATIENCE)) as alipay:
        programs.env["ALIPAY_GATEWAY_URL"] = alipay.url
        make_orders(2 * threads)
        worker = programs.run_jobs(JOB_THREADS=str(threads))
        worker.wait_until(lambda: ended() == 2 * threads)
        assert worker.stop() == 0
    assert len(alipay.asked) == 2 * threads


@pytest.mark.postgres
def test_a_database_that_goes_away_is_waited_for(programs, control, endpoint, own_postgres):
    """kill -9 of all of PostgreSQL while the worker works: it says so, and goes on when the database is back."""
    start, kill, url = own_postgres
    start()
    programs.env["DATABASE_URL"] = url
    fill = "from tests.engine.due import make_orders; make_orders(200)"
    for arguments in (["migrate", "--verbosity", "0"], ["shell", "--verbosity", "0", "-c", fill]):
        done = programs.start("manage.py", *arguments)
        assert done.process.wait(PATIENCE) == 0, done.said()
    worker = programs.run_jobs(JOB_THREADS="2")
    worker.wait_until(lambda: counted(url, "status <> 'UNPAID'") > 20)
    with programs.alipay_silent():
        kill()
        worker.wait_until(lambda: "error connecting" in worker.said())
    start()

    worker.wait_until(lambda: counted(url, "status = 'TIMED_OUT'") == 200)
    worker.wait_until(lambda: len(set(endpoint.keys())) == 200)
    assert counted(url, "true", "orders_orderevent") == 3 * 200  # created, payment closed, timed out
    assert all(request.genuine for request in endpoint.received)
    assert worker.stop() == 0, worker.said()


def counted(url, condition, table="orders_order"):
    with psycopg.connect(url) as server:
        return server.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]


@pytest.fixture
def own_postgres():
    """A PostgreSQL that only this test has, always on the same port."""
    folder = Path(tempfile.mkdtemp(prefix="coursepay-engine-"))  # pytest's own are closed to the user postgres
    folder.chmod(0o755)
    (port,) = free_ports(1)
    script = ROOT / "tools" / "postgres.sh"

    def start():
        subprocess.run([script, "start", folder, "fsync=off", f"port={port}"], check=True, stdout=subprocess.DEVNULL)

    def kill():
        subprocess.run([script, "stop", folder], check=True)

    yield start, kill, f"postgres://shop@127.0.0.1:{port}/postgres"
    kill()
    shutil.rmtree(folder)
