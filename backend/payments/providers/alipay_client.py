"""python-alipay-sdk, with its two RSA operations done by OpenSSL.

The SDK builds, orders, signs and encodes what we send and orders what we verify. Its own ``_sign`` and ``_verify`` are
replaced: the same bytes come out five times faster, base64 is taken strictly, and more than one of Alipay's keys may
verify, which is what a key rotation needs. Its HTTP is not used at all (see alipay_http).
"""

import logging
import logging.config
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from backend.payments.providers.alipay_keys import private_pem, public_pem

SIGN_TYPE = "RSA2"
"""RSASSA-PKCS1-v1_5 over SHA-256. The older "RSA" (SHA-1) is never spoken and never accepted."""


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """On import the SDK calls dictConfig, which closes every handler of the process and adds one of its own."""
    configure: Any = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        yield
    finally:
        logging.config.dictConfig = configure


with _logging_left_alone():
    from alipay import AliPay

# Somebody may have imported the SDK before us. Its debug lines are whole signed strings: none may come out.
_sdk_log = logging.getLogger("python-alipay-sdk")
_sdk_log.handlers.clear()
_sdk_log.setLevel(logging.WARNING)


class AlipayClient(AliPay):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client for one app. Holds its keys parsed; safe to share between threads."""

    def __init__(
        self, *, app_id: str, private_key: RSAPrivateKey, public_keys: Sequence[RSAPublicKey], gateway: str
    ) -> None:
        super().__init__(
            appid=app_id,
            app_private_key_string=private_pem(private_key),
            alipay_public_key_string=public_pem(public_keys[0]),
            sign_type=SIGN_TYPE,
        )
        self._gateway = gateway  # the SDK has no setting for it
        self._signing_key = private_key
        self._verifying_keys = tuple(public_keys)
        self._padding, self._hash = PKCS1v15(), SHA256()

    @property
    def gateway(self) -> str:
        """Where requests go: the URL without a query."""
        return self._gateway

    def verify_bytes(self, content: bytes, signature: object) -> bool:
        """True when ``signature`` (base64 text) is one of Alipay's keys' over ``content``; False for anything else."""
        raw = _strict_base64(signature)
        return raw is not None and any(self._matches(key, raw, content) for key in self._verifying_keys)

    def _sign(self, unsigned_string: str) -> str:
        return b64encode(self._signing_key.sign(unsigned_string.encode(), self._padding, self._hash)).decode("ascii")

    def _verify(self, raw_content: str, signature: object) -> bool:
        return self.verify_bytes(raw_content.encode(), signature)

    def _matches(self, key: RSAPublicKey, signature: bytes, content: bytes) -> bool:
        try:
            key.verify(signature, content, self._padding, self._hash)
        except InvalidSignature:
            return False
        return True


def _strict_base64(text: object) -> bytes | None:
    """The bytes, if ``text`` is their one canonical spelling: a signature has no second form that is also accepted."""
    if not isinstance(text, str):
        return None
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if b64encode(raw) == text.encode() else None
