#!/usr/bin/env bash
# A throw-away RabbitMQ for tests: its own folder, ports, node and epmd, never the machine's own broker.
#   tools/rabbitmq.sh start DIR     prints the broker's URL; a folder used before gives the same one, and has its data
#   tools/rabbitmq.sh restart DIR   stop and start
#   tools/rabbitmq.sh kill DIR      kill -9: the broker loses what it had not yet written
#   tools/rabbitmq.sh stop DIR      ends the broker and its epmd; the data stay
# The process id is in DIR/pid. Exit 3 where RabbitMQ is not installed.
set -euo pipefail
command=${1:?start, restart, kill or stop} dir=${2:?a folder}
# Not the one on the PATH: that goes over to the user rabbitmq and to that user's folders.
server=/usr/lib/rabbitmq/bin/rabbitmq-server
[ -x "$server" ] || { echo "RabbitMQ is not installed. On Debian: apt-get install rabbitmq-server" >&2; exit 3; }
mkdir -p "$dir" && dir=$(cd "$dir" && pwd -P)

# Below the range from which Linux takes clients' ports: else a client that keeps calling a stopped broker may get the
# broker's port for its own, and block it.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)) && listens "$port"; do :; done
  echo "$port"
}
listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

[ -s "$dir/ports" ] || echo "$(free_port) $(free_port) $(free_port)" >"$dir/ports"
read -r port node_port epmd_port <"$dir/ports"
pid=$(cat "$dir/pid" 2>/dev/null || true)

export HOME="$dir" LANG=C.UTF-8 # Erlang keeps its cookie in HOME
export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$epmd_port"
export RABBITMQ_BASE="$dir" RABBITMQ_MNESIA_BASE="$dir/mnesia" RABBITMQ_LOG_BASE="$dir/log"
export RABBITMQ_NODENAME="coursepay-$port@localhost" RABBITMQ_DIST_PORT="$node_port"
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$port"
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
# Nothing of the machine's own settings and plugins.
export RABBITMQ_CONF_ENV_FILE="$dir/environment" RABBITMQ_CONFIG_FILE="$dir/rabbitmq"
export RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins"

# The file of the process id outlives the process, and the number may by now be another's.
runs() { [ -n "$pid" ] && grep -qszxF -- "$dir" "/proc/$pid/cmdline"; }
is_up_or_over() { listens "$port" || ! kill -0 "$pid" 2>/dev/null; }
# Of a process that ends, /proc forgets the command before its sockets are closed.
is_gone() { ! runs && ! listens "$port" && ! listens "$node_port"; }
is_without_epmd() { epmd -kill >/dev/null 2>&1; ! listens "$epmd_port"; }
signal() { if runs; then kill "-$1" "$pid"; fi; }
wait_for() {
  local seconds=$1 condition=$2
  for _ in $(seq $((seconds * 20))); do if "$condition"; then return; fi; sleep 0.05; done
  return 1
}

launch() {
  if listens "$port"; then echo "Port $port has been taken by another program." >&2; exit 1; fi
  mkdir -p "$dir/log" && touch "$dir/environment" "$dir/rabbitmq.conf" && echo "[]." >"$dir/plugins"
  epmd -daemon
  # With input allowed the script becomes the broker, so its process id is the broker's; -noinput forbids input after
  # all. Erlang does not know -folder: it is there for runs().
  RABBITMQ_ALLOW_INPUT=yes setsid "$server" -noinput -folder "$dir" </dev/null >>"$dir/log/start" 2>&1 &
  pid=$! && echo "$pid" >"$dir/pid"
}
start() {
  runs || launch
  wait_for 120 is_up_or_over && runs && return
  echo "RabbitMQ did not start on port $port:" >&2
  tail -n 20 "$dir"/log/* >&2
  stop
  exit 1
}
stop() {
  signal TERM
  wait_for 30 is_gone || { signal KILL && wait_for 10 is_gone; }
  wait_for 10 is_without_epmd
}

case $command in
  start) start ;;
  restart) stop && start ;;
  kill) signal KILL && wait_for 10 is_gone ;;
  stop) stop ;;
  *) echo "start, restart, kill or stop, not $command" >&2; exit 2 ;;
esac
if [[ $command = *start ]]; then echo "amqp://guest:guest@127.0.0.1:$port//"; fi
