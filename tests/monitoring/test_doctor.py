"""manage.py doctor: what is wrong is named, with what to do, and the exit says so."""

import hashlib
import subprocess
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.checks import Error
from django.core.management import call_command
from django.utils import timezone

from backend import keyfiles
from backend.monitoring import doctor, readiness
from backend.payments.bills import newest_day
from backend.payments.discrepancies import MONEY_REFUSED, open_discrepancy
from backend.payments.models import Bill, BillStatus, Payment
from backend.payments.providers.base import ProviderRejected, ProviderUnavailable, TradeNotFound
from tests.api.conftest import questions  # noqa: F401 - fixtures are found by name
from tests.engine.conftest import redis_server, redis_url, session_redis  # noqa: F401
from tests.events.endpoint import Endpoint
from tests.limits.conftest import hole  # noqa: F401


def http(status, body=b"", head=b""):
    return b"HTTP/1.1 %d Whatever\r\n%sContent-Length: %d\r\n\r\n%s" % (status, head, len(body), body)


def address_of(endpoint):
    return f"http://127.0.0.1:{endpoint.port}/payments/alipay/notify/"


@pytest.fixture
def endpoint(settings, monkeypatch):
    """What stands at the notify address."""
    endpoint = Endpoint([http(200, b"fail")])
    endpoint.up()
    monkeypatch.setitem(settings.PAYMENT_PROVIDERS["alipay"]["OPTIONS"], "notify_url", address_of(endpoint))
    yield endpoint
    endpoint.down()


@pytest.fixture
def well(db, questions, endpoint, settings):  # noqa: F811
    """A shop where nothing is wrong. Gives the questions to the gateway."""
    settings.RATE_LIMITS, settings.PUBLIC_URL = True, "https://pay.example.com"
    questions.answer = TradeNotFound("ACQ.TRADE_NOT_EXIST", "none")
    return questions


def examined():
    """What was found, by name; the worst where there are several of a name."""
    order = ["ok", "warning", "failed"]
    found = {}
    for finding in doctor.examine():
        known = found.get(finding.name)
        if known is None or order.index(finding.state) > order.index(known.state):
            found[finding.name] = finding
    return found


def run():
    out = StringIO()
    try:
        call_command("doctor", stdout=out)
    except SystemExit as ended:
        return ended.code, out.getvalue()
    return 0, out.getvalue()


NAMES = ["settings", "database", "clock", "migrations", "keys", "work", "key pair", "gateway", "notify address"]
NAMES += ["redis", "broker", "disk", "bills", "discrepancies"]


def test_a_shop_where_nothing_is_wrong(well, endpoint):
    found = examined()
    assert list(found) == NAMES
    assert {name for name in NAMES if found[name].state == "failed"} == set()
    code, said = run()
    assert (code, said.splitlines()[-1]) == (0, "Nothing is wrong.")
    assert [len(number) for number in well] == [32, 32]
    assert {(request.method, request.body) for request in endpoint.received} == {("POST", b"from=doctor")}


def wrong(name):
    """What is wrong, which is ``name`` alone; the command says it with what to do, and exits with 1."""
    found = examined()
    assert [each for each in found if found[each].state == "failed"] == [name]
    code, said = run()
    assert (code, said.splitlines()[-1]) == (1, "1 wrong.")
    assert f" WRONG  {name}" in said
    assert found[name].mend in said
    return found[name].detail


def test_a_system_check(well, monkeypatch):
    error = Error("It is wrong.", hint="Mend it.", id="coursepay.E999")
    monkeypatch.setattr(doctor.checks, "run_checks", lambda **options: [error])
    assert wrong("settings") == "coursepay.E999: It is wrong."


def test_a_key_that_is_not_ours_alone(well, settings, tmp_path):
    path = tmp_path / "app.pem"
    path.write_text(settings.ALIPAY_APP_PRIVATE_KEY_FILE.read_text())
    path.chmod(0o644)
    settings.ALIPAY_APP_PRIVATE_KEY_FILE = path
    assert "others can read it" in wrong("key pair")


def test_a_key_pair_that_does_not_verify(well, monkeypatch):
    other = doctor.load_private_key(keyfiles.new_rsa_private_key())

    class Half:
        key_size = 2048

        def __init__(self, key):
            self.sign = key.sign

        def public_key(self):
            return other.public_key()

    load = doctor.load_private_key
    monkeypatch.setattr(doctor, "load_private_key", lambda text: Half(load(text)))
    assert wrong("key pair") == "does not verify what it signs"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (ProviderUnavailable("the answer's signature is wrong"), "the answer's signature is wrong"),
        (ProviderRejected("isv.invalid-signature", "验签出错"), "isv.invalid-signature: 验签出错"),
        ("a trade", "knows a trade that nobody has made"),
        (ZeroDivisionError("bug"), "ZeroDivisionError: bug"),
    ],
    ids=str,
)
def test_a_gateway_that_does_not_know_us(well, answer, detail):
    well.answer = answer
    assert wrong("gateway") == detail


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (http(301, head=b"Location: https://elsewhere.example/\r\n"), "HTTP 301, a redirect: Alipay follows none"),
        (http(404), "HTTP 404, and not the word fail"),
        (http(200, b"<html>"), "HTTP 200, and not the word fail"),
        (http(200, b"fail\n"), "HTTP 200, and not the word fail"),
        (http(200, b"success"), "HTTP 200, and not the word fail"),
        (http(500, b"fail"), "HTTP 500, and not the word fail"),
        (b"SSH-2.0\r\n", "HttpError: BadStatusLine"),
    ],
    ids=ascii,
)
def test_a_notify_address_that_is_not_ours(well, endpoint, answer, detail):
    endpoint.answers = [answer]
    assert wrong("notify address") == f"{address_of(endpoint)}: {detail}"
    assert len(endpoint.received) == 2


def test_the_shops_own_answer_is_the_right_one(well, client):
    """What the doctor posts is refused by the real view in just these words, and changes nothing but the inbox."""
    answer = client.post("/payments/alipay/notify/", doctor.HARMLESS, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.content) == (200, b"fail")


def test_redis(well, settings, redis_url):  # noqa: F811
    settings.REDIS_URL = redis_url
    found = examined()["redis"]
    assert (found.state, found.detail.split()[0]) == ("ok", "Redis")


def test_a_redis_that_is_away(well, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert wrong("redis").startswith("ConnectionError")


def test_a_redis_that_does_not_answer(well, hole):  # noqa: F811
    assert wrong("redis").startswith("TimeoutError")


@pytest.fixture
def another_broker(settings):
    from backend.broker import celery_app

    celery_app.cache_clear()
    yield settings
    celery_app.cache_clear()


def test_a_broker(well, another_broker, redis_url):  # noqa: F811
    another_broker.CELERY_BROKER_URL = redis_url
    found = examined()["broker"]
    assert (found.state, found.detail) == ("ok", "answers")


def test_a_broker_that_is_away(well, another_broker):
    another_broker.CELERY_BROKER_URL = "amqp://127.0.0.1:1//"
    assert "refused" in wrong("broker")


@pytest.mark.parametrize(("free", "state"), [(2**30, "ok"), (2**30 - 1, "warning"), (200 * 2**20, "warning")])
def test_a_disk_with_little_room(well, monkeypatch, free, state):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert examined()["disk"].state == state
    assert run()[0] == 0


def test_a_full_disk(well, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=200 * 2**20 - 1))
    assert wrong("disk") == "199 MiB free for var/"


def test_the_fingerprint_is_openssls(well, settings):
    path = settings.ALIPAY_APP_PRIVATE_KEY_FILE
    command = ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"]
    public = subprocess.run(command, capture_output=True, check=True).stdout
    assert examined()["key pair"].detail.endswith(f"SHA-256 {hashlib.sha256(public).hexdigest()}")


def test_work_that_nobody_does(well, payment):
    Payment.objects.update(next_query_at=timezone.now() - timedelta(seconds=610), created_at=timezone.now())
    assert wrong("work").startswith("payments: a row is due for 61")


def week():
    newest = newest_day(timezone.localtime())
    return [newest - timedelta(days=n) for n in range(7)]


def bill(day, status=BillStatus.DONE):
    waits = timezone.now() if status == BillStatus.WAITING else None
    Bill.objects.create(provider="alipay", day=day, status=status, since=timezone.now(), next_try_at=waits)


@pytest.fixture
def old_shop(payment):
    """One that has been open for weeks; its payment is not due."""
    now = timezone.now()
    Payment.objects.update(created_at=now - timedelta(days=60), next_query_at=now + timedelta(days=1))
    return week()


def test_bills_that_are_compared(well, old_shop):
    for day in old_shop:
        bill(day)
    found = examined()["bills"]
    assert (found.state, found.detail) == ("ok", f"compared to {old_shop[0]:%Y-%m-%d}")


@pytest.mark.parametrize("status", [None, BillStatus.GIVEN_UP, BillStatus.WAITING])
def test_a_bill_that_was_missed(well, old_shop, status):
    for day in old_shop[:2] + old_shop[3:]:
        bill(day)
    if status:
        bill(old_shop[2], status)
    assert wrong("bills") == f"1 of the last week not compared, since {old_shop[2]:%Y-%m-%d}"


def test_the_newest_bill_may_be_a_little_late(well, old_shop):
    for day in old_shop[1:]:
        bill(day)
    assert examined()["bills"].state == "warning"
    assert run()[0] == 0


def test_a_discrepancy_is_shown_and_is_not_wrong(well):
    open_discrepancy(MONEY_REFUSED, key="k", out_trade_no="no", detail="why")
    found = examined()["discrepancies"]
    assert (found.state, found.detail) == ("warning", "1 open")
    assert run()[0] == 0


def test_without_a_database_the_rest_is_told_all_the_same(well, monkeypatch):
    gone = readiness.Finding("database", "failed", "OperationalError", "Start the database, or mend DATABASE_URL.")
    monkeypatch.setattr(readiness, "check_database", lambda: (gone, readiness.Finding("clock", "failed")))
    assert list(examined()) == [
        "settings",
        "database",
        "keys",
        "key pair",
        "gateway",
        "notify address",
        "redis",
        "broker",
        "disk",
    ]
    assert wrong("database") == "OperationalError"
