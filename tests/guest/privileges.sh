# Scenario: the agent as a user with exactly the capabilities of README.md's table, and with each of them missing; what it
# keeps, which calls it may make, and whom it still knows by name. `privileges.rs` judges.
# Packages: strace
. tests/guest/lib.sh

# Those of the table, by the table.
mapfile -t ALL < <(grep -oP '^\| `CAP_\K[A-Z_]+(?=` \|)' README.md | tr '[:upper:]' '[:lower:]')
printf '%s\n' "${ALL[@]}" >"$OUT/table"
# One of them, which only root may have: the agent's port.
METRICS=http://127.0.0.1:80
NOBODY=65534

# as_user CAPABILITY... -- COMMAND...: becomes it, as another user who has these and can get no others.
as_user() {
  local set=-all
  while [ "$1" != -- ]; do set+=",+$1"; shift; done
  shift
  exec setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups --inh-caps="$set" --ambient-caps="$set" --bounding-set="$set" "$@"
}
# start NAME COMMAND...: an agent that is started so; returns when it is ready, or has ended. Its log goes to NAME.log.
mkdir -m 777 "$WORK/records"
start() {
  local name=$1
  shift
  "$@" "$AGENT" --cpu-limit "$CPU_LIMIT" --listen 127.0.0.1:80 --record "$WORK/records/$name" 2>"$OUT/$name.log" &
  AGENT_PID=$!
  wait_for 60 "agent $name to be ready" agent_answers
  if kill -0 "$AGENT_PID" 2>"$WORK/ended"; then
    curl -fsS "$METRICS/health" >"$OUT/$name.health"
    rights "$name"
  else
    CODE=0
    wait "$AGENT_PID" || CODE=$?
    echo "$CODE" >"$OUT/$name.code"
    return 1
  fi
}
# rights NAME: what each thread of the agent may do.
rights() {
  local task
  for task in "/proc/$AGENT_PID/task"/*; do
    grep -E '^(Name|Cap...|NoNewPrivs|Seccomp):' "$task/status"
  done >"$OUT/$1.status"
}
# begin NAME FILE: a client of a third user, in a mount namespace of its own, with a name of its own. It is told like a
# driver.
LONG=$WORK/a-client-with-a-long-name LINK=$WORK/a-link
cp "$DRIVER" "$LONG"
ln -s "$LONG" "$LINK"
begin() {
  local name=$1
  mkfifo "$WORK/$name.commands"
  unshare --mount setpriv --reuid=1000 --regid=1000 --clear-groups env OTEL_SERVICE_NAME=shop \
    "$2" 127.0.0.1:8080 <"$WORK/$name.commands" >"$OUT/$name.driver" 2>"$OUT/$name.driver.log" &
  DRIVER_PID[$name]=$!
  exec {COMMANDS_FD}<>"$WORK/$name.commands"
  COMMANDS[$name]=$COMMANDS_FD
  pid "$name" "${DRIVER_PID[$name]}"
}
# measure NAME: a client that begins now, by a link, asks 20 times, and the one that is older than the agent 5 times.
measure() {
  begin "$1" "$LINK"
  tell "$1" "open 2"
  tell "$1" "get 20 /ok"
  tell old "get 5 /ok"
  scrape "$1"
  end_driver "$1"
}

start_nginx
begin old "$LONG"
tell old "open 3"
tell old "get 5 /ok"

step "root"
start root env
measure root
stop_agent
wc -l <"$WORK/records/root" >"$OUT/root.recorded"

step "exactly the capabilities of the table"
start exact as_user "${ALL[@]}" --
measure exact
step "a listening socket whose holder ends: the walk again"
serve heir -- 127.0.0.1:7203 1 --backlog 9 --stuck --leave
# A holder that has ended is looked for at most this often.
sleep 5
pid heir "$(pgrep -f 'held.py server 127.0.0.1:7203')"
scrape heir
step "others of its user look into it, and into a process that is not closed to them"
setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups sleep 600 &
OPEN=$!
look() { setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups cat "/proc/$1/environ" 2>&1 >"$WORK/seen" || true; }
wait_for 10 "sleep to be another user's" grep -q "^Uid:.$NOBODY" "/proc/$OPEN/status"
look "$AGENT_PID" >"$OUT/looked-agent"
look "$OPEN" >"$OUT/looked-open"
kill "$OPEN"
rights heir
step "its calls, from here to its end"
strace -f -o "$OUT/strace" -p "$AGENT_PID" 2>"$WORK/strace.log" &
STRACE_PID=$!
wait_for 20 "strace to attach" grep -q attached "$WORK/strace.log"
measure traced
curl -fsS "$METRICS/health" >"$WORK/health"
curl -fsS -H 'Accept: application/openmetrics-text;version=1.0.0' "$METRICS/metrics" >"$WORK/openmetrics"
ab -q -n 20 -c 10 "$METRICS/health/live" >"$OUT/ab" 2>&1
stop_agent
echo "$STOPPED" >"$OUT/exact.code"
wc -l <"$WORK/records/exact" >"$OUT/exact.recorded"
wait "$STRACE_PID" || true

for missing in "${ALL[@]}"; do
  step "without $missing"
  others=()
  for capability in "${ALL[@]}"; do [ "$capability" = "$missing" ] || others+=("$capability"); done
  if start "without-$missing" as_user "${others[@]}" --; then
    measure "without-$missing"
    stop_agent
  fi
done

step "forbidden calls"
FORBIDDEN=$(dirname "$DRIVER")/forbidden
"$FORBIDDEN" >"$OUT/calls-root"
for thread in pipeline server; do "$FORBIDDEN" $thread >"$OUT/calls-$thread"; done
end_driver old
