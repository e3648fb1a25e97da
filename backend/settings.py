"""Settings. What varies comes from the environment; DEBUG=1 alone runs the demo, DEBUG=0 alone says what is missing."""

import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from backend import keyfiles

BASE_DIR = keyfiles.BASE_DIR
VAR_DIR = keyfiles.VAR_DIR
env = environ.Env()


def refusal(number: str, sentence: str) -> ImproperlyConfigured:
    """Settings are read before any system check can run, so what they refuse carries its id itself."""
    return ImproperlyConfigured(f"{sentence} (coursepay.{number})")


def required(name: str, demo: str | None = None) -> str:
    """The variable, or in DEBUG its demo value; otherwise a refusal that says the mend."""
    value = env.str(name, default="")
    if value:
        return str(value)
    if DEBUG and demo is not None:
        return demo
    mend = "Set it in the environment (.env.example lists all), or DEBUG=1 for the demo."
    raise refusal("E030", f"{name} is not set. {mend}")


def comma_list(name: str, demo: list[str]) -> list[str]:
    given = [part.strip() for part in env.str(name, default="").split(",") if part.strip()]
    return given or (demo if DEBUG else [])


def positive(name: str, default: int) -> int:
    text = env.str(name, default="") or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise refusal("E031", f"{name} is {text!r}: it must be a whole number of seconds, at least 1.")
    return int(text)


def networks(name: str, default: list[str]) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(text, strict=False) for text in comma_list(name, []) or default]
    except ValueError as error:
        raise refusal("E031", f"{name}: {error}. List addresses or networks, such as 10.0.0.0/8.") from error


def one_of(name: str, default: str, *choices: str) -> str:
    value = str(env.str(name, default="") or default)
    if value not in choices:
        raise refusal("E031", f"{name} is {value!r}: it must be one of {', '.join(choices)}.")
    return value


# --- Where and how it runs -------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
PORT = env.int("PORT", default=8000)
SECRET_KEY = (
    env.str("SECRET_KEY", default="")
    or (DEBUG and keyfiles.secret_or_create(VAR_DIR / "keys" / "secret_key", lambda: secrets.token_urlsafe(48)))
    or required("SECRET_KEY")
)
THIS_MACHINE = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = comma_list("ALLOWED_HOSTS", THIS_MACHINE)
TRUSTED_PROXIES = comma_list("TRUSTED_PROXIES", [])
METRICS_ALLOW = networks("METRICS_ALLOW", ["127.0.0.0/8", "::1"])
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
STOREFRONT_URL = env.str("STOREFRONT_URL", default=PUBLIC_URL).rstrip("/")

_LOCAL_ORIGINS = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost") for port in (PORT, 5173, 8080)]
CORS_ALLOWED_ORIGINS = comma_list("CORS_ALLOWED_ORIGINS", _LOCAL_ORIGINS)
CORS_URLS_REGEX = r"^/(graphql(/stream)?|payments/alipay/return/|order/success/)$"
CORS_EXPOSE_HEADERS = ["x-request-id"]
CSRF_TRUSTED_ORIGINS = comma_list("CSRF_TRUSTED_ORIGINS", _LOCAL_ORIGINS)  # the admin's forms

ROOT_URLCONF = "backend.urls"
WSGI_APPLICATION = "backend.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "strawberry_django",
    "backend.limits",
    "backend.events",
    "backend.accounts",
    "backend.courses",
    "backend.orders",
    "backend.payments",
    "backend.schema",
    "backend.shopfront",
    "backend.monitoring",
]
MIDDLEWARE = [
    "backend.middleware.RequestIds",
    "backend.monitoring.middleware.Monitoring",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "backend.middleware.Sessions",
    "backend.middleware.Locale",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "backend.middleware.Authentication",
    "backend.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "backend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database --------------------------------------------------------------------------------------------------------


def database() -> dict[str, Any]:
    """SQLite or PostgreSQL from DATABASE_URL, each with the options that money needs."""
    url = env.str("DATABASE_URL", default="") or f"sqlite:///{VAR_DIR / 'coursepay.sqlite3'}"
    if not url.startswith(("sqlite:///", "postgres://", "postgresql://")):
        raise refusal("E031", "DATABASE_URL must begin with sqlite:/// or postgres://")
    config: dict[str, Any] = env.db_url_config(url)
    if config["ENGINE"].endswith("sqlite3"):
        Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        # IMMEDIATE: a transaction that will write says so at once, and waits instead of failing half-way. FULL: a
        # commit that was acknowledged to Alipay survives a power cut.
        ours: dict[str, Any] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
    else:
        config["ENGINE"] = "backend.postgresql"
        config["CONN_HEALTH_CHECKS"] = True
        ours = {
            "pool": {"min_size": 1, "max_size": env.int("DATABASE_POOL_SIZE", default=20), "timeout": 10},
            "server_side_binding": True,
            "prepare_threshold": 2,
            "options": "-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s",
            # A server that vanished without a word is given up within half a minute, not a quarter of an hour.
            "tcp_user_timeout": 30_000,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }
    config["OPTIONS"] = {**ours, **config.get("OPTIONS", {})}
    return config


DATABASES = {"default": database()}
SQLITE_FOR_REAL_MONEY = one_of("SQLITE_FOR_REAL_MONEY", "refuse", "refuse", "allow") == "allow"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People ----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
TOKEN_TTL_SECONDS = positive("TOKEN_TTL_SECONDS", 43200)
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL and urlsplit(REDIS_URL).scheme not in ("redis", "rediss", "unix"):
    raise refusal("E031", "REDIS_URL must begin with redis://, rediss:// (over TLS) or unix://")
RATE_LIMITS = one_of("RATE_LIMITS", "on", "on", "off") == "on"

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "backend" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

# --- Orders and payments ---------------------------------------------------------------------------------------------

ORDER_TTL_SECONDS = positive("ORDER_TTL_SECONDS", 1800)
if ORDER_TTL_SECONDS > 15 * 86400:
    raise refusal("E031", "ORDER_TTL_SECONDS is over 15 days, the longest that Alipay keeps a trade open.")

ORDER_GRACE_SECONDS = positive("ORDER_GRACE_SECONDS", 120)
PAYMENT_QUERY_AFTER_SECONDS = positive("PAYMENT_QUERY_AFTER_SECONDS", 60)
PROVIDER_RETRY_SECONDS = positive("PROVIDER_RETRY_SECONDS", 10)
LATE_PAYMENT = one_of("LATE_PAYMENT", "honour", "honour", "refund")

SIMULATOR_PORT = env.int("SIMULATOR_PORT", default=PORT + 1)
SIMULATOR_APP_ID = "9021000100000001"
SIMULATOR_SELLER_ID = "2088100000000001"
SIMULATOR_PUBLIC_KEY_FILE = VAR_DIR / "alipay_simulator" / "alipay_public_key.pem"

ALIPAY_GATEWAY_URL = required("ALIPAY_GATEWAY_URL", f"http://127.0.0.1:{SIMULATOR_PORT}/gateway.do")
ALIPAY_REAL_MONEY = (urlsplit(ALIPAY_GATEWAY_URL).hostname or "").lower().rstrip(".") == "openapi.alipay.com"
ENVIRONMENT = one_of(
    "ENVIRONMENT",
    "production" if ALIPAY_REAL_MONEY else "development" if DEBUG else "staging",
    *("production", "staging", "development"),
)
PRODUCTION = ALIPAY_REAL_MONEY or ENVIRONMENT == "production"  # here what is dangerous refuses the start
PRODUCTION_KEY_FINGERPRINTS = [text.replace(":", "").lower() for text in comma_list("PRODUCTION_KEY_FINGERPRINTS", [])]
ALIPAY_APP_ID = required("ALIPAY_APP_ID", SIMULATOR_APP_ID)
ALIPAY_SELLER_ID = required("ALIPAY_SELLER_ID", SIMULATOR_SELLER_ID)
ALIPAY_APP_PRIVATE_KEY_FILE = Path(
    required("ALIPAY_APP_PRIVATE_KEY_FILE", str(VAR_DIR / "keys" / "app_private_key.pem"))
)
ALIPAY_APP_PUBLIC_KEY_FILE = VAR_DIR / "keys" / "app_public_key.pem"
ALIPAY_PUBLIC_KEY_FILES = [
    Path(name.strip()) for name in required("ALIPAY_PUBLIC_KEY_FILES", str(SIMULATOR_PUBLIC_KEY_FILE)).split(",")
]
if DEBUG and not env.str("ALIPAY_APP_PRIVATE_KEY_FILE", default=""):
    _private = keyfiles.secret_or_create(ALIPAY_APP_PRIVATE_KEY_FILE, keyfiles.new_rsa_private_key)
    if not ALIPAY_APP_PUBLIC_KEY_FILE.exists():
        keyfiles.write_once(ALIPAY_APP_PUBLIC_KEY_FILE, keyfiles.public_key_of(_private))

PAYMENT_PROVIDERS: dict[str, dict[str, Any]] = {
    "alipay": {
        "BACKEND": "backend.payments.providers.alipay.Alipay",
        "OPTIONS": {
            "app_id": ALIPAY_APP_ID,
            "seller_id": ALIPAY_SELLER_ID,
            "app_private_key_file": ALIPAY_APP_PRIVATE_KEY_FILE,
            "alipay_public_key_files": ALIPAY_PUBLIC_KEY_FILES,
            "gateway_url": ALIPAY_GATEWAY_URL,
            "notify_url": f"{PUBLIC_URL}/payments/alipay/notify/",
            "return_url": f"{STOREFRONT_URL}/pay/success",
        },
    }
}

# --- Work in the background, and what other systems are told ----------------------------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
if CELERY_BROKER_URL and urlsplit(CELERY_BROKER_URL).scheme not in ("amqp", "amqps", "redis", "rediss"):
    raise refusal("E031", "CELERY_BROKER_URL must begin with amqp:// (RabbitMQ) or redis://")
JOB_LEASE_SECONDS = positive("JOB_LEASE_SECONDS", 90)
JOB_THREADS = positive("JOB_THREADS", 4)

EVENT_URLS = comma_list("EVENT_URLS", [])
EVENT_SECRETS = comma_list("EVENT_SECRET", [])  # several while one is being changed

BILL_FOREIGN_ORDERS = one_of("BILL_FOREIGN_ORDERS", "report", "report", "ignore")

# --- GraphQL ---------------------------------------------------------------------------------------------------------

TRUSTED_DOCUMENTS = one_of("TRUSTED_DOCUMENTS", "off", "off", "only")
TRUSTED_DOCUMENTS_FILE = BASE_DIR / "frontend" / "trusted-documents.json"

# --- Live order status -----------------------------------------------------------------------------------------------

DATABASE_LISTEN_URL = env.str("DATABASE_LISTEN_URL", default="")  # past a pgbouncer, which cannot LISTEN
STREAM_HEARTBEAT_SECONDS = env.float("STREAM_HEARTBEAT_SECONDS", default=15.0)
STREAMS_PER_USER = env.int("STREAMS_PER_USER", default=10)
STREAMS_PER_PROCESS = env.int("STREAMS_PER_PROCESS", default=10_000)

# --- The web edge ----------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True
STOREFRONT_DIR = BASE_DIR / "frontend" / "dist"
if STOREFRONT_DIR.is_dir():
    WHITENOISE_ROOT = STOREFRONT_DIR  # its files; its page is a view's, with a policy
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/assets/.+-[\w-]{8}\.\w+$"  # named after their content by Vite
APPEND_SLASH = False  # a redirect is a failed delivery to Alipay's notify sender; an address is right or it is 404
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 30 * 60
HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^payments/alipay/notify/$", r"^order/success/$", r"^healthz/"]
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "backend.logs.WithRequestId"}},
    "formatters": {
        "line": {
            "class": "backend.logs.Redacted",
            "format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "coursepay": {"level": env.str("LOG_LEVEL", default="INFO")},
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        # A line for each refused request would let anybody fill the disk.
        "django.request": {"level": "ERROR"},
        # Refused queries are their senders' business; ours are logged by the view, masked.
        "strawberry.execution": {"level": "CRITICAL"},
        # The servers come with handlers of their own; through ours their lines too are redacted.
        **{name: {"handlers": [], "propagate": True} for name in ("uvicorn", "uvicorn.error", "_granian")},
        "uvicorn.access": {"handlers": [], "propagate": False},  # a proxy keeps that log
    },
}
