"""As `startproject` writes them, with the pool and the user model; what varies comes from the environment."""

import os
from pathlib import Path

import environ

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "bench.tutorial",
]
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
ROOT_URLCONF = "bench.tutorial.urls"
WSGI_APPLICATION = "bench.tutorial.wsgi.application"
AUTH_USER_MODEL = "tutorial.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": environ.Env().db_url("TUTORIAL_DATABASE_URL")}
DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 20, "timeout": 10}}
MIGRATION_MODULES = dict.fromkeys(("admin", "auth", "contenttypes", "sessions"))  # all tables from the models, at once
LANGUAGE_CODE = "zh-hans"
TIME_ZONE = "Asia/Shanghai"
USE_I18N = True
USE_TZ = False
STATIC_URL = "/static/"

GATEWAY = os.environ["ALIPAY_GATEWAY_URL"]
APP_ID = os.environ["ALIPAY_APP_ID"]
APP_PRIVATE_KEY_STRING = Path(os.environ["ALIPAY_APP_PRIVATE_KEY_FILE"]).read_text()
ALIPAY_PUBLIC_KEY_STRING = Path(os.environ["ALIPAY_PUBLIC_KEY_FILES"]).read_text()
RETURN_URL = "http://127.0.0.1:8080/pay/success"
NOTIFY_URL = "http://127.0.0.1:8000/order/success/"
