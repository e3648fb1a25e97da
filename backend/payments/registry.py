"""The providers that this shop is set up with, from ``settings.PAYMENT_PROVIDERS``."""

from functools import cache
from pathlib import Path
from typing import cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from backend import keyfiles
from backend.monitoring.provider_calls import Measured
from backend.payments.providers.base import Provider


@cache
def get_provider(name: str) -> Provider:
    """The provider of that name, made once per process. Raises ImproperlyConfigured with what to mend."""
    try:
        config = settings.PAYMENT_PROVIDERS[name]
    except KeyError:
        raise ImproperlyConfigured(f"PAYMENT_PROVIDERS has no {name!r}.") from None
    try:
        return Measured(cast("Provider", import_string(config["BACKEND"])(**read_key_files(config["OPTIONS"]))))
    except ValueError as error:
        raise ImproperlyConfigured(f"The provider {name!r} is set up wrongly: {error}") from error


def read_key_files(options: dict[str, object]) -> dict[str, object]:
    """Replace ``…_key_file`` and ``…_key_files`` by the keys in them: providers get text, and know no files."""
    read: dict[str, object] = {}
    for name, value in options.items():
        if name.endswith("_key_file") and isinstance(value, Path):
            read[name.removesuffix("_file")] = keyfiles.read_secret(value)
        elif name.endswith("_key_files") and isinstance(value, list):
            read[f"{name.removesuffix('_key_files')}_keys"] = [keyfiles.read_text(path) for path in value]
        else:
            read[name] = value
    return read
