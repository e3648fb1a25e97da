"""Many processes, one answer: counts that are shared through files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.monitoring import folder
from tests.monitoring.conftest import samples

ROOT = Path(__file__).resolve().parents[2]
COUNT = """
import os, sys
import django
django.setup()
from backend.monitoring.meters import PROVIDER_CALLS, count_notify, set_waiting_streams
for _ in range(int(sys.argv[1])):
    count_notify("applied")
PROVIDER_CALLS.labels("alipay", "query", "ok").observe(0.2)
set_waiting_streams(int(sys.argv[1]))
"""
LIVE = COUNT + "print('counted', flush=True); sys.stdin.read()"
SCRAPE = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
print(Client().get("/metrics").content.decode())
"""


@pytest.fixture
def environment(tmp_path):
    """Of processes that share a folder; it is not there yet."""
    shared = {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3",
    }
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **shared}


def run(program, *arguments, env):
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def scrape(env):
    return samples(run(SCRAPE, env=env))


def test_one_scrape_tells_of_all_processes_the_dead_included(environment):
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, "3"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as alive:
        assert alive.stdout.readline() == b"counted\n"
        run(COUNT, "2", env=environment)
        found = scrape(environment)
        assert found["coursepay_notifies_total", "", "applied"] == 5
        assert found["coursepay_provider_call_seconds_count", "query", "ok", "alipay"] == 2
        # What is so now is told by the living alone.
        assert found["coursepay_streams_waiting",] == 3
        assert found["coursepay_orders", "PAID"] == 0
        assert found["coursepay_figures_up", "coursepay_orders"] == 1
        alive.communicate()
    later = scrape(environment)
    assert later["coursepay_notifies_total", "", "applied"] == 5
    assert later["coursepay_streams_waiting",] == 0


def test_a_new_server_begins_anew_and_leaves_the_living_alone(environment, tmp_path):
    shared = tmp_path / "metrics"
    run(COUNT, "2", env=environment)
    mine = shared / f"counter_{os.getpid()}.db"
    mine.touch()
    foreign = shared / "notes.txt"
    foreign.touch()
    assert folder.prepare(shared) == str(shared)
    assert set(shared.iterdir()) == {mine, foreign}


def test_the_folder_is_made_and_is_ours_alone(tmp_path):
    made = tmp_path / "a" / "b"
    folder.prepare(made)
    assert made.stat().st_mode & 0o777 == 0o700
