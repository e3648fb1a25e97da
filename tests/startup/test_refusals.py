"""A wrong set-up fails at the start, with a sentence that says the mend; real money makes dangers into refusals."""

import re
import shutil
import sqlite3

import pytest

from tests.startup.trees import run

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

DANGERS = {
    "debug": ("001", {"DEBUG": "1"}),
    "no rate limits": ("002", {"RATE_LIMITS": "off"}),
    "a time to pay under a minute": ("003", {"ORDER_TTL_SECONDS": "59"}),
    "the simulator's key": ("004", {"ALIPAY_PUBLIC_KEY_FILES": "var/alipay_simulator/alipay_public_key.pem"}),
    "a copy of the simulator's key": ("004", {"ALIPAY_PUBLIC_KEY_FILES": "KEYS/simulators_copy"}),
    "a bare line of the simulator's key": ("004", {"ALIPAY_PUBLIC_KEY_FILES": "KEYS/simulators_one_line"}),
    "the simulator's key under a note": ("004", {"ALIPAY_PUBLIC_KEY_FILES": "KEYS/simulators_with_a_note"}),
    "the simulator's key as PKCS#1": ("004", {"ALIPAY_PUBLIC_KEY_FILES": "KEYS/simulators_pkcs1"}),
    "the simulator's key beside the true one": (
        "004",
        {"ALIPAY_PUBLIC_KEY_FILES": "KEYS/alipay,KEYS/simulators_copy"},
    ),
    "plain http": ("005", {"PUBLIC_URL": "http://pay.example.com"}),
    "any host": ("006", {"ALLOWED_HOSTS": "pay.example.com,*"}),
}


def ids(said):
    return set(re.findall(r"coursepay\.([EW]\d+)", said))


@pytest.fixture(scope="module")
def probed(tree, keys, production, two_at_a_time):
    """Every danger with real money: started two at a time, looked at one by one."""
    running = {}
    for name, (_, change) in DANGERS.items():
        change = {variable: value.replace("KEYS", str(keys)) for variable, value in change.items()}
        running[name] = two_at_a_time.submit(run, tree, "-c", PROBE, **{**production, **change})
    return running


@pytest.fixture
def everything_wrong(production, keys):
    """All dangers at once, and SQLite."""
    env = {**production, "DATABASE_URL": f"sqlite:///{keys}/real.sqlite3"}
    for _, change in DANGERS.values():
        env.update(change)
    return {**env, "ALIPAY_PUBLIC_KEY_FILES": str(keys / "simulators_copy")}


@pytest.mark.parametrize("danger", DANGERS)
def test_with_real_money_a_danger_refuses_the_start(probed, danger):
    number, _ = DANGERS[danger]
    outcome = probed[danger].result()
    check, _, server = outcome.said.partition("THE SERVER")
    assert ids(check) == {f"E{number}"}, outcome.said
    assert "CHECK EXIT 1" in check
    assert "REFUSED Refused to start" in server
    assert f"coursepay.E{number}" in server.partition("REFUSED")[2]


def test_with_any_other_gateway_they_are_warnings(tree, everything_wrong):
    outcome = run(tree, "-c", PROBE, **{**everything_wrong, "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": "0"})
    check, _, server = outcome.said.partition("THE SERVER")
    assert ids(check) == ids(server) == {"W002", "W003", "W004", "W005", "W006", "W007"}, outcome.said
    assert "CHECK EXIT 0" in check
    assert "UP <django" in server


def test_in_the_demo_the_warnings_are_kept_for_the_deployment_check(tree, everything_wrong):
    env = {**everything_wrong, "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": "1"}
    outcome = run(tree, "-c", PROBE, **env)
    assert ids(outcome.said) == set(), outcome.said
    assert "UP <django" in outcome.said
    deploy = run(tree, "manage.py", "check", "--deploy", **env)
    assert deploy.code == 0
    assert ids(deploy.said) == {"W001", "W002", "W003", "W004", "W005", "W006", "W007"}


def test_a_good_production_comes_up_without_a_word(tree, production):
    outcome = run(tree, "-c", PROBE, **production)
    assert ids(outcome.said) == set(), outcome.said
    assert "CHECK EXIT 0" in outcome.said
    assert "UP <django" in outcome.said


def test_all_dangers_at_once_are_all_named_and_each_way_in_ends_with_an_error(tree, keys, everything_wrong):
    check = run(tree, "manage.py", "check", **everything_wrong)
    assert check.code != 0
    assert ids(check.said) == {"E001", "E002", "E003", "E004", "E005", "E006", "W007"}
    server = run(tree, "-c", "import backend.wsgi", **everything_wrong)
    assert server.code != 0
    assert ids(server.said) == ids(check.said)
    # A command with the checks, as migrate is, is refused too.
    assert run(tree, "manage.py", "migrate", **everything_wrong).code != 0
    # Django opens the file to see whether it can hold JSON; no table may be in it.
    assert sqlite3.connect(keys / "real.sqlite3").execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.mark.parametrize("gateway", ["https://openapi.alipay.com/gateway.do", SANDBOX])
def test_sqlite_without_debug_is_a_warning_always(tree, production, tmp_path, gateway):
    env = {**production, "ALIPAY_GATEWAY_URL": gateway, "DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3"}
    outcome = run(tree, "-c", PROBE, **env)
    assert ids(outcome.said) == {"W007"}, outcome.said
    assert "UP <django" in outcome.said


def test_real_money_is_known_by_the_gateways_host_however_it_is_written(tree, production):
    real = ["https://OpenAPI.Alipay.com/gateway.do", "https://openapi.alipay.com:443/gateway.do?x=1",
            "http://openapi.alipay.com/", "https://openapi.alipay.com./gateway.do"]  # fmt: skip
    other = [SANDBOX, "https://openapi.alipay.com.example/gateway.do", "http://127.0.0.1:8001/openapi.alipay.com"]
    script = (
        "import importlib, os, sys; import backend.settings as settings\n"
        "for os.environ['ALIPAY_GATEWAY_URL'] in sys.argv[1:]:\n"
        "    print(importlib.reload(settings).ALIPAY_REAL_MONEY)\n"
    )
    outcome = run(tree, "-c", script, *real, *other, **production)
    assert outcome.said.split() == ["True"] * len(real) + ["False"] * len(other), outcome.said


# --- Settings that are missing or make no sense ----------------------------------------------------------------------

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
}


@pytest.fixture(scope="module")
def checked(tree, production, two_at_a_time):
    running = {}
    for name in REQUIRED:
        without = {variable: value for variable, value in production.items() if variable != name}
        running[name] = two_at_a_time.submit(run, tree, "manage.py", "check", **without)
        running[name, "empty"] = two_at_a_time.submit(run, tree, "manage.py", "check", **without, **{name: ""})
    for name, change in NONSENSE.items():
        running[name] = two_at_a_time.submit(run, tree, "manage.py", "check", **{**production, **change})
    return running


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_is_named(checked, name):
    for outcome in (checked[name].result(), checked[name, "empty"].result()):
        assert outcome.code != 0
        assert f"{name} is not set. Set it in the environment" in outcome.said


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused_by_the_name_of_its_variable(checked, what):
    outcome = checked[what].result()
    assert outcome.code != 0
    (variable,) = NONSENSE[what]
    *_, last = outcome.said.strip().splitlines()
    assert variable in last, outcome.said


# --- Keys ------------------------------------------------------------------------------------------------------------

BAD_KEYS = {
    "readable by all": ("ALIPAY_APP_PRIVATE_KEY_FILE", "KEYS/mode_0644", "chmod 600 KEYS/mode_0644"),
    "writable by the group": ("ALIPAY_APP_PRIVATE_KEY_FILE", "KEYS/mode_0660", "chmod 600 KEYS/mode_0660"),
    "in the tracked tree": ("ALIPAY_APP_PRIVATE_KEY_FILE", "backend/app.pem", "tracked tree. Move it to var/"),
    "not there": ("ALIPAY_APP_PRIVATE_KEY_FILE", "KEYS/nowhere", "KEYS/nowhere cannot be read"),
    "no key": ("ALIPAY_APP_PRIVATE_KEY_FILE", "KEYS/nonsense", "the app's private key is neither PEM nor"),
    "empty": ("ALIPAY_APP_PRIVATE_KEY_FILE", "KEYS/empty", "the app's private key"),
    "a public key as the private one": ("ALIPAY_APP_PRIVATE_KEY_FILE", "KEYS/app_public", "a public key stands where"),
    "no key of Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", "KEYS/nonsense", "Alipay's public key is neither PEM nor"),
    "our own public key as Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", "KEYS/app_public", "own public key is configured"),
    "our own beside Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", "KEYS/alipay,KEYS/app_public", "own public key is conf"),
    "a private key as Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", "KEYS/app", "a private key stands where"),
}


@pytest.fixture(scope="module")
def keyed(tree, keys, production, two_at_a_time):
    shutil.copy(keys / "app", tree / "backend/app.pem")
    running = {}
    for what, (variable, path, _) in BAD_KEYS.items():
        env = {**production, variable: path.replace("KEYS", str(keys))}
        running[what] = two_at_a_time.submit(run, tree, "-c", PROBE, **env)
    yield running
    for each in running.values():
        each.result()
    (tree / "backend/app.pem").unlink()


@pytest.mark.parametrize("what", BAD_KEYS)
def test_a_key_that_cannot_be_used_is_refused_with_the_mend(keyed, keys, what):
    *_, sentence = BAD_KEYS[what]
    said = keyed[what].result().said
    check, _, server = said.partition("THE SERVER")
    assert ids(check) == ids(server) == {"E010"}, said
    assert "CHECK EXIT 1" in check
    assert "REFUSED" in server
    assert sentence.replace("KEYS", str(keys)) in check
    # What is wrong is said without telling the key.
    secret = (keys / "app").read_text().splitlines()[3]
    assert secret not in said


def test_a_key_for_the_group_to_read_is_taken(tree, keys, production):
    env = {**production, "ALIPAY_APP_PRIVATE_KEY_FILE": keys / "mode_0640"}
    assert ids(run(tree, "-c", PROBE, **env).said) == set()


# --- Commands that real money must never meet ------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["load_demo"], ["bench_seed", "--tokens", "var/tokens"], ["demo_purchase"]])
def test_a_demo_command_is_refused_for_real_money(tree, production, command, tmp_path):
    env = {**production, "DATABASE_URL": f"sqlite:///{tmp_path}/real.sqlite3"}
    outcome = run(tree, "manage.py", *command, **env)
    assert outcome.code != 0
    assert "Refused: " in outcome.said, outcome.said
    assert not (tree / "var/tokens").exists()
