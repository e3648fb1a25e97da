#!/usr/bin/env bash
# The suite on SQLite, then on PostgreSQL; then the storefront's own checks, and whole purchases in a browser. What
# cannot run here is listed at the end, and with CI=true that is a failure. With arguments: pytest alone, with them, one
# test after the other; with --in-process alone: on SQLite, the folders that start no servers, but for the longest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
not_run=()

# No servers, nothing timed: several at a time, each worker with a database of its own (pytest-xdist). The rest, and
# every folder that is not named here, runs one test after the other.
quick=(tests/{unit,api,db,web,edge,events,bills,jobs,simulator,startup})
folders=("${quick[@]}" tests/lifecycle)
in_parallel=(-n auto --maxprocesses 4 --dist worksteal)

in_process() { "$python" -m pytest -q "${in_parallel[@]}" "${folders[@]}"; }
with_servers=("$python" -m pytest -q "${folders[@]/#/--ignore=}")

if [ "$*" = --in-process ]; then
  folders=("${quick[@]}")
  unset DATABASE_URL
  in_process
  exit
fi

# Not under the home of root: the server runs as another user.
dir=$(mktemp -d /tmp/coursepay-postgres.XXXXXX)
chmod 755 "$dir"
beside="" # what runs in the background, which Ctrl-C does not reach; it ends its own servers
end() {
  if [ -n "$beside" ]; then kill -INT "$beside" 2>/dev/null && wait "$beside" || true; fi
  if [ -n "$url" ]; then tools/postgres.sh stop "$dir"; fi
}
trap 'end; rm -rf "$dir"' EXIT
trap 'exit 130' INT
unset DATABASE_URL
# Nothing here outlives the run, so it need not survive a power cut either.
url=""
url=$(tools/postgres.sh start "$dir" fsync=off) || not_run+=("the whole suite on PostgreSQL")

if [ $# -gt 0 ]; then
  echo "== SQLite"
  "$python" -m pytest -q "$@"
  echo "== PostgreSQL"
  [ -z "$url" ] || DATABASE_URL=$url "$python" -m pytest -q "$@"
else
  echo "== SQLite"
  in_process
  if [ -n "$url" ]; then
    echo "== PostgreSQL"
    DATABASE_URL=$url in_process
    # These wait for processes more than they compute: both at once.
    echo "== PostgreSQL, what starts servers; and the same on SQLite"
    log=$dir/sqlite.log
    set -m # without job control it would ignore SIGINT
    "${with_servers[@]}" >"$log" 2>&1 &
    beside=$!
    set +m
    DATABASE_URL=$url "${with_servers[@]}" && on_postgres=0 || on_postgres=$?
    wait "$beside" && on_sqlite=0 || on_sqlite=$?
    beside=""
    echo "== SQLite, what starts servers"
    cat "$log"
    if [ $((on_postgres + on_sqlite)) != 0 ]; then exit 1; fi
  else
    "${with_servers[@]}"
  fi
fi
end # Chromium wants the memory

# What is generated and committed must be what the code generates.
storefront_checks() {
  tools/storefront.sh
  npm --prefix frontend run --silent check
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git diff --exit-code -- frontend/src/gql frontend/trusted-documents.json frontend/components.d.ts
  fi
}

browser_tests() {
  tools/storefront.sh # `check` has built it anew, without what Django serves compressed
  npm --prefix frontend run --silent e2e
}

if [ $# -eq 0 ]; then
  CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || true)}
  export CHROMIUM
  if ! why=$(tools/new_node.sh); then
    not_run+=("the storefront's checks and its tests in a browser: $why")
  else
    echo "== Storefront"
    storefront_checks
    if [ -x "$CHROMIUM" ]; then
      echo "== Browser"
      browser_tests
    else
      not_run+=("the storefront in a browser: it needs Chromium")
    fi
  fi
fi

[ ${#not_run[@]} -eq 0 ] || printf 'not run here: %s\n' "${not_run[@]}"
if [ ${#not_run[@]} -gt 0 ] && [ "${CI:-}" = true ]; then
  echo "CI=true: failed"
  exit 1
fi
