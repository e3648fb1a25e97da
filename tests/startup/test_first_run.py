"""The first run on a machine: DEBUG=1 and nothing else."""

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend import keyfiles
from tests.startup.trees import run

pytestmark = pytest.mark.sqlite  # no test here asks the run's own database, so once is enough

SAY_SECRET = (
    "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'backend.settings';"
    "from django.conf import settings; print(settings.SECRET_KEY)"
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_it_makes_secrets_that_nobody_else_can_read_and_keeps_them(fresh_tree):
    assert not (fresh_tree / "var").exists()
    first = run(fresh_tree, "-c", SAY_SECRET, DEBUG="1")
    keys = fresh_tree / "var/keys"
    assert mode(keys) == 0o700
    assert {path.name: mode(path) for path in keys.iterdir()} == {
        "secret_key": 0o600,
        "app_private_key.pem": 0o600,
        "app_public_key.pem": 0o600,
    }
    assert len(first.said.strip()) >= 50
    before = {path: path.read_bytes() for path in keys.iterdir()}
    assert run(fresh_tree, "-c", SAY_SECRET, DEBUG="1") == first
    assert {path: path.read_bytes() for path in keys.iterdir()} == before
    private, public = (before[keys / f"app_{half}_key.pem"].decode() for half in ("private", "public"))
    assert keyfiles.public_key_of(private) == public


def test_first_runs_at_once_agree(fresh_tree):
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: run(fresh_tree, "-c", SAY_SECRET, DEBUG="1"), range(4)))
    assert {outcome.code for outcome in outcomes} == {0}
    assert len({outcome.said for outcome in outcomes}) == 1
    keys = fresh_tree / "var/keys"
    assert len(list(keys.iterdir())) == 3, "a draft was left behind"
    private, public = ((keys / f"app_{half}_key.pem").read_text() for half in ("private", "public"))
    assert keyfiles.public_key_of(private) == public


def test_without_the_simulator_it_says_how_to_start_it(fresh_tree):
    outcome = run(fresh_tree, "manage.py", "check", DEBUG="1")
    assert outcome.code != 0
    assert "python -m alipay_simulator --init" in outcome.said
    assert run(fresh_tree, "-m", "alipay_simulator", "--init").code == 0
    assert run(fresh_tree, "manage.py", "check", DEBUG="1").code == 0


def test_load_demo_makes_forty_courses_and_three_people_once(tree, tmp_path):
    path = tmp_path / "demo.sqlite3"
    env = {"DEBUG": "1", "DATABASE_URL": f"sqlite:///{path}"}
    assert run(tree, "manage.py", "migrate", "--verbosity", "0", **env).code == 0

    def rows(query):
        with sqlite3.connect(path) as database:
            return database.execute(query).fetchall()

    loaded = []
    for _ in range(2):
        outcome = run(tree, "manage.py", "load_demo", **env)
        assert outcome.code == 0, outcome.said
        users = rows("SELECT username, is_staff, is_superuser, password FROM accounts_user ORDER BY id")
        loaded.append((users, rows("SELECT id, name, price_fen, on_sale FROM courses_course ORDER BY id")))
    assert loaded[0] == loaded[1]
    users, courses = loaded[0]
    assert [user[:3] for user in users] == [("buyer", 0, 0), ("buyer2", 0, 0), ("staff", 1, 1)]
    assert len(courses) == 40
    assert len({price for _, _, price, _ in courses}) == 40
    assert len({name for _, name, _, _ in courses}) == 40
    assert min(price for _, _, price, _ in courses) > 0
