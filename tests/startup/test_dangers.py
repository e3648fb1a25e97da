"""Each danger by itself: an error in production, a warning elsewhere, its own id, and words that say the mend."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core import checks
from django.db import connections

from backend import checks_database
from backend.checks import WITH_DATABASE, YEAR
from backend.payments import checks as till

REAL = "https://openapi.alipay.com/gateway.do"
SANDBOX = "https://openapi-sandbox.dl.alipaydev.com/gateway.do"
GOOD = {
    "DEBUG": False,
    "PRODUCTION": True,
    "ENVIRONMENT": "production",
    "ALIPAY_REAL_MONEY": True,
    "ALIPAY_GATEWAY_URL": REAL,
    "RATE_LIMITS": True,
    "ORDER_TTL_SECONDS": 60,
    "SECRET_KEY": "production's own, fifty characters long and then some",
    "PUBLIC_URL": "https://pay.example.com",
    "STOREFRONT_URL": "https://shop.example.com",
    "CORS_ALLOWED_ORIGINS": ["https://shop.example.com"],
    "CSRF_TRUSTED_ORIGINS": ["https://pay.example.com"],
    "ALLOWED_HOSTS": ["pay.example.com"],
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SECURE_SSL_REDIRECT": True,
    "SECURE_HSTS_SECONDS": YEAR,
    "TRUSTED_PROXIES": ["127.0.0.1"],
}
"""A shop with real money and nothing wrong."""

DANGERS = {
    "debug": ("001", {"DEBUG": True}),
    "no rate limits": ("002", {"RATE_LIMITS": False}),
    "a time to pay under a minute": ("003", {"ORDER_TTL_SECONDS": 59}),
    "the simulator's key": ("004", {"ALIPAY_PUBLIC_KEY_FILES": ["simulators"]}),
    "a copy of the simulator's key": ("004", {"ALIPAY_PUBLIC_KEY_FILES": ["simulators_copy"]}),
    "a bare line of the simulator's key": ("004", {"ALIPAY_PUBLIC_KEY_FILES": ["simulators_one_line"]}),
    "the simulator's key under a note": ("004", {"ALIPAY_PUBLIC_KEY_FILES": ["simulators_with_a_note"]}),
    "the simulator's key as PKCS#1": ("004", {"ALIPAY_PUBLIC_KEY_FILES": ["simulators_pkcs1"]}),
    "the simulator's key beside the true one": ("004", {"ALIPAY_PUBLIC_KEY_FILES": ["alipay", "simulators_copy"]}),
    "a shop on plain http": ("005", {"PUBLIC_URL": "http://pay.example.com"}),
    "a storefront on plain http": ("005", {"STOREFRONT_URL": "http://shop.example.com"}),
    "an origin on plain http": ("005", {"CORS_ALLOWED_ORIGINS": ["https://a.example", "http://b.example"]}),
    "forms from plain http": ("005", {"CSRF_TRUSTED_ORIGINS": ["http://pay.example.com"]}),
    "any host": ("006", {"ALLOWED_HOSTS": ["pay.example.com", "*"]}),
    "no origin for forms": ("008", {"CSRF_TRUSTED_ORIGINS": []}),
    "a short secret": ("009", {"SECRET_KEY": "abcdefghijklmnopqrstuvwxyz01234"}),
    "a plain secret": ("009", {"SECRET_KEY": "abababab" * 8}),
    "a secret of startproject": ("009", {"SECRET_KEY": "django-insecure-" + GOOD["SECRET_KEY"]}),
    "the real gateway, spelled otherwise": ("014", {"ALIPAY_GATEWAY_URL": "http://openapi.alipay.com/gateway.do"}),
    "the real gateway in staging": ("014", {"ENVIRONMENT": "staging"}),
    "the real gateway in development": ("014", {"ENVIRONMENT": "development"}),
    "the sandbox in production": ("014", {"ALIPAY_GATEWAY_URL": SANDBOX, "ALIPAY_REAL_MONEY": False}),
    "a simulator among the apps": ("015", {"INSTALLED_APPS": ["backend.orders", "alipay_simulator"]}),
    "a key that is not on the list": ("017", {"PRODUCTION_KEY_FINGERPRINTS": ["00" * 32]}),
    "cookies in the open": ("018", {"SESSION_COOKIE_SECURE": False}),
    "a form's cookie in the open": ("018", {"CSRF_COOKIE_SECURE": False}),
    "a cookie for scripts": ("018", {"SESSION_COOKIE_HTTPONLY": False}),
    "a cookie for every site": ("018", {"SESSION_COOKIE_SAMESITE": "None"}),
    "a cookie that does not come back from Alipay": ("018", {"SESSION_COOKIE_SAMESITE": "Strict"}),
    "no way to https": ("018", {"SECURE_SSL_REDIRECT": False}),
    "a month of HSTS": ("018", {"SECURE_HSTS_SECONDS": 30 * 86400}),
    "guessed types": ("018", {"SECURE_CONTENT_TYPE_NOSNIFF": False}),
    "frames": ("018", {"X_FRAME_OPTIONS": "SAMEORIGIN"}),
    "a body without end": ("019", {"DATA_UPLOAD_MAX_MEMORY_SIZE": None}),
    "a body of megabytes": ("019", {"DATA_UPLOAD_MAX_MEMORY_SIZE": 1024 * 1024 + 1}),
    "fields without end": ("019", {"DATA_UPLOAD_MAX_NUMBER_FIELDS": None}),
    "a notify address that redirects": ("024", {"SECURE_REDIRECT_EXEMPT": [r"^order/success/$"]}),
    "no proxy": ("025", {"TRUSTED_PROXIES": []}),
    "a notify address that gets a www": ("024", {"PREPEND_WWW": True}),
}


@pytest.fixture
def shop(settings, monkeypatch, keys, tree):
    """The good shop; a call changes it, where key files go by what they are."""
    files = {"simulators": tree / "var/alipay_simulator/alipay_public_key.pem"}
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "backend.postgresql")
    options = settings.PAYMENT_PROVIDERS["alipay"]["OPTIONS"]

    def change(**changes):
        for name, value in changes.items():
            if name.startswith("ALIPAY_") and name.endswith("_KEY_FILES"):
                value = [files.get(key, keys / key) for key in value]
                monkeypatch.setitem(options, "alipay_public_key_files", value)
            if name == "ALIPAY_APP_PRIVATE_KEY_FILE":
                monkeypatch.setitem(options, "app_private_key_file", value)
            setattr(settings, name, value)

    own = {"ALIPAY_APP_PRIVATE_KEY_FILE": keys / "app", "ALIPAY_PUBLIC_KEY_FILES": ["alipay"]}
    change(**GOOD, **own, SIMULATOR_PUBLIC_KEY_FILE=files["simulators"])
    return change


def found(*tags, **options):
    """The ids of our own checks."""
    return sorted(message.id for message in checks.run_checks(tags=["security", *tags], **options))


def test_a_good_production_has_none(shop):
    assert found() == []
    assert [each for each in found(include_deployment_checks=True) if each.startswith("coursepay")] == []


@pytest.mark.parametrize("danger", DANGERS)
def test_in_production_it_is_an_error(shop, danger):
    number, change = DANGERS[danger]
    shop(**change)
    (message,) = checks.run_checks(tags=["security"])
    assert (message.id, message.level) == (f"coursepay.E{number}", checks.ERROR)
    assert message.msg.endswith(("(real money).", "(ENVIRONMENT=production)."))
    assert message.hint
    ours = [each for each in found(include_deployment_checks=True) if each.startswith("coursepay")]
    assert ours == [message.id], "the deployment check says it no second time"


@pytest.mark.parametrize("danger", [name for name in DANGERS if DANGERS[name][0] not in ("014", "017")])
def test_elsewhere_it_is_a_warning_and_in_the_demo_that_waits_for_the_deployment_check(shop, danger):
    number, change = DANGERS[danger]
    staging = {"PRODUCTION": False, "ENVIRONMENT": "staging", "ALIPAY_REAL_MONEY": False}
    shop(**staging | {"ALIPAY_GATEWAY_URL": SANDBOX} | change)
    assert found() == ([] if number == "001" else [f"coursepay.W{number}"])
    shop(DEBUG=True)
    assert found() == []
    ours = [each for each in found(include_deployment_checks=True) if each.startswith("coursepay")]
    assert ours == sorted({"coursepay.W001", f"coursepay.W{number}"})


def test_sqlite_is_refused_for_real_money_unless_it_is_allowed(shop, settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    assert found() == ["coursepay.E007"]
    shop(SQLITE_FOR_REAL_MONEY=True)
    assert found() == ["coursepay.W007"]
    shop(SQLITE_FOR_REAL_MONEY=False, PRODUCTION=False, ALIPAY_REAL_MONEY=False, ENVIRONMENT="staging")
    assert found() == ["coursepay.W007"]


@pytest.mark.parametrize(
    ("places", "ids"),
    [
        ((None, None), ["coursepay.E021"]),
        ((None, "empty"), ["coursepay.E021"]),
        ((None, "full"), []),
        (("full/ca.pem", None), []),
    ],
)
def test_a_machine_without_certificates(shop, monkeypatch, tmp_path, places, ids):
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/ca.pem").touch()
    cafile, capath = (place and str(tmp_path / place) for place in places)
    none = ssl.get_default_verify_paths()._replace(cafile=cafile, capath=capath)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: none)
    assert found() == ids


# --- Production's key stays where it belongs -------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ["staging", "development"])
@pytest.mark.parametrize("debug", [True, False])
def test_productions_key_is_refused_everywhere_else(shop, environment, debug):
    elsewhere = {"PRODUCTION": False, "ALIPAY_REAL_MONEY": False, "ALIPAY_GATEWAY_URL": SANDBOX, "DEBUG": debug}
    shop(**elsewhere, ENVIRONMENT=environment, PRODUCTION_KEY_FINGERPRINTS=["00" * 32])
    assert found() == []
    shop(PRODUCTION_KEY_FINGERPRINTS=["00" * 32, till.app_key_fingerprint()])
    assert found() == ["coursepay.E016"]


def test_productions_key_is_taken_in_production(shop):
    shop(PRODUCTION_KEY_FINGERPRINTS=["00" * 32, till.app_key_fingerprint()])
    assert found() == []


# --- Keys that cannot be used ----------------------------------------------------------------------------------------

BAD_KEYS = {
    "readable by all": ("ALIPAY_APP_PRIVATE_KEY_FILE", "mode_0644", "chmod 600 KEYS/mode_0644"),
    "writable by the group": ("ALIPAY_APP_PRIVATE_KEY_FILE", "mode_0660", "chmod 600 KEYS/mode_0660"),
    "somebody else's": ("ALIPAY_APP_PRIVATE_KEY_FILE", "theirs", "who can change it. Run: chown"),
    "not there": ("ALIPAY_APP_PRIVATE_KEY_FILE", "nowhere", "KEYS/nowhere cannot be read"),
    "no key": ("ALIPAY_APP_PRIVATE_KEY_FILE", "nonsense", "the app's private key is neither PEM nor"),
    "empty": ("ALIPAY_APP_PRIVATE_KEY_FILE", "empty", "the app's private key"),
    "short": ("ALIPAY_APP_PRIVATE_KEY_FILE", "short", "has 1024 bits: make a pair of at least 2048"),
    "a public key as the private one": ("ALIPAY_APP_PRIVATE_KEY_FILE", "app_public", "a public key stands where"),
    "no key of Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", ["nonsense"], "Alipay's public key is neither PEM nor"),
    "our own public key as Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", ["app_public"], "own public key is configured"),
    "our own beside Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", ["alipay", "app_public"], "own public key is conf"),
    "a private key as Alipay's": ("ALIPAY_PUBLIC_KEY_FILES", ["app"], "a private key stands where"),
}


@pytest.fixture(scope="module")
def short_key(keys):
    pem = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (keys / "short").write_bytes(pem)
    (keys / "short").chmod(0o600)


@pytest.fixture
def theirs(keys, monkeypatch):
    """A key file of another user: to us it looks as if stat had said so, since only root can give a file away."""
    path, stat = keys / "theirs", Path.stat
    path.write_text((keys / "app").read_text())
    path.chmod(0o600)

    class Theirs:
        st_mode, st_uid = 0o100600, 54321

    monkeypatch.setattr(Path, "stat", lambda self, **more: Theirs() if self == path else stat(self, **more))


@pytest.mark.usefixtures("short_key", "theirs")
@pytest.mark.parametrize("what", BAD_KEYS)
@pytest.mark.parametrize("production", [True, False])
def test_a_key_that_cannot_be_used_is_an_error_everywhere(shop, keys, what, production):
    name, key, sentence = BAD_KEYS[what]
    shop(**{name: key if isinstance(key, list) else keys / key}, PRODUCTION=production)
    if not production:
        shop(ALIPAY_REAL_MONEY=False, ENVIRONMENT="staging", ALIPAY_GATEWAY_URL=SANDBOX)
    (message,) = checks.run_checks(tags=["security"])
    assert (message.id, message.level) == ("coursepay.E010", checks.ERROR)
    assert sentence.replace("KEYS", str(keys)) in message.msg
    # What is wrong is said without telling the key.
    assert (keys / "app").read_text().splitlines()[3] not in str(message)


def test_a_key_for_the_group_to_read_is_taken(shop, keys):
    shop(ALIPAY_APP_PRIVATE_KEY_FILE=keys / "mode_0640")
    assert found() == []


# --- What the database promises --------------------------------------------------------------------------------------

PROMISES = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
}


@pytest.fixture
def promises(monkeypatch):
    """A PostgreSQL that says this."""
    said = dict(PROMISES)
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    monkeypatch.setattr(checks_database, "ask", lambda: said)
    return said


def asked():
    return [message.id for message in checks.run_checks(tags=[WITH_DATABASE], databases=["default"])]


def test_a_postgres_that_keeps_what_it_promises(shop, promises):
    assert asked() == []
    promises["synchronous_commit"] = "remote_write"
    assert asked() == []


@pytest.mark.parametrize("name", PROMISES)
def test_a_postgres_that_does_not(shop, promises, name):
    number, value = ("022", "off") if PROMISES[name] == "on" else ("023", "0")
    promises[name] = value
    assert asked() == [f"coursepay.E{number}"]
    (message,) = checks.run_checks(tags=[WITH_DATABASE], databases=["default"])
    assert name in message.msg
    shop(PRODUCTION=False)
    assert asked() == [f"coursepay.W{number}"]
    shop(DEBUG=True)
    assert asked() == []


def test_the_database_is_asked_only_where_django_says_so(shop, promises):
    promises["fsync"] = "off"
    assert checks.run_checks(tags=[WITH_DATABASE]) == []
    assert checks.run_checks(tags=[WITH_DATABASE], databases=["another"]) == []


@pytest.mark.postgres
def test_the_real_one_is_asked_by_a_session_like_the_shops(db, settings, monkeypatch):
    connection = connections["default"]
    said = checks_database.ask()
    with connection.cursor() as cursor:
        for name in PROMISES:
            cursor.execute("SELECT setting FROM pg_settings WHERE name = %s", [name])
            assert cursor.fetchone() == (said[name],)
    assert {name: said[name] for name in checks_database.TIME_OUTS} == {
        name: PROMISES[name] for name in checks_database.TIME_OUTS
    }
    endless = {**connection.settings_dict, "OPTIONS": {**connection.settings_dict["OPTIONS"], "options": ""}}
    monkeypatch.setattr(connection, "settings_dict", endless)
    assert {checks_database.ask()[name] for name in checks_database.TIME_OUTS} == {"0"}


@pytest.mark.postgres
def test_a_database_that_is_away_is_no_wrong_set_up(db, shop, monkeypatch):
    connection = connections["default"]
    monkeypatch.setattr(connection, "settings_dict", {**connection.settings_dict, "PORT": "1"})
    assert checks_database.ask() == {}
    assert asked() == []
