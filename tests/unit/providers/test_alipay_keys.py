"""What may stand in a key file, and the sentence for what may not."""

import base64
import re

import pytest
from alipay_world import (
    PEM,
    PKCS1,
    PKCS1_PUBLIC,
    PKCS8,
    build,
    form,
    key,
    notice,
    one_line,
    private_text,
    public_text,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.payments.providers.alipay_keys import load_private_key, load_public_key

PRIVATE = [
    pytest.param(lambda: private_text(shape=PKCS8), id="pkcs8"),
    pytest.param(lambda: private_text(shape=PKCS1), id="pkcs1"),
    pytest.param(lambda: one_line(private_text(shape=PKCS8)), id="pkcs8-one-line"),
    pytest.param(lambda: one_line(private_text(shape=PKCS1)), id="pkcs1-one-line"),
    pytest.param(lambda: "\ufeff" + private_text().replace("\n", "\r\n") + "\r\n ", id="windows"),
]
PUBLIC = [
    pytest.param(lambda: public_text(), id="spki"),
    pytest.param(lambda: public_text(shape=PKCS1_PUBLIC), id="pkcs1"),
    pytest.param(lambda: one_line(public_text()), id="spki-one-line"),
    pytest.param(lambda: one_line(public_text(shape=PKCS1_PUBLIC)) + "\n", id="pkcs1-one-line"),
]


@pytest.mark.parametrize("text", PRIVATE)
def test_every_spelling_of_a_private_key_is_the_same_key(text):
    assert load_private_key(text()).private_numbers() == key("app").private_numbers()


@pytest.mark.parametrize("text", PUBLIC)
def test_every_spelling_of_a_public_key_is_the_same_key(text):
    assert load_public_key(text()).public_numbers() == key("alipay").public_key().public_numbers()


def _elliptic():
    secret = ec.generate_private_key(ec.SECP256R1())
    return secret.private_bytes(PEM, PKCS8, serialization.NoEncryption()).decode()


def _with_passphrase():
    return key("app").private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"x")).decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (lambda: "", "cannot be read"),
        (lambda: "not a key", "neither PEM nor one line of base64"),
        (lambda: base64.b64encode(b"nonsense").decode(), "cannot be read"),
        (lambda: private_text()[:-40], "exactly one PEM block"),
        (lambda: private_text() * 2, "exactly one PEM block"),
        (lambda: private_text("short"), "1024 bits"),
        (public_text, "a public key stands where the app's private key belongs"),
        (_elliptic, "cannot be read"),
        (_with_passphrase, "passphrase"),
    ],
)
def test_a_private_key_that_cannot_work_is_refused_with_the_mend(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        build(app_private_key=text())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (lambda: "", "cannot be read"),
        (lambda: "支付宝公钥", "neither PEM nor one line of base64"),
        (lambda: public_text("short"), "1024 bits"),
        (lambda: private_text("alipay"), "a private key stands where Alipay's public key belongs"),
        (
            lambda: one_line(private_text("alipay", shape=PKCS1)),
            "a private key stands where Alipay's public key belongs",
        ),
        (lambda: public_text("app"), "the app's own public key is configured as Alipay's"),
        (lambda: public_text().replace("PUBLIC KEY", "CERTIFICATE"), "a certificate"),
    ],
)
def test_a_public_key_that_cannot_work_is_refused_with_the_mend(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        build(alipay_public_keys=[public_text("old"), text()])


@pytest.mark.parametrize("keys", [[], public_text()])
def test_the_public_keys_are_a_list_with_something_in_it(keys):
    with pytest.raises(ValueError, match="list of one or more keys"):
        build(alipay_public_keys=keys)


def test_no_refusal_of_a_key_quotes_the_key():
    broken = one_line(private_text())[:-8]
    with pytest.raises(ValueError) as refused:
        build(app_private_key=broken)
    assert broken[40:80] not in str(refused.value)


@pytest.mark.parametrize("order", [["old", "alipay"], ["alipay", "old"]])
def test_during_a_rotation_both_keys_verify(order):
    alipay = build(alipay_public_keys=[public_text(name) for name in order])
    assert alipay.parse_notification(form(notice()), {}).trade.amount_fen == 11700


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"app_id": ""}, "app_id must be digits"),
        ({"seller_id": "２０８８"}, "seller_id must be digits"),
        ({"gateway_url": "openapi.alipay.com/gateway.do"}, "gateway_url must be an absolute"),
        ({"gateway_url": "http://x.test/gateway.do?charset=utf-8"}, "without a query"),
        ({"notify_url": "ftp://x.test/"}, "notify_url must be an absolute"),
        ({"return_url": "http://x.test/#/pay"}, "without a query or fragment"),
        ({"notify_url": "http://x.test/" + "a" * 256}, "Alipay takes 256"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_start_up(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(**change)
