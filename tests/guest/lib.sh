# What all scenarios share. Sourced, in a guest, in the checkout's top folder; needs SOCKMETER_AGENT and DRIVER.
# Scenarios take steps and save what they see to /run/out; they judge nothing.
set -Eeuo pipefail

OUT=/run/out WORK=/run/work METRICS=http://127.0.0.1:9435
mkdir -p "$OUT" "$WORK"
# Where every user can read it, and under its own name.
AGENT="$WORK/sockmeter"
cp "$SOCKMETER_AGENT" "$AGENT"

failed() {
  echo "FAILED in $1: $2"
  tail -n 15 "$OUT"/*.log 2>/dev/null || true
}
trap 'failed "${BASH_SOURCE[0]}:$LINENO" "$BASH_COMMAND"' ERR

step() { echo "== $(cut -d' ' -f1 /proc/uptime) $*"; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds, at most so long.
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      echo "waited too long for: $what"
      return 1
    fi
    sleep 0.05
  done
}

# pid NAME PID: tells the test whose pid this is.
pid() { echo "$1 $2" >>"$OUT/pids"; }

# start_agent NAME [FLAG...]: its log goes to NAME.log; returns when it is ready. Processors are emulated here, so one is
# worth little: unless a scenario is about that, the agent may use as many as it likes.
CPU_LIMIT=64
start_agent() {
  local name=$1
  shift
  "$AGENT" --cpu-limit "$CPU_LIMIT" --probes "${PROBES:-auto}" "$@" 2>"$OUT/$name.log" &
  AGENT_PID=$!
  wait_for 60 "agent $name to be ready" agent_answers
  curl -fsS "$METRICS/health" >"$OUT/$name.health"
}
agent_answers() {
  kill -0 "$AGENT_PID" || { echo "the agent has ended"; return 0; }
  curl -fsS "$METRICS/health/ready"
}

# stop_agent: asks it to end; its exit code goes to STOPPED.
stop_agent() {
  kill -TERM "$AGENT_PID"
  STOPPED=0
  wait "$AGENT_PID" || STOPPED=$?
}

# refused NAME COMMAND...: must end by itself; its output goes to NAME.stderr, its exit code to NAME.code.
refused() {
  local name=$1 code=0
  shift
  timeout 60 "$@" >"$OUT/$name.stdout" 2>"$OUT/$name.stderr" || code=$?
  echo $code >"$OUT/$name.code"
}

# objects: what the kernel has of BPF and of probes, a line each. released FILE: that is what FILE says, and no more.
objects() {
  local kind
  for kind in prog map link; do bpftool $kind show | sed -n "s/^[0-9]*:/$kind &/p"; done
  find /sys/fs/bpf -mindepth 1
  cat /sys/kernel/tracing/{kprobe_events,uprobe_events,enabled_functions} /sys/kernel/debug/kprobes/list
}
released() { objects | cmp -s - "$1"; }

scrape() { curl -fsS "$METRICS/metrics" >"$OUT/$1.prom"; }

# start_driver NAME ADDRESS: waits for commands; its answers go to NAME.driver.
declare -A DRIVER_PID COMMANDS
start_driver() {
  mkfifo "$WORK/$1.commands"
  "$DRIVER" "$2" <"$WORK/$1.commands" >"$OUT/$1.driver" 2>"$OUT/$1.driver.log" &
  DRIVER_PID[$1]=$!
  exec {COMMANDS_FD}<>"$WORK/$1.commands"
  COMMANDS[$1]=$COMMANDS_FD
  pid "$1" "${DRIVER_PID[$1]}"
}

# tell NAME COMMAND: returns when the driver has done it.
declare -A TOLD
tell() {
  TOLD[$1]=$((${TOLD[$1]:-0} + 1))
  echo "$2" >&"${COMMANDS[$1]}"
  wait_for 120 "driver $1 to do: $2" driver_settled "$1"
  driver_lives "$1"
}
driver_settled() { [ "$(wc -l <"$OUT/$1.driver")" -eq "${TOLD[$1]}" ] || ! kill -0 "${DRIVER_PID[$1]}"; }
driver_lives() { kill -0 "${DRIVER_PID[$1]}" || { cat "$OUT/$1.driver.log"; return 1; }; }

end_driver() {
  echo quit >&"${COMMANDS[$1]}"
  wait "${DRIVER_PID[$1]}"
}
kill_driver() {
  kill -KILL "${DRIVER_PID[$1]}"
  wait "${DRIVER_PID[$1]}" || true
}

# listens PORT; connected PORT: how many connections the kernel has there, seen from the server.
listens() { [ -n "$(ss -Htln "sport = :$1")" ]; }
connected() { ss -Htn state established state close-wait "sport = :$1" | wc -l; }
nobody_connected() { [ "$(connected "$1")" -eq 0 ]; }

# start_nginx: ports 8080 and, for stub_status, 8081.
start_nginx() {
  mkdir -p "$WORK/www"
  truncate -s 60000000 "$WORK/www/big"
  nginx -c "$PWD/tests/guest/nginx.conf" -p "$WORK" 2>"$OUT/nginx.log" &
  NGINX_PID=$!
  pid nginx "$NGINX_PID"
  wait_for 30 "nginx to listen" listens 8080
}
# logged N: nginx has written N lines.
logged() { [ "$(wc -l <"$OUT/access")" -eq "$1" ]; }

# hold NAME [WORD...] -- ARGUMENT...: starts held.py with these arguments, as the command line WORD... would (a
# namespace). From then on NAME is told like a driver. held NAME...: waits until they hold what they shall.
declare -A IS_CHILD
hold() {
  local name=$1 before=()
  shift
  while [ "$1" != -- ]; do before+=("$1"); shift; done
  shift
  # unshare forks: what it starts is the one that is looked at.
  ((${#before[@]} == 0)) || IS_CHILD[$name]=yes
  mkfifo "$WORK/$name.commands"
  "${before[@]}" python3 tests/guest/held.py "$@" <"$WORK/$name.commands" >"$OUT/$name.driver" 2>"$OUT/$name.driver.log" &
  DRIVER_PID[$name]=$!
  exec {COMMANDS_FD}<>"$WORK/$name.commands"
  COMMANDS[$name]=$COMMANDS_FD
  TOLD[$name]=1
}
held() {
  local name pid
  for name in "$@"; do
    wait_for 60 "$name to hold its connections" driver_settled "$name"
    driver_lives "$name"
    pid=${DRIVER_PID[$name]}
    [ -z "${IS_CHILD[$name]:-}" ] || pid=$(pgrep -P "$pid" -x python3)
    pid "$name" "$pid"
  done
}
# serve NAME [WORD...] -- ADDRESS:PORT N [OPTION...]: a held.py that is a server; returns when it listens.
serve() {
  local name=$1 before=()
  shift
  while [ "$1" != -- ]; do before+=("$1"); shift; done
  shift
  hold "$name" "${before[@]}" -- server "$@"
  wait_for 20 "$name to listen" grep -q listening "$OUT/$name.driver.log"
}
