"""`manage.py doctor`: is everything as it must be, and if not, what to do.

Each check is a question to the real thing: the keys sign and verify, the gateway answers, the notify address takes a
message. It changes nothing; the harmless notify that it posts is kept in the inbox as refused, once.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import redis
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings
from django.core import checks
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend import http_client, keyfiles
from backend.broker import celery_app
from backend.monitoring.readiness import Finding, State, look
from backend.payments.bills import READY_AT, first_day, newest_day
from backend.payments.checks import app_key_fingerprint
from backend.payments.models import Bill, BillStatus, Discrepancy
from backend.payments.providers.alipay_keys import load_private_key
from backend.payments.providers.base import ProviderRejected, ProviderUnavailable, TradeNotFound
from backend.payments.registry import get_provider

PATIENCE_SECONDS = 5.0
DISK_IS_NARROW, DISK_IS_FULL = 2**30, 200 * 2**20
"""Bytes that are left. A full disk refuses orders on SQLite, and kills who writes to a mapped file of /metrics."""
HARMLESS = b"from=doctor"
"""No notify: it is refused before a signature is looked for."""


def examine() -> Iterator[Finding]:
    """Every check, as it is done. One that breaks off itself is a finding too."""
    yield from attempt("settings", check_settings)
    found = look()
    for finding in found:
        # A process can serve while nobody does the work; the shop as a whole is not well then.
        is_late = finding.name == "work" and finding.state == "warning"
        yield replace(finding, state="failed") if is_late else finding
    yield from attempt("key pair", check_key_pair)
    yield from attempt("gateway", check_gateway)
    yield from attempt("notify address", check_notify_address)
    yield from attempt("redis", check_redis)
    yield from attempt("broker", check_broker)
    yield from attempt("disk", check_disk)
    if all(finding.state != "failed" for finding in found if finding.name in ("database", "migrations")):
        yield from attempt("bills", check_bills)
        yield from attempt("discrepancies", check_discrepancies)


def attempt(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:
        yield Finding(name, "failed", f"{type(error).__name__}: {error}".strip())


def check_settings() -> Iterator[Finding]:
    """What `manage.py check` says: a line for each, or one for all."""
    run = checks.run_checks(databases=["default"], include_deployment_checks=not settings.DEBUG)
    found = [message for message in run if not message.is_silenced()]
    if not found:
        yield Finding("settings", "ok", "every system check passes")
    for message in found:
        state: State = "failed" if message.is_serious() else "warning"
        yield Finding("settings", state, f"{message.id}: {message.msg}", message.hint or "")


def check_key_pair() -> Iterator[Finding]:
    """What the app's private key signs, its public half verifies."""
    key = load_private_key(keyfiles.read_secret(settings.ALIPAY_APP_PRIVATE_KEY_FILE))
    text = secrets.token_bytes(32)
    try:
        key.public_key().verify(key.sign(text, PKCS1v15(), SHA256()), text, PKCS1v15(), SHA256())
    except InvalidSignature:
        yield Finding("key pair", "failed", "does not verify what it signs", "Make a new pair with Alipay's key tool.")
        return
    yield Finding("key pair", "ok", f"RSA, {key.key_size} bits: signs and verifies; SHA-256 {app_key_fingerprint()}")


def check_gateway() -> Iterator[Finding]:
    """Ask for a number that nobody has: a signed "no such trade" proves both keys, the app and the way there."""
    try:
        get_provider("alipay").query(f"doctor{secrets.token_hex(13)}", deadline=PATIENCE_SECONDS)
    except TradeNotFound:
        yield Finding("gateway", "ok", "took our signature, and answered with its own")
    except ProviderRejected as refusal:
        mend = "Compare ALIPAY_APP_ID and the app's public key in Alipay's console with ours."
        yield Finding("gateway", "failed", str(refusal), mend)
    except ProviderUnavailable as outcome:
        mend = "Is ALIPAY_GATEWAY_URL reachable from here, is ALIPAY_PUBLIC_KEY_FILES Alipay's own key for this app?"
        yield Finding("gateway", "failed", str(outcome), mend)
    else:
        yield Finding("gateway", "failed", "knows a trade that nobody has made", "Look at what ALIPAY_GATEWAY_URL is.")


def check_notify_address() -> Iterator[Finding]:
    """As Alipay would reach it, but from here: 200 and ``fail``, without a redirect."""
    url = settings.PAYMENT_PROVIDERS["alipay"]["OPTIONS"]["notify_url"]
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    mend = "PUBLIC_URL must lead to this shop, without a redirect. Is the server up?"
    try:
        answer = http_client.post(url, HARMLESS, headers=headers, deadline=PATIENCE_SECONDS)
    except OSError as error:
        yield Finding("notify address", "failed", f"{url}: {type(error).__name__}: {error}", mend)
        return
    if answer.status == 200 and answer.body == b"fail":
        yield Finding("notify address", "ok", f"{url} answers")
    elif 300 <= answer.status < 400:
        yield Finding("notify address", "failed", f"{url}: HTTP {answer.status}, a redirect: Alipay follows none", mend)
    else:
        yield Finding("notify address", "failed", f"{url}: HTTP {answer.status}, and not the word fail", mend)


def check_redis() -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield Finding("redis", "ok", "not used: REDIS_URL is not set")
        return
    try:
        once = Retry(NoBackoff(), 0)
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=once)
        with client:
            version = client.info("server")["redis_version"]
    except (redis.RedisError, OSError, ValueError) as error:
        mend = "Start Redis or mend REDIS_URL. Until then limits are counted in the database."
        yield Finding("redis", "failed", f"{type(error).__name__}: {error}", mend)
        return
    yield Finding("redis", "ok", f"Redis {version}")


def check_broker() -> Iterator[Finding]:
    if not settings.CELERY_BROKER_URL:
        yield Finding("broker", "ok", "not used: the jobs are run by manage.py run_jobs")
        return
    try:
        with celery_app().connection_for_write(connect_timeout=PATIENCE_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, timeout=int(PATIENCE_SECONDS))
    except Exception as error:  # each transport has its own
        mend = "Start the broker or mend CELERY_BROKER_URL. The rows keep what is to be done meanwhile."
        yield Finding("broker", "failed", f"{type(error).__name__}: {error}", mend)
        return
    yield Finding("broker", "ok", "answers")


def check_disk() -> Iterator[Finding]:
    """Where SQLite's file and the counts of /metrics are. The disk of a PostgreSQL elsewhere is not seen from here."""
    free = shutil.disk_usage(settings.VAR_DIR).free
    state: State = "failed" if free < DISK_IS_FULL else "warning" if free < DISK_IS_NARROW else "ok"
    yield Finding("disk", state, f"{free // 2**20:,} MiB free for var/", "Make room, or put var/ on another disk.")


def check_bills() -> Iterator[Finding]:
    """Every day of the last week that should have been compared was."""
    first, newest = first_day(), newest_day(timezone.localtime())
    week = {newest - timedelta(days=n) for n in range(7)}
    days = {day for day in week if first is not None and day >= first}
    done = set(Bill.objects.filter(day__in=days, status=BillStatus.DONE).values_list("day", flat=True))
    if missing := sorted(days - done):
        oldest = f"{missing[0]:%Y-%m-%d}"
        mend = f"Run: .venv/bin/python manage.py reconcile_bill --date {oldest}"
        state: State = "warning" if missing == [newest] else "failed"
        yield Finding("bills", state, f"{len(missing)} of the last week not compared, since {oldest}", mend)
        return
    compared = f"compared to {newest:%Y-%m-%d}" if days else f"none to compare yet (ready at {READY_AT:%H:%M})"
    yield Finding("bills", "ok", compared)


def check_discrepancies() -> Iterator[Finding]:
    if number := Discrepancy.objects.filter(closed_at=None).count():
        mend = "Admin → Payments → Discrepancies: each says what to do."
        yield Finding("discrepancies", "warning", f"{number} open", mend)
    else:
        yield Finding("discrepancies", "ok", "none open")
