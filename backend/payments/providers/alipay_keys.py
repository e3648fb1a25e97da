"""RSA keys as people have them: PEM, or the one base64 line that Alipay's key tool exports.

Every text is brought to DER first and read by OpenSSL, so both spellings meet the same checks. A key that cannot be
used is refused here, at start-up, with a sentence that says what to do: at the till nobody could mend it.
"""

import base64
import re
from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

SMALLEST_BITS = 2048
"""RSA2 asks for 2048 bits; a shorter key can be broken by those who have the means."""

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


def load_private_key(text: str) -> RSAPrivateKey:
    """The app's private key, PKCS#1 or PKCS#8. Raises ValueError with the mend when it cannot be used."""
    der = _der(text, "the app's private key")
    key = _read_private(der)
    if key is None and _read_public(der) is not None:
        raise ValueError("a public key stands where the app's private key belongs: give the private key of the pair")
    if key is None:
        raise ValueError(
            "the app's private key cannot be read: give an RSA key as PEM, or as the base64 line of Alipay's key tool"
        )
    _check_bits(key.key_size, "the app's private key")
    return key


def load_public_key(text: str) -> RSAPublicKey:
    """One of Alipay's public keys, SPKI or PKCS#1. Raises ValueError with the mend when it cannot be used."""
    der = _der(text, "Alipay's public key")
    key = _read_public(der)
    if key is None and _read_private(der) is not None:
        raise ValueError(
            "a private key stands where Alipay's public key belongs: "
            "copy Alipay's public key from the app's page in the open platform"
        )
    if key is None:
        raise ValueError(
            "Alipay's public key cannot be read: copy it whole from the app's page in the open platform, "
            "as PEM or as one base64 line"
        )
    _check_bits(key.key_size, "Alipay's public key")
    return key


def load_public_keys(texts: Sequence[str], own: RSAPrivateKey) -> tuple[RSAPublicKey, ...]:
    """Alipay's public keys, any of which may sign (two during a rotation). Raises ValueError when one is our own."""
    if isinstance(texts, str) or not texts:
        raise ValueError("alipay_public_keys is a list of one or more keys, each the text of one key")
    keys = tuple(load_public_key(text) for text in texts)
    if any(key.public_numbers() == own.public_key().public_numbers() for key in keys):
        raise ValueError(
            "the app's own public key is configured as Alipay's: no answer would ever verify. "
            "The open platform shows both; copy the one named Alipay public key"
        )
    return keys


def private_pem(key: RSAPrivateKey) -> str:
    """The PKCS#8 PEM of a key, the spelling that the SDK reads."""
    encoding, shape = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, shape, serialization.NoEncryption()).decode()


def public_pem(key: RSAPublicKey) -> str:
    """The SPKI PEM of a key, the spelling that the SDK reads."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _der(text: str, whose: str) -> bytes:
    body = text.strip().removeprefix("\ufeff").strip()
    if "ENCRYPTED" in body:
        raise ValueError(f"{whose} is protected by a passphrase: store it without one, readable by the shop alone")
    if "-----" in body:
        body = _pem_body(body, whose)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        raise ValueError(f"{whose} is neither PEM nor one line of base64: copy it again, whole") from None


def _pem_body(text: str, whose: str) -> str:
    blocks = _PEM.findall(text)
    if any(label.endswith("CERTIFICATE") for label, _ in blocks):
        raise ValueError(f"{whose} is a certificate: this adapter speaks the public-key mode, give the key itself")
    if len(blocks) != 1:
        raise ValueError(f"{whose} must be exactly one PEM block, with its BEGIN and END lines: one key in each file")
    return str(blocks[0][1])


def _read_private(der: bytes) -> RSAPrivateKey | None:
    try:
        key = serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def _read_public(der: bytes) -> RSAPublicKey | None:
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) else None


def _check_bits(bits: int, whose: str) -> None:
    if bits < SMALLEST_BITS:
        raise ValueError(f"{whose} has {bits} bits: make a pair of at least {SMALLEST_BITS} bits and upload it anew")
