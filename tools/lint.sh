#!/usr/bin/env bash
# Everything that can be checked without running the shop, fastest first.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${VENV:-.venv}/bin
export DEBUG=1
$bin/python -m alipay_simulator --init
$bin/ruff check .
$bin/ruff format --check .
$bin/lint-imports
$bin/python -m torture.bugs # each planted bug still has its place in the source
$bin/python manage.py makemigrations --check --dry-run
$bin/python manage.py export_schema backend.schema --path /tmp/coursepay-schema.$$
diff -u schema.graphql /tmp/coursepay-schema.$$ || { echo "schema.graphql is not current: run make schema"; exit 1; }
rm -f /tmp/coursepay-schema.$$
$bin/python manage.py export_possible_types --path /tmp/coursepay-types.$$
diff -u possible_types.json /tmp/coursepay-types.$$ || { echo "possible_types.json is not current: run make schema"; exit 1; }
rm -f /tmp/coursepay-types.$$
tools/check_deploy.sh
$bin/mypy
