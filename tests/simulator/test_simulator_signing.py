"""The simulator's own reading and writing of signatures, against real signed samples."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from alipay_simulator.signing import envelope, message_text, reply_text, request_text, sign, verify


def public(pem):
    return load_pem_public_key(pem.encode())


def test_the_real_request_verifies_and_its_text_keeps_sign_type(vector):
    sample = vector("yansongda_request_sign_trade_query")
    key = public(sample["app_public_key_pem"])
    text = request_text({**sample["params"], "sign": sample["sign"], "blank": ""})
    assert text == sample["canonical"]
    assert verify(text, sample["sign"], key)
    without = {name: value for name, value in sample["params"].items() if name != "sign_type"}
    assert not verify(request_text(without), sample["sign"], key)


@pytest.mark.parametrize("name", ["yansongda_notify_trade_success", "yansongda_page_pay_return"])
def test_real_messages_verify_without_sign_type(vector, name):
    sample = vector(name)
    key = public(sample["alipay_public_key_pem"])
    assert message_text(sample["params"]) == sample["canonical"]
    assert verify(message_text(sample["params"]), sample["sign"], key)
    assert not verify(message_text({**sample["params"], "total_amount": "0.02"}), sample["sign"], key)


@pytest.mark.parametrize("name", ["yansongda_resp_trade_query", "node_resp_40003_signed_error"])
def test_a_reply_written_anew_has_the_bytes_that_were_signed(vector, name):
    sample = vector(name)
    body = json.loads(sample["signed_content"])
    shuffled = {key: body[key] for key in sorted(body, reverse=True)}
    text = reply_text(shuffled)
    assert text == sample["signed_content"]
    assert verify(text, sample["sign"], public(sample["alipay_public_key_pem"]))
    assert envelope(sample["response_node"], text, sample["sign"]) == sample["raw_body"]


def test_slashes_are_escaped_and_chinese_is_not():
    assert reply_text({"msg": "a/b", "code": "1", "zh": "课程"}) == r'{"code":"1","msg":"a\/b","zh":"课程"}'


def test_an_unsigned_envelope_has_no_sign_at_all():
    assert envelope("error_response", "{}", None) == '{"error_response":{}}'


def test_base64_is_read_strictly(merchant_key):
    text = "a=1"
    good = sign(text, merchant_key)
    assert len(good) == 344
    key = merchant_key.public_key()
    assert verify(text, good, key)
    for n in range(200):  # one whose base64 differs in the url-safe alphabet
        text = f"a={n}"
        good = sign(text, merchant_key)
        if "+" in good:
            break
    assert verify(text, good, key)
    for bad in (good + "\n", good + "!", " " + good, good.replace("+", "-"), good[:-2], "", "äöü"):
        assert not verify(text, bad, key), bad
    assert not verify(text, base64.b64encode(b"short").decode(), key)
