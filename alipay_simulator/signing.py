"""RSA2 (RSASSA-PKCS1-v1_5 with SHA-256) and the three texts that Alipay signs (protocol 2)."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

FIRST_KEYS = ("code", "msg", "sub_code", "sub_msg")


def request_text(params: Mapping[str, str]) -> str:
    """The text a merchant signs: everything but `sign` and empty values; `sign_type` is kept (protocol 2.1)."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "sign" and params[name] != "")


def message_text(params: Mapping[str, str]) -> str:
    """The text of a notify or a return: neither `sign` nor `sign_type`, no empty values (protocol 2.3)."""
    kept = (name for name in sorted(params) if name not in ("sign", "sign_type") and params[name] != "")
    return "&".join(f"{name}={params[name]}" for name in kept)


def reply_text(body: Mapping[str, Any]) -> str:
    r"""The byte form of a reply's node: code, msg, sub_* first, then by key; no spaces, `\/`, CJK as is (2.2)."""
    names = [name for name in FIRST_KEYS if name in body]
    names += sorted(name for name in body if name not in FIRST_KEYS)
    ordered = {name: body[name] for name in names}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def envelope(node: str, text: str, signature: str | None) -> str:
    """Put a reply's text into its envelope; an unsigned one has no `sign` at all (protocol 2.2)."""
    tail = "" if signature is None else f',"sign":"{signature}"'
    return f"{{{json.dumps(node)}:{text}{tail}}}"


def sign(text: str, key: RSAPrivateKey) -> str:
    """Sign the UTF-8 bytes of a text; standard base64 without line ends."""
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def verify(text: str, signature: str, key: RSAPublicKey) -> bool:
    """Tell whether the signature is good. Base64 is read strictly: one stray character makes it bad."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def signed_message(params: Mapping[str, str], key: RSAPrivateKey) -> dict[str, str]:
    """Return the parameters in their own order, with `sign` filled in where it stands (or at the end)."""
    return {**params, "sign": sign(message_text(params), key)}
