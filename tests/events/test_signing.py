"""Stripe's scheme, byte for byte: held against an HMAC that the test computes by itself."""

import hashlib
import hmac

import pytest

from backend.events.signing import HEADER, TOLERANCE, sign, verify
from tests.events.endpoint import is_genuine

BODY = '{"id":"evt_1","name":"Python 全栈开发"}'.encode()
AT = 1767225600


def mac(secret, body=BODY, at=AT):
    """HMAC by its definition (RFC 2104), without the hmac module that the code uses."""
    key = secret.encode()
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + str(at).encode() + b"." + body).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


def test_the_header_byte_for_byte():
    assert HEADER == "Coursepay-Signature"
    assert sign(BODY, secrets=["s3cret"], at=AT) == f"t=1767225600,v1={mac('s3cret')}"


def test_a_vector_that_openssl_computed():
    """printf '1767225600.{"id":"evt_1"}' | openssl dgst -sha256 -hmac 'a secret of the vector'"""
    vector = "953a8b703adeeff0539303f89da9c27733d416d588fce57fab5f9b105261ff2d"
    assert sign(b'{"id":"evt_1"}', secrets=["a secret of the vector"], at=AT) == f"t=1767225600,v1={vector}"


def test_two_secrets_while_one_is_changed():
    header = sign(BODY, secrets=["new", "old"], at=AT)
    assert header == f"t={AT},v1={mac('new')},v1={mac('old')}"
    assert verify(BODY, header, secret="old", now=AT)
    assert verify(BODY, header, secret="new", now=AT)
    assert not verify(BODY, header, secret="another", now=AT)


@pytest.mark.parametrize("secret", ["s", "long " * 40, "秘密的钥匙", "with, comma= and equals"])
@pytest.mark.parametrize("body", [b"", b"{}", BODY, bytes(range(256))])
def test_what_is_signed_verifies(secret, body):
    header = sign(body, secrets=[secret], at=AT)
    assert header == f"t={AT},v1={mac(secret, body)}"
    assert hmac.compare_digest(header.encode("ascii"), header.encode())
    assert verify(body, header, secret=secret, now=AT)


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b" ", BODY.replace(b"evt_1", b"evt_2"), b""])
def test_a_changed_body_is_refused(body):
    assert not verify(body, sign(BODY, secrets=["s"], at=AT), secret="s", now=AT)


def test_the_time_is_signed_too():
    header = sign(BODY, secrets=["s"], at=AT).replace(f"t={AT}", f"t={AT + 1}")
    assert not verify(BODY, header, secret="s", now=AT)


@pytest.mark.parametrize(("away", "taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_time_more_than_five_minutes_away_is_refused(away, taken):
    assert TOLERANCE == 300
    assert verify(BODY, sign(BODY, secrets=["s"], at=AT), secret="s", now=AT + away) is taken


GOOD = mac("s")
MALFORMED = {
    "empty": "",
    "no time": f"v1={GOOD}",
    "no signature": f"t={AT}",
    "an empty signature": f"t={AT},v1=",
    "two times": f"t={AT},t={AT},v1={GOOD}",
    "a time in words": f"t=now,v1={GOOD}",
    "a negative time": f"t=-{AT},v1={GOOD}",
    "a time with a sign": f"t=+{AT},v1={GOOD}",
    "a time with a space": f"t= {AT},v1={GOOD}",
    "a time with an underscore": f"t=1_767225600,v1={GOOD}",
    "a time in other digits": f"t={str(AT).translate({48 + i: 0xFF10 + i for i in range(10)})},v1={GOOD}",
    "a superscript time": f"t=²,v1={GOOD}",
    "a time of more digits than Python reads": f"t={'9' * 5000},v1={GOOD}",
    "another scheme": f"t={AT},v0={GOOD}",
    "in capitals": f"t={AT},v1={GOOD.upper()}",
    "half a signature": f"t={AT},v1={GOOD[:32]}",
    "more than a signature": f"t={AT},v1={GOOD}0",
    "another separator": f"t={AT};v1={GOOD}",
    "no equals sign": f"t{AT},v1{GOOD}",
    "not ASCII": f"t={AT},v1=签名{GOOD}",
    "a lone surrogate": f"t={AT},v1=\udc80{GOOD}",
    "a NUL": f"t={AT},v1={GOOD}\0",
    "a line break": f"t={AT},v1={GOOD}\n",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_header_is_refused_and_not_an_error(what):
    assert verify(BODY, MALFORMED[what], secret="s", now=AT) is False


def test_words_of_a_later_scheme_are_passed_over():
    """Stripe adds schemes; a receiver looks for the one it knows."""
    assert verify(BODY, f"t={AT},v0=other,v1={GOOD},v2=later", secret="s", now=AT)


def test_the_endpoint_of_these_tests_is_no_rubber_stamp(monkeypatch):
    monkeypatch.setattr("tests.events.endpoint.time.time", lambda: float(AT))
    header = sign(BODY, secrets=["new", "s"], at=AT)
    assert is_genuine(header, BODY, "s")
    assert not is_genuine(header, BODY + b" ", "s")
    assert not is_genuine(header, BODY, "another")
    assert not is_genuine(sign(BODY, secrets=["s"], at=AT - 301), BODY, "s")
