"""Settings of the test run: production's, with keys and a database of its own. DATABASE_URL chooses PostgreSQL."""

import os
from pathlib import Path

from backend import keyfiles

KEYS = keyfiles.VAR_DIR / "tests"
APP_KEY = KEYS / "app_private_key.pem"
ALIPAY_KEY = KEYS / "alipay_private_key.pem"
ALIPAY_PUBLIC_KEY = KEYS / "alipay_public_key.pem"

keyfiles.secret_or_create(APP_KEY, keyfiles.new_rsa_private_key)
if not ALIPAY_PUBLIC_KEY.exists():
    keyfiles.write_once(
        ALIPAY_PUBLIC_KEY,
        keyfiles.public_key_of(keyfiles.secret_or_create(ALIPAY_KEY, keyfiles.new_rsa_private_key)),
    )

os.environ.update(
    DEBUG="0",
    SECRET_KEY="a test key, long enough for HS256 and nothing else",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    CORS_ALLOWED_ORIGINS="http://shop.example",
    CSRF_TRUSTED_ORIGINS="http://shop.example",
    PUBLIC_URL="http://127.0.0.1:8000",
    STOREFRONT_URL="http://shop.example",
    ALIPAY_GATEWAY_URL="http://127.0.0.1:9/gateway.do",
    ALIPAY_APP_ID="9021000100000001",
    ALIPAY_SELLER_ID="2088100000000001",
    ALIPAY_APP_PRIVATE_KEY_FILE=str(APP_KEY),
    ALIPAY_PUBLIC_KEY_FILES=str(ALIPAY_PUBLIC_KEY),
)
os.environ.setdefault("DATABASE_URL", f"sqlite:///{KEYS / 'unused.sqlite3'}")

from backend.settings import *  # noqa: E402, F403
from backend.settings import DATABASES  # noqa: E402

ON_POSTGRES = DATABASES["default"]["ENGINE"].endswith("postgresql")
if not ON_POSTGRES:
    # A file, not memory: other processes of a test must see the same rows.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(KEYS) / f"test-{os.getpid()}.sqlite3")}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True
