#!/usr/bin/env bash
# A throw-away Redis for tests: its own folder and port, nothing written to disk, never the machine's own server.
#   tools/redis.sh start DIR   prints the REDIS_URL; a folder that was used before gets the port it had
#   tools/redis.sh stop DIR
# The process id is in DIR/pid. Exit 3 where Redis is not installed.
set -euo pipefail
command=${1:?start or stop} dir=${2:?a folder}
command -v redis-server >/dev/null ||
  { echo "Redis is not installed. On Debian: apt-get install redis-server" >&2; exit 3; }
mkdir -p "$dir" && dir=$(cd "$dir" && pwd)

# Below the range from which Linux takes clients' ports: else a client that keeps calling a stopped server may get the
# server's port for its own, and block it.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)) && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}
[ -s "$dir/port" ] || free_port >"$dir/port"
port=$(cat "$dir/port")

# The file of the process id outlives the process, and the number may by now be another's.
runs() { grep -qs "^redis-server 127.0.0.1:$port" "/proc/$(cat "$dir/pid" 2>/dev/null)/cmdline"; }
is_gone() { ! runs; }
answers() (
  exec 3<>"/dev/tcp/127.0.0.1/$port" && echo PING >&3 && read -r -t 2 -u 3 answer && [ "${answer%$'\r'}" = +PONG ]
) 2>/dev/null
is_up() { runs && answers; }
# At most ten seconds.
wait_until() { for _ in $(seq 200); do if "$1"; then return; fi; sleep 0.05; done; return 1; }
signal() { if runs; then kill "-$1" "$(cat "$dir/pid")"; fi; }

case $command in
  start)
    runs || redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no --dir "$dir" \
      --daemonize yes --pidfile "$dir/pid" --logfile "$dir/log" >/dev/null
    wait_until is_up || { echo "Redis did not start on port $port:" >&2; tail -n 20 "$dir/log" >&2; exit 1; }
    echo "redis://127.0.0.1:$port/0"
    ;;
  stop)
    signal TERM
    wait_until is_gone || { signal KILL && wait_until is_gone; }
    ;;
  *) echo "start or stop, not $command" >&2; exit 2 ;;
esac
