"""What the till must not be set up with: another gateway than was meant, keys that are somebody else's."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from backend import checks_database, keyfiles
from backend.checks import Danger, judge
from backend.payments.models import SHORTEST_TIME_TO_PAY
from backend.payments.providers.alipay_keys import load_private_key, load_public_key
from backend.payments.registry import get_provider

__all__ = ["checks_database"]  # registers its checks, as backend.checks has

REAL_GATEWAY = "https://openapi.alipay.com/gateway.do"


@register(Tags.security)
def check_till(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return judge(dangers())


@register(Tags.security, deploy=True)
def check_till_on_deploy(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return judge(dangers(), deploy=True)


def dangers() -> Iterator[Danger]:
    if settings.ORDER_TTL_SECONDS < SHORTEST_TIME_TO_PAY:
        yield "003", "ORDER_TTL_SECONDS is under 60: Alipay takes no time_expire so near.", "Set 60 or more."
    if uses_simulator_key():
        what = "ALIPAY_PUBLIC_KEY_FILES holds the simulator's key: whoever has it can sign payments."
        yield "004", what, "Name the file with Alipay's own public key."
    if settings.ENVIRONMENT == "production" and settings.ALIPAY_GATEWAY_URL != REAL_GATEWAY:
        what = "ALIPAY_GATEWAY_URL is not Alipay's own: courses would go for money that is none."
        yield "014", what, f"Set ALIPAY_GATEWAY_URL={REAL_GATEWAY}."
    if settings.ENVIRONMENT != "production" and settings.ALIPAY_REAL_MONEY:
        what = f"ENVIRONMENT is {settings.ENVIRONMENT}, and the gateway takes real money."
        yield "014", what, "Set ENVIRONMENT=production, or the sandbox's gateway."
    if simulators := [app for app in settings.INSTALLED_APPS if "simulator" in app]:
        yield "015", f"INSTALLED_APPS has {simulators[0]}, which makes payments up.", "Take it out."
    if settings.PRODUCTION and settings.PRODUCTION_KEY_FINGERPRINTS and not holds_production_key():
        what = "The app's private key is none of PRODUCTION_KEY_FINGERPRINTS."
        yield "017", what, "Name production's key, or add its fingerprint, which manage.py doctor shows."


@register(Tags.security)
def check_production_key_stays_home(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """An error wherever it is: on a developer's machine the key that signs refunds has leaked already."""
    if settings.PRODUCTION or not holds_production_key():
        return []
    what = f"The app's private key is production's, and this is {settings.ENVIRONMENT}."
    hint = "Use a key of the sandbox. Change production's: it was where it should not be."
    return [Error(what, hint=hint, id="coursepay.E016")]


def holds_production_key() -> bool:
    listed = settings.PRODUCTION_KEY_FINGERPRINTS
    return bool(listed) and app_key_fingerprint() in listed


def app_key_fingerprint() -> str | None:
    """SHA-256 of the app's public key (SPKI, DER), in hex; None for a key that cannot be read, which is E010's to say.

    The same as: openssl pkey -in app_private_key.pem -pubout -outform DER | sha256sum
    """
    try:
        key = load_private_key(keyfiles.read_secret(settings.ALIPAY_APP_PRIVATE_KEY_FILE))
    except (ImproperlyConfigured, ValueError):
        return None
    return sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


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
