"""A checkout to start in, the keys of a shop in production, and its environment."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from backend import keyfiles
from tests.startup.trees import copy_tree, run


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """One checkout for all that only look; the simulator has been started in it once."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    assert run(tree, "-m", "alipay_simulator", "--init").code == 0
    return tree


@pytest.fixture
def fresh_tree(tmp_path):
    """A checkout that nothing was ever run in."""
    return copy_tree(tmp_path / "fresh")


@pytest.fixture(scope="session")
def keys(tmp_path_factory, tree):
    """Key files by what they are."""
    folder = tmp_path_factory.mktemp("keys")
    app, alipay = keyfiles.new_rsa_private_key(), keyfiles.new_rsa_private_key()
    texts = {
        "app": app,
        "alipay": keyfiles.public_key_of(alipay),
        "app_public": keyfiles.public_key_of(app),
        "nonsense": "this is no key\n",
        "empty": "",
    }
    for name, text in texts.items():
        keyfiles.write_once(folder / name, text)
    for name, mode in {"mode_0640": 0o640, "mode_0644": 0o644, "mode_0660": 0o660}.items():
        (folder / name).write_text(app)
        (folder / name).chmod(mode)
    simulators = tree / "var/alipay_simulator/alipay_public_key.pem"
    shutil.copy(simulators, folder / "simulators_copy")
    lines = simulators.read_text().splitlines()
    (folder / "simulators_one_line").write_text("".join(lines[1:-1]) + "\n")
    (folder / "simulators_with_a_note").write_text("from the sandbox\n" + simulators.read_text())
    key = load_pem_public_key(simulators.read_bytes())
    (folder / "simulators_pkcs1").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    return folder


@pytest.fixture(scope="session")
def production(keys: Path):
    """Everything a shop with real money sets; it comes up without a word."""
    return {
        "DEBUG": "0",
        "SECRET_KEY": "production's own, fifty characters long and then some",
        "DATABASE_URL": "postgres://shop@127.0.0.1:1/coursepay",
        "ALLOWED_HOSTS": "pay.example.com",
        "PUBLIC_URL": "https://pay.example.com",
        "STOREFRONT_URL": "https://shop.example.com",
        "CSRF_TRUSTED_ORIGINS": "https://pay.example.com",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ORDER_TTL_SECONDS": "60",
        "ALIPAY_GATEWAY_URL": "https://openapi.alipay.com/gateway.do",
        "ALIPAY_APP_ID": "2021000000000001",
        "ALIPAY_SELLER_ID": "2088000000000001",
        "ALIPAY_APP_PRIVATE_KEY_FILE": str(keys / "app"),
        "ALIPAY_PUBLIC_KEY_FILES": str(keys / "alipay"),
    }


@pytest.fixture(scope="session")
def two_at_a_time():
    with ThreadPoolExecutor(2) as pool:
        yield pool
