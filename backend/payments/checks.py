"""Wrong set-up fails at start, not at the till.

Where real money is taken (the gateway is openapi.alipay.com) a dangerous setting is an error and the start is refused;
with any other gateway the same setting is a warning, so that staging and benchmarks run as production does. While
DEBUG is on and no money is real, the warnings are kept for ``check --deploy``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from backend import keyfiles
from backend.payments.models import SHORTEST_TIME_TO_PAY
from backend.payments.providers.alipay_keys import load_public_key
from backend.payments.registry import get_provider


def dangers() -> Iterator[tuple[str, str, str]]:
    """What must not be when money is real: an id, what is wrong, and the mend."""
    if settings.DEBUG:
        yield "001", "DEBUG is on: errors show code and settings to everyone.", "Set DEBUG=0."
    if not settings.RATE_LIMITS:
        yield "002", "RATE_LIMITS is off: passwords can be guessed without end.", "Set RATE_LIMITS=on."
    if settings.ORDER_TTL_SECONDS < SHORTEST_TIME_TO_PAY:
        yield (
            "003",
            "ORDER_TTL_SECONDS is under 60: Alipay takes no time_expire so near.",
            "Set 60 or more.",
        )
    if uses_simulator_key():
        yield (
            "004",
            "ALIPAY_PUBLIC_KEY_FILES holds the simulator's key: whoever has it can sign payments.",
            "Name the file with Alipay's own public key.",
        )
    if urlsplit(settings.PUBLIC_URL).scheme != "https":
        yield "005", "PUBLIC_URL is not https: notifies and buyers' data travel in the open.", "Set an https:// URL."
    if "*" in settings.ALLOWED_HOSTS:
        yield "006", "ALLOWED_HOSTS has *: links can be made to point anywhere.", "Name the hosts."


def uses_simulator_key() -> bool:
    """By content: a copy of the simulator's key under another name is still its key."""
    if settings.SIMULATOR_PUBLIC_KEY_FILE in settings.ALIPAY_PUBLIC_KEY_FILES:
        return True
    simulators = public_numbers(settings.SIMULATOR_PUBLIC_KEY_FILE)
    return simulators is not None and simulators in map(public_numbers, settings.ALIPAY_PUBLIC_KEY_FILES)


def public_numbers(path: Path) -> RSAPublicNumbers | None:
    """What a key is, however it is spelled; None for a file that is no key, which is E010's to say."""
    try:
        return load_public_key(keyfiles.read_text(path)).public_numbers()
    except (ImproperlyConfigured, ValueError):
        return None


@register(Tags.security)
def check_real_money(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The start is refused where real money meets a dangerous setting."""
    if settings.ALIPAY_REAL_MONEY:
        return [Error(f"{what} Real money is on.", hint=mend, id=f"coursepay.E{n}") for n, what, mend in dangers()]
    return [] if settings.DEBUG else warnings()


@register(Tags.security, deploy=True)
def check_dangers_on_deploy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return warnings() if settings.DEBUG and not settings.ALIPAY_REAL_MONEY else []


def warnings() -> list[CheckMessage]:
    return [CheckWarning(what, hint=mend, id=f"coursepay.W{n}") for n, what, mend in dangers()]


@register(Tags.database)
def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Always a warning once it is not the demo: one machine, one writer."""
    return sqlite_warning() if not settings.DEBUG or settings.ALIPAY_REAL_MONEY else []


@register(Tags.security, deploy=True)
def check_sqlite_on_deploy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return sqlite_warning() if settings.DEBUG and not settings.ALIPAY_REAL_MONEY else []


def sqlite_warning() -> list[CheckMessage]:
    if not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return []
    hint = "Set DATABASE_URL=postgres://…"
    return [
        CheckWarning("The database is SQLite: one machine and one writer at a time.", hint=hint, id="coursepay.W007")
    ]


@register(Tags.security)
def check_providers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each provider can be made: its keys are there, readable by us alone, and of the right kind."""
    found: list[CheckMessage] = []
    for name in settings.PAYMENT_PROVIDERS:
        try:
            get_provider(name)
        except ImproperlyConfigured as error:
            hint = None
            if not settings.SIMULATOR_PUBLIC_KEY_FILE.exists() and uses_simulator_key():
                hint = "The simulator has not made its key yet. Run: .venv/bin/python -m alipay_simulator --init"
            found.append(Error(f"The payment provider {name!r} cannot start. {error}", hint=hint, id="coursepay.E010"))
    return found
