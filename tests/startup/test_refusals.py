"""A wrong set-up fails at the start of every process, with a sentence that says the mend.

What is wrong with each setting by itself is in test_dangers.py; here whole processes are started.
"""

import json
import re
import sqlite3

import pytest

from backend import keyfiles
from tests.startup.trees import run

pytestmark = pytest.mark.sqlite  # no test here asks the run's own database, so once is enough

SANDBOX = "https://openapi-sandbox.dl.alipaydev.com/gateway.do"

PROBE = """
import sys
import manage
sys.argv = ["manage.py", "check"]
try:
    manage.main()
except SystemExit as end:
    print("CHECK EXIT", end.code)
else:
    print("CHECK EXIT 0")
print("THE SERVER")
try:
    import backend.wsgi
except SystemExit as end:
    print("REFUSED", end.code)
else:
    print("UP", backend.wsgi.application)
"""
"""`manage.py check` and the server's start, one after the other in one interpreter."""


def ids(said):
    return set(re.findall(r"coursepay\.([EW]\d+)", said))


@pytest.fixture
def everything_wrong(production, keys):
    """Whatever the environment can make wrong, at once."""
    return {
        **production,
        "DEBUG": "1",
        "RATE_LIMITS": "off",
        "ORDER_TTL_SECONDS": "59",
        "ALIPAY_PUBLIC_KEY_FILES": str(keys / "simulators_copy"),
        "PUBLIC_URL": "http://pay.example.com",
        "ALLOWED_HOSTS": "pay.example.com,*",
        "DATABASE_URL": f"sqlite:///{keys}/real.sqlite3",
        "CSRF_TRUSTED_ORIGINS": "",
        "SECRET_KEY": "short",
        "ENVIRONMENT": "staging",
        "PRODUCTION_KEY_FINGERPRINTS": "AA:" * 31 + "AA",
        "SSL_CERT_FILE": "/nowhere",
        "SSL_CERT_DIR": "/nowhere",
    }


WRONG_IN_PRODUCTION = {f"E{n:03}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 14, 17, 21)}
"""Not 8: with DEBUG on the demo's own origins are trusted."""
WAYS_IN = {
    "the server": ("-c", "import backend.wsgi"),
    "the live stream": ("-c", "import backend.asgi"),
    "the jobs": ("manage.py", "run_jobs", "--once"),
    "a worker": ("-m", "celery", "-A", "backend", "worker", "--pool", "solo"),
    "beat": ("-m", "celery", "-A", "backend", "beat", "--schedule", "/dev/null"),
    "a command with the checks": ("manage.py", "migrate"),
}


@pytest.fixture
def refused(tree, two_at_a_time, everything_wrong):
    """Each process that a shop has, started with everything wrong."""
    # Nobody is at the broker: whoever got so far would wait for it.
    env = {**everything_wrong, "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    running = {way: two_at_a_time.submit(run, tree, *arguments, **env) for way, arguments in WAYS_IN.items()}
    return {way: each.result() for way, each in running.items()}


def test_every_process_is_refused_and_says_all_that_is_wrong(refused, keys):
    for way, outcome in refused.items():
        assert outcome.code not in (0, None), way
        assert ids(outcome.said) == WRONG_IN_PRODUCTION, (way, outcome.said)
        assert "HINT: Set DEBUG=0." in outcome.said, way
    # Django opens the file to see whether it can hold JSON; no table may be in it.
    assert sqlite3.connect(keys / "real.sqlite3").execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_with_any_other_gateway_they_are_warnings(tree, everything_wrong):
    env = {**everything_wrong, "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": "0"}
    outcome = run(tree, "-c", PROBE, **env)
    check, _, server = outcome.said.partition("THE SERVER")
    wanted = {f"W{n:03}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 21)}
    assert ids(check) == ids(server) == wanted, outcome.said
    assert "CHECK EXIT 0" in check
    assert "UP <django" in server


def test_in_the_demo_the_warnings_are_kept_for_the_deployment_check(tree, everything_wrong):
    env = {**everything_wrong, "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": "1", "ENVIRONMENT": ""}
    outcome = run(tree, "-c", PROBE, **env)
    assert ids(outcome.said) == set(), outcome.said
    assert "UP <django" in outcome.said
    deploy = run(tree, "manage.py", "check", "--deploy", **env)
    assert deploy.code == 0
    assert ids(deploy.said) == {f"W{n:03}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 21)}


def test_a_good_production_comes_up_without_a_word(tree, production):
    outcome = run(tree, "-c", PROBE, **production)
    assert ids(outcome.said) == set(), outcome.said
    assert "CHECK EXIT 0" in outcome.said
    assert "UP <django" in outcome.said


def test_a_shop_that_says_it_is_production_takes_no_sandbox(tree, production):
    outcome = run(tree, "-c", PROBE, **{**production, "ALIPAY_GATEWAY_URL": SANDBOX, "ENVIRONMENT": "production"})
    check, _, server = outcome.said.partition("THE SERVER")
    assert ids(check) == ids(server) == {"E014"}, outcome.said
    assert "CHECK EXIT 1" in check
    assert "REFUSED Refused to start" in server


@pytest.mark.parametrize(("choice", "found", "end"), [("", "E007", "REFUSED"), ("allow", "W007", "UP <django")])
def test_sqlite_for_real_money_is_a_decision(tree, production, tmp_path, choice, found, end):
    env = {**production, "DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3", "SQLITE_FOR_REAL_MONEY": choice}
    outcome = run(tree, "-c", PROBE, **env)
    assert ids(outcome.said) == {found}, outcome.said
    assert end in outcome.said


def test_a_key_that_cannot_be_used_refuses_the_server(tree, keys, production):
    outcome = run(tree, "-c", PROBE, **{**production, "ALIPAY_APP_PRIVATE_KEY_FILE": keys / "mode_0644"})
    check, _, server = outcome.said.partition("THE SERVER")
    assert ids(check) == ids(server) == {"E010"}, outcome.said
    assert f"chmod 600 {keys / 'mode_0644'}" in check
    assert "REFUSED" in server
    assert (keys / "app").read_text().splitlines()[3] not in outcome.said


def test_a_key_in_the_tracked_tree_refuses_the_server(fresh_tree, keys, production):
    keyfiles.write_once(fresh_tree / "backend/app.pem", (keys / "app").read_text())
    env = {**production, "ALIPAY_APP_PRIVATE_KEY_FILE": "backend/app.pem"}
    outcome = run(fresh_tree, "manage.py", "check", **env)
    assert (outcome.code, ids(outcome.said)) == (1, {"E010"})
    assert "tracked tree. Move it to var/" in outcome.said


# --- Settings that are missing or make no sense ----------------------------------------------------------------------

LOADED = """
import importlib, json, os, sys
from django.core.exceptions import ImproperlyConfigured
import backend.settings as settings
ours = dict(os.environ)
for change in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update({**ours, **{name: value for name, value in change.items() if value is not None}})
    for name in [name for name, value in change.items() if value is None]:
        del os.environ[name]
    try:
        importlib.reload(settings)
        print(json.dumps([settings.ALIPAY_REAL_MONEY, settings.PRODUCTION, settings.ENVIRONMENT]))
    except ImproperlyConfigured as error:
        print(json.dumps(str(error)))
"""
"""The settings, read once for each of the environments: what they come to, or why they are refused."""


@pytest.fixture(scope="module")
def load(tree, production):
    """What the settings come to with these changes; None takes a variable away."""

    def load(*changes):
        outcome = run(tree, "-c", LOADED, given=json.dumps(changes), **production)
        assert outcome.code == 0, outcome.said
        return [json.loads(line) for line in outcome.said.splitlines()]

    return load


REQUIRED = [
    "SECRET_KEY",
    "ALIPAY_GATEWAY_URL",
    "ALIPAY_APP_ID",
    "ALIPAY_SELLER_ID",
    "ALIPAY_APP_PRIVATE_KEY_FILE",
    "ALIPAY_PUBLIC_KEY_FILES",
]
NONSENSE = {
    "no time to pay": {"ORDER_TTL_SECONDS": "0"},
    "a negative time": {"ORDER_TTL_SECONDS": "-1"},
    "a time in words": {"ORDER_TTL_SECONDS": "abc"},
    "sixteen days": {"ORDER_TTL_SECONDS": str(16 * 86400)},
    "a token that never was": {"TOKEN_TTL_SECONDS": "0"},
    "half a rate limit": {"RATE_LIMITS": "maybe"},
    "another kind of database": {"DATABASE_URL": "mysql://shop@127.0.0.1/coursepay"},
    "no kind of database": {"DATABASE_URL": "coursepay"},
    "another kind of broker": {"CELERY_BROKER_URL": "http://127.0.0.1"},
    "another kind of cache": {"REDIS_URL": "127.0.0.1:6379"},
    "a network of words": {"METRICS_ALLOW": "monitor.example"},
    "an environment of its own": {"ENVIRONMENT": "prod"},
    "half a decision": {"SQLITE_FOR_REAL_MONEY": "yes"},
}


def test_what_is_required_is_named(load):
    said = load(*({name: value} for name in REQUIRED for value in (None, "")))
    mend = "Set it in the environment (.env.example lists all), or DEBUG=1 for the demo. (coursepay.E030)"
    assert said == [f"{name} is not set. {mend}" for name in REQUIRED for _ in range(2)]


def test_nonsense_is_refused_by_the_name_of_its_variable(load):
    for change, said in zip(NONSENSE.values(), load(*NONSENSE.values()), strict=True):
        (variable,) = change
        assert isinstance(said, str), change
        assert variable in said
        assert said.endswith(" (coursepay.E031)")


def test_a_refusal_by_the_settings_ends_the_process(tree, production):
    outcome = run(tree, "manage.py", "check", **{**production, "SECRET_KEY": ""})
    assert outcome.code != 0
    assert "coursepay.E030" in outcome.said.strip().splitlines()[-1]


def test_real_money_is_known_by_the_gateways_host_however_it_is_written(load):
    real = ["https://OpenAPI.Alipay.com/gateway.do", "https://openapi.alipay.com:443/gateway.do?x=1",
            "http://openapi.alipay.com/", "https://openapi.alipay.com./gateway.do"]  # fmt: skip
    other = [SANDBOX, "https://openapi.alipay.com.example/gateway.do", "http://127.0.0.1:8001/openapi.alipay.com"]
    said = load(*({"ALIPAY_GATEWAY_URL": url} for url in real + other))
    assert said == [[True, True, "production"]] * len(real) + [[False, False, "staging"]] * len(other)


def test_production_is_what_takes_real_money_or_says_so(load):
    assert load(
        {"ENVIRONMENT": "development"},
        {"ENVIRONMENT": "production", "ALIPAY_GATEWAY_URL": SANDBOX},
        {"ENVIRONMENT": "", "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": "1"},
        {"ENVIRONMENT": "staging", "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": "1"},
    ) == [
        [True, True, "development"],
        [False, True, "production"],
        [False, False, "development"],
        [False, False, "staging"],
    ]


# --- Commands that real money must never meet ------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["load_demo"], ["bench_seed", "--tokens", "var/tokens"], ["demo_purchase"]])
def test_a_demo_command_is_refused_for_real_money(tree, production, command, tmp_path):
    env = {**production, "DATABASE_URL": f"sqlite:///{tmp_path}/real.sqlite3", "SQLITE_FOR_REAL_MONEY": "allow"}
    outcome = run(tree, "manage.py", *command, **env)
    assert outcome.code != 0
    assert "Refused: " in outcome.said, outcome.said
    assert not (tree / "var/tokens").exists()
