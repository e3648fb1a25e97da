"""Secrets that live in files: made on first run in an ignored folder, 0600, and refused where they could leak."""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
ROOT = 0
"""May own a secret as well as the shop's own user: who is root can read everything anyway."""


def read_secret(path: Path) -> str:
    """The text of a secret file. Raises ImproperlyConfigured where it is missing, in the tree, or others' to touch."""
    refuse_inside_tree(path)
    try:
        found = path.stat()
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be read ({error.strerror}). Put the key there.") from error
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o137:
        raise ImproperlyConfigured(f"{path} has mode {mode:04o}: others can read it. Run: chmod 600 {path}")
    if found.st_uid not in (os.geteuid(), ROOT):
        raise ImproperlyConfigured(
            f"{path} belongs to user {found.st_uid}, who can change it. Run: chown {os.geteuid()} {path}"
        )
    return read_text(path)


def read_text(path: Path) -> str:
    """The text of a file that is no secret, such as a public key. Raises ImproperlyConfigured if it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path} cannot be read: {error}") from error


def refuse_inside_tree(path: Path) -> None:
    """A private key inside the checkout is one `git add` away from being public; only the ignored var/ may hold it."""
    resolved = path.resolve()
    if resolved.is_relative_to(BASE_DIR) and not resolved.is_relative_to(VAR_DIR):
        raise ImproperlyConfigured(f"{path} lies in the repository's tracked tree. Move it to var/ or outside.")


def secret_or_create(path: Path, make: Callable[[], str]) -> str:
    """The secret in `path`, made first if it is not there. Two processes that start at once agree on one secret."""
    if not path.exists():
        write_once(path, make())
    return read_secret(path)


def write_once(path: Path, text: str) -> None:
    """Write a 0600 file whole, unless another process was first: linked into place, so nobody reads half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(text, encoding="ascii")
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def new_rsa_private_key() -> str:
    """A fresh RSA-2048 private key, PKCS#8 PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_key_of(private_pem: str) -> str:
    """The public half, SPKI PEM: what is handed to Alipay."""
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()
