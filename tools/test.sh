#!/usr/bin/env bash
# The suite on SQLite, then on PostgreSQL. Without PostgreSQL the second run is left out and said so; with CI=true it
# is a failure. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "== SQLite"
env -u DATABASE_URL "${VENV:-.venv}/bin/python" -m pytest -q "$@"
echo "== PostgreSQL"
# Not under the home of root: the server runs as another user.
dir=$(mktemp -d /tmp/coursepay-postgres.XXXXXX)
chmod 755 "$dir"
trap 'tools/postgres.sh stop "$dir"; rm -rf "$dir"' EXIT
# Nothing here outlives the run, so it need not survive a power cut either.
if url=$(tools/postgres.sh start "$dir" fsync=off); then
  DATABASE_URL="$url" "${VENV:-.venv}/bin/python" -m pytest -q "$@"
elif [ "${CI:-}" = true ]; then
  echo "PostgreSQL is missing, and CI=true: failed"
  exit 1
else
  echo "not run here: the whole suite on PostgreSQL"
fi
