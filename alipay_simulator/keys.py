"""The simulator's own key pair, made on first run, and the merchant's public key, which may come later."""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

PRIVATE_NAME = "alipay_private_key.pem"
PUBLIC_NAME = "alipay_public_key.pem"


def load_or_make_keys(data: Path) -> RSAPrivateKey:
    """Return the simulator's private key; on first run make the directory (0700) and the pair (RSA 2048, 0600).

    Raises TypeError when the file holds a key of another kind.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data / PRIVATE_NAME
    if not path.exists():
        _publish(path, _private_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), 0o600)
    # It is our own: to prove its primes once more takes longer than all the rest of a start.
    key = load_pem_private_key(path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError(f"{path} does not hold an RSA key")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if not (data / PUBLIC_NAME).exists() or (data / PUBLIC_NAME).read_bytes() != public:
        (data / PUBLIC_NAME).unlink(missing_ok=True)
        _publish(data / PUBLIC_NAME, public, 0o644)
    return key


def _private_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _publish(path: Path, content: bytes, mode: int) -> None:
    """Let a whole file appear at once, and never over another: two first runs at a time end with one key."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class AppKeyFile:
    """The merchant's public key, read again whenever its file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._key: RSAPublicKey | None = None

    def read(self) -> RSAPublicKey | None:
        """Return the key; None while the file is missing, unreadable or half written."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._key = _public_key(self.path.read_bytes())
                self._seen = seen
        except OSError:
            self._seen = self._key = None
        return self._key


def _public_key(pem: bytes) -> RSAPublicKey | None:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) else None
