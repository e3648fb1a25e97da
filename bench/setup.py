"""What a run needs before it can measure: keys of its own, the settings of production, tables with buyers in them."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench import postgres
from bench.operations import APP_ID, SELLER_ID, Buyer
from bench.servers import ROOT


@dataclass(frozen=True)
class Ground:
    """A folder, a PostgreSQL and keys of one run alone. ``env`` is the shop's, with the database ``url``."""

    folder: Path
    url: str
    alipay_key: rsa.RSAPrivateKey
    env: dict[str, str]

    def database(self, name: str) -> str:
        """The address of another, new database of the same PostgreSQL."""
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        return f"{self.url.rpartition('/')[0]}/{name}"


@contextmanager
def ground(*, fsync: bool = False, **settings: str) -> Iterator[Ground]:
    """``settings`` are PostgreSQL's."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="coursepay-bench-")))
        alipay_key = new_key(folder / "alipay.pem", public=folder / "alipay_public.pem")
        new_key(folder / "app.pem")
        url = stack.enter_context(postgres.cluster(fsync=fsync, **settings))
        yield Ground(folder, url, alipay_key, environment(folder, url))


def new_key(private: Path, public: Path | None = None) -> rsa.RSAPrivateKey:
    """A key pair of this run alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    if public:
        public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return key


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """The settings of production, with a gateway that nobody is at: none of the operations calls it."""
    return {
        "DEBUG": "0",
        "RATE_LIMITS": "off",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": database_url,
        "ALLOWED_HOSTS": "127.0.0.1",
        "ALIPAY_GATEWAY_URL": "http://127.0.0.1:1/gateway.do",
        "ALIPAY_APP_ID": APP_ID,
        "ALIPAY_SELLER_ID": SELLER_ID,
        "ALIPAY_APP_PRIVATE_KEY_FILE": str(folder / "app.pem"),
        "ALIPAY_PUBLIC_KEY_FILES": str(folder / "alipay_public.pem"),
    }


def seed(env: Mapping[str, str], tokens: Path, count: int) -> list[Buyer]:
    """Tables, courses, and so many buyers, each with a token."""
    manage(env, "migrate", "--verbosity", "0")
    return new_buyers(env, tokens, count)


def new_buyers(env: Mapping[str, str], tokens: Path, count: int) -> list[Buyer]:
    manage(env, "bench_seed", "--buyers", str(count), "--tokens", str(tokens))
    return buyers_of(tokens)


def buyers_of(tokens: Path) -> list[Buyer]:
    return [Buyer(number, token) for number, token in enumerate(tokens.read_text().split(), start=1)]


def manage(env: Mapping[str, str], *command: str) -> None:
    python(env, "manage.py", *command, "--skip-checks")


def python(env: Mapping[str, str], *command: str) -> None:
    """A program of ours that does its work and ends."""
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed")
