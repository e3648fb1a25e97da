#!/usr/bin/env bash
# `check --deploy` as production would see it: real gateway, https, PostgreSQL, keys made for this check alone.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
umask 077
openssl genrsa -out "$dir/app.pem" 2048 2>/dev/null
openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -out "$dir/alipay.pem" 2>/dev/null
env DEBUG=0 SECRET_KEY="$(openssl rand -base64 48)" DATABASE_URL=postgres://shop@127.0.0.1/coursepay \
  ALLOWED_HOSTS=pay.example.com PUBLIC_URL=https://pay.example.com STOREFRONT_URL=https://shop.example.com \
  CORS_ALLOWED_ORIGINS=https://shop.example.com CSRF_TRUSTED_ORIGINS=https://pay.example.com \
  TRUSTED_PROXIES=127.0.0.1 \
  ALIPAY_GATEWAY_URL=https://openapi.alipay.com/gateway.do ALIPAY_APP_ID=2021000000000001 \
  ALIPAY_SELLER_ID=2088000000000001 ALIPAY_APP_PRIVATE_KEY_FILE="$dir/app.pem" ALIPAY_PUBLIC_KEY_FILES="$dir/alipay.pem" \
  "${VENV:-.venv}/bin/python" manage.py check --deploy --fail-level WARNING
