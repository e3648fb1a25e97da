"""The signed pay URL: what stands in it, and that the SDK's own signature is the same."""

import json
import logging
import os
import subprocess
import sys
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from urllib.parse import parse_qsl

import pytest
from alipay import AliPay
from alipay_world import (
    APP_ID,
    NOW,
    NUMBER,
    build,
    key,
    make,
    private_text,
    public_text,
    vector,
)
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.payments.providers.alipay import _now
from backend.payments.providers.alipay_client import AlipayClient
from backend.payments.providers.alipay_keys import load_public_key
from backend.payments.providers.alipay_values import beijing_moment, clean_subject
from backend.payments.providers.base import PayRequest

EXPIRES = datetime(2026, 1, 31, 4, 30, 59, 999_999, tzinfo=UTC)


def request(**changes):
    return PayRequest(
        **({"out_trade_no": NUMBER, "amount_fen": 11700, "subject": "Python 入门", "expires_at": EXPIRES} | changes)
    )


def parameters(url):
    return dict(parse_qsl(url.split("?", 1)[1], keep_blank_values=True, strict_parsing=True))


def test_the_url_says_all_that_alipay_needs_and_nothing_else(alipay):
    url = alipay.pay(request())
    sent = parameters(url)
    assert url.startswith("http://127.0.0.1:9/gateway.do?")
    assert json.loads(sent.pop("biz_content")) == {
        "out_trade_no": NUMBER,
        "total_amount": "117.00",
        "subject": "Python 入门",
        "product_code": "FAST_INSTANT_TRADE_PAY",
        "goods_type": "0",
        "time_expire": "2026-01-31 12:30:59",
    }
    assert len(sent.pop("sign")) == 344
    assert sent == {
        "app_id": APP_ID,
        "method": "alipay.trade.page.pay",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "version": "1.0",
        "timestamp": "2026-01-31 12:00:00",
        "notify_url": "http://shop.test/payments/alipay/notify/",
        "return_url": "http://shop.test/pay/success",
    }


def test_the_signature_is_the_apps_and_covers_all_but_itself(alipay):
    sent = parameters(alipay.pay(request()))
    signature = b64decode(sent.pop("sign"), validate=True)
    text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
    key("app").public_key().verify(signature, text.encode(), PKCS1v15(), SHA256())


def test_the_whole_url_is_byte_for_byte_what_the_sdk_alone_would_sign(alipay):
    sdk = AliPay(APP_ID, app_private_key_string=private_text(), alipay_public_key_string=public_text())
    sent = parameters(alipay.pay(request()))
    given_to_sdk = {name: value for name, value in sent.items() if name != "sign"}
    assert alipay.pay(request()).split("?", 1)[1] == sdk.sign_data(given_to_sdk)


@cache
def both_clients():
    """The SDK's own client and ours, of one key pair."""
    ours = AlipayClient(
        app_id=APP_ID, private_key=key("app"), public_keys=[key("app").public_key()], gateway="http://x.test/"
    )
    return AliPay(APP_ID, app_private_key_string=private_text(), alipay_public_key_string=public_text("app")), ours


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_our_signature_is_the_sdks_own_for_every_text(text):
    sdk, ours = both_clients()
    assert ours._sign(text) == sdk._sign(text)
    assert ours._verify(text, ours._sign(text)) is True
    assert ours._verify(text + "x", ours._sign(text)) is False


def test_the_vector_of_a_request_keeps_sign_type_in_the_signed_text():
    sample = vector("yansongda_request_sign_trade_query")
    client = AlipayClient(
        app_id=APP_ID,
        private_key=key("app"),
        public_keys=[load_public_key(sample["app_public_key_pem"])],
        gateway="http://x.test/",
    )
    text = "&".join(f"{k}={v}" for k, v in client._ordered_data(dict(sample["params"])))
    assert "&sign_type=RSA2&" in text
    assert client._verify(text, sample["sign"]) is True
    assert client._verify(text.replace("sign_type=RSA2&", ""), sample["sign"]) is False


def test_the_sdk_still_keeps_its_gateway_and_its_crypto_where_we_replace_them():
    sdk = AliPay(APP_ID, app_private_key_string=private_text(), alipay_public_key_string=public_text())
    assert sdk._gateway == "https://openapi.alipay.com/gateway.do"
    assert {"_sign", "_verify"} <= {name for cls in AliPay.__mro__ for name in vars(cls)}
    assert build(gateway_url="http://elsewhere.test/g")._client._gateway == "http://elsewhere.test/g"


@pytest.fixture
def zone():
    """Sets the zone of this process, and sets it back."""
    before = os.environ.get("TZ")

    def put(name):
        os.environ["TZ"] = name
        time.tzset()

    yield put
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Shanghai"])
def test_times_are_beijings_whatever_the_zone_of_the_process(zone, name):
    zone(name)
    sent = parameters(make().pay(request()))
    assert sent["timestamp"] == "2026-01-31 12:00:00"
    assert json.loads(sent["biz_content"])["time_expire"] == "2026-01-31 12:30:59"
    assert beijing_moment("2026-01-31 12:00:00") == NOW.replace(microsecond=0)


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Shanghai"])
def test_the_clock_that_production_has_is_right_in_every_zone(zone, name):
    zone(name)
    stamped = beijing_moment(parameters(make(clock=_now).pay(request()))["timestamp"])
    assert abs(stamped - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_expiry_in_another_zone_is_the_same_moment(alipay):
    elsewhere = EXPIRES.astimezone(timezone(timedelta(hours=-5)))
    assert alipay.pay(request(expires_at=elsewhere)) == alipay.pay(request())


@pytest.mark.parametrize("number", ["", "a" * 33, "a-b", "a b", "单", "a\n", "１"])
def test_a_number_that_alipay_would_not_take_is_refused(alipay, number):
    with pytest.raises(ValueError, match="out_trade_no"):
        alipay.pay(request(out_trade_no=number))


@pytest.mark.parametrize("fen", [0, -1, 99_999_999_99 + 1])
def test_an_amount_that_alipay_would_not_take_is_refused(alipay, fen):
    with pytest.raises(ValueError, match="fen"):
        alipay.pay(request(amount_fen=fen))


def test_a_naive_expiry_is_refused(alipay):
    with pytest.raises(ValueError, match="without an offset"):
        alipay.pay(request(expires_at=EXPIRES.replace(tzinfo=None)))


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Python 入门·第2版_a-b.c", "Python 入门·第2版_a-b.c"),
        ("a&total_amount=9999.00", "a total_amount 9999.00"),
        ("C#／C++ {基础}, \"100%\" <b> 'x' | \\ 完", "C C 基础 100 b x 完"),
        ("  \t\n ", "课程"),
        ("&={}", "课程"),
        ("", "课程"),
        ("ＡＢ　１", "AB 1"),
        ("x" * 300, "x" * 128),
        ("x" * 127 + " y", "x" * 127),
    ],
)
def test_a_subject_is_cleaned(text, subject):
    assert clean_subject(text) == subject


@given(st.text())
def test_no_text_becomes_an_unsafe_subject(text):
    subject = clean_subject(text)
    assert 1 <= len(subject) <= 128
    assert subject == subject.strip()
    assert not set(subject) & set("/=&{},\"<>#'\\%+|?;:\x00\r\n\t\u2028\ufeff")
    assert all(letter in " -_.·" or letter.isalnum() or letter == "ー" for letter in subject)
    assert clean_subject(subject) == subject


def test_the_pay_url_carries_the_clean_subject(alipay):
    sent = parameters(alipay.pay(request(subject="a&out_trade_no=X{")))
    assert json.loads(sent["biz_content"])["subject"] == "a out_trade_no X"


def test_importing_the_sdk_through_us_touches_no_logging_and_logs_no_signed_text():
    program = """
import io, logging
told = io.StringIO()
mine = logging.StreamHandler(told)
closed = []
mine.close = lambda: closed.append(1)
logging.basicConfig(level=logging.DEBUG, handlers=[mine])
import backend.payments.providers.alipay_client
from alipay.loggers import logger
logger.debug("signed string")
print(logger.handlers, closed, repr(told.getvalue()), logging.config.dictConfig.__module__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] [] '' logging.config"
    assert done.stderr == ""


def test_signing_logs_nothing_at_all(alipay, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        alipay.pay(request())
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
