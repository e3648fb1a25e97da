"""No private key is in what is, or could be, committed: neither as PEM nor as the bare base64 of Alipay's key tool."""

import base64
import binascii
import re

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from backend import keyfiles
from tests.startup.trees import ROOT, project_files

ENCRYPTED_OR_OPENSSH = re.compile(rb"-----BEGIN (?:ENCRYPTED|OPENSSH) PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}")
BASE64 = re.compile(rb"MI[A-Za-z0-9+/\s\\\"',=]{400,}")


def holds_private_key(content: bytes) -> bool:
    if ENCRYPTED_OR_OPENSSH.search(content):
        return True
    return any(is_private_key(text) for text in BASE64.findall(content))


def is_private_key(text: bytes) -> bool:
    """Whether a DER private key begins here; it says its own length, so what follows it does not matter."""
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", text.replace(b"\\n", b""))
    try:
        der = base64.b64decode(letters + b"A" * (-len(letters) % 4))
        load_der_private_key(der[: 4 + int.from_bytes(der[2:4], "big")], None)
    except (ValueError, TypeError, binascii.Error):
        return False
    return True


def test_no_private_key_is_in_the_tree():
    names = project_files()
    assert len(names) > 100
    assert [name for name in names if holds_private_key((ROOT / name).read_bytes())] == []


def test_var_and_env_files_are_ignored():
    assert not [name for name in project_files() if name.startswith("var/") or name.endswith(".env")]


@pytest.mark.parametrize("shape", ["{pem}", "{line}", 'KEY = "{escaped}"', "x = [\n    '{line}',\n]"])
def test_control_a_private_key_is_found_in_any_of_these_shapes(shape):
    pem = keyfiles.new_rsa_private_key()
    line = "".join(pem.splitlines()[1:-1])
    text = shape.format(pem=pem, line=line, escaped=pem.replace("\n", "\\n"))
    assert holds_private_key(b"before\n" + text.encode() + b"\nafter\n")
    public = keyfiles.public_key_of(pem)
    assert not holds_private_key(public.encode())
