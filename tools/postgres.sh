#!/usr/bin/env bash
# A throw-away PostgreSQL for tests and benchmarks: its own folder and a free port, never the machine's own server.
#   tools/postgres.sh start DIR [OPTION=VALUE…]   prints the DATABASE_URL       tools/postgres.sh stop DIR
# Exit 3 where PostgreSQL is not installed.
set -euo pipefail
command=${1:?start or stop} dir=${2:?a folder} && shift 2
bin=$(ls -d /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb || true)")
[ -x "$bin/initdb" ] || { echo "PostgreSQL is not installed. On Debian: apt-get install postgresql" >&2; exit 3; }
# PostgreSQL refuses to run as root.
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

if [ "$command" = stop ]; then
  as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
  exit 0
fi
mkdir -p "$dir"
if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
[ -s "$dir/data/PG_VERSION" ] || as "$bin/initdb" -D "$dir/data" -A trust -U shop -E UTF8 --no-instructions >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200"
for option in "$@"; do options="$options -c $option"; done
as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "$options" start >/dev/null
"$bin/createdb" -h 127.0.0.1 -p "$port" -U shop coursepay 2>/dev/null || true
echo "postgres://shop@127.0.0.1:$port/coursepay"
