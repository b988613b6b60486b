# Scenario: what the agent says when it cannot start, and how it ends. `start_stop.rs` judges.
. tests/guest/lib.sh

step "without permission"
refused not-root setpriv --reuid=65534 --regid=65534 --clear-groups "$AGENT"
refused no-bpf setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-bpf,-sys_admin "$AGENT"
refused no-perfmon setpriv --bounding-set=-perfmon,-sys_admin --inh-caps=-perfmon,-sys_admin "$AGENT"

step "a taken port"
python3 tests/guest/echo.py 9435 2>"$OUT/taken.log" &
TAKEN=$!
wait_for 30 "port 9435" listens 9435
refused port-taken "$AGENT" --listen 127.0.0.1:9435
kill $TAKEN
wait $TAKEN || true

step "wrong configuration"
printf 'listen = "[::]:9435"\n[kernel]\nring_bytes = 5000\n' >"$WORK/value.toml"
printf '[series]\n\nmax_per_metrik = 5\n' >"$WORK/key.toml"
printf '[log]\nlevel = "info\n' >"$WORK/syntax.toml"
for fault in value key syntax; do refused config-$fault "$AGENT" --config "$WORK/$fault.toml"; done
refused config-missing "$AGENT" --config "$WORK/nothing.toml"
refused flag "$AGENT" --lissten :1

step "SIGTERM, SIGINT"
for signal in TERM INT; do
  bpftool prog show -j >"$OUT/progs-before-$signal"
  # In a job of its own: a background process of a script ignores SIGINT.
  set -m
  start_agent "agent-$signal"
  set +m
  bpftool prog show -j >"$OUT/progs-during-$signal"
  kill -$signal "$AGENT_PID"
  code=0
  wait "$AGENT_PID" || code=$?
  echo $code >"$OUT/agent-$signal.code"
  bpftool prog show -j >"$OUT/progs-after-$signal"
  bpftool map show -j >"$OUT/maps-after-$signal"
  ss -Htln "sport = :9435" >"$OUT/listening-after-$signal"
done

step "signals before it has started"
# Something to walk over for a while: 30 processes with 60,000 open files each.
ulimit -n 65536
set -m
python3 - 2>"$OUT/files.log" <<'END' &
import os, time
for _ in range(60000):
    os.dup(0)
for _ in range(29):
    if os.fork() == 0:
        break
open(f"/run/work/files.{os.getpid()}", "w").close()
time.sleep(3600)
END
FILES=$!
set +m
all_open() { [ "$(ls "$WORK" | grep -c '^files\.')" -eq 30 ]; }
wait_for 60 "many files to be open" all_open
# holds WORD: the agent has a file of that kind open.
holds() { ls -l "/proc/$AGENT_PID/fd" | grep -q "anon_inode:\[\?$1"; }
# ended_when NAME SIGNAL WORD: the signal comes when the agent has a file of that kind.
ended_when() {
  local name=$1 code=0
  objects >"$OUT/$name.before"
  "$AGENT" 2>"$OUT/$name.log" &
  AGENT_PID=$!
  wait_for 60 "the agent to hold $3" holds "$3"
  grep -c attached "$OUT/$name.log" >"$OUT/$name.ready" || true
  kill "-$2" "$AGENT_PID"
  wait "$AGENT_PID" || code=$?
  echo "$code" >"$OUT/$name.code"
  wait_for 30 "the kernel to let go" released "$OUT/$name.before" || true
  objects >"$OUT/$name.after"
}
ended_when loading TERM bpf-map
ended_when attaching TERM bpf_link
ended_when walking TERM bpf_iter
ended_when killed-walking KILL bpf_iter
kill -- -$FILES
wait $FILES || true

step "the agent's answers on its port"
start_agent served
curl -sS -o "$OUT/live" -w '%{http_code}' "$METRICS/health/live" >"$OUT/live.status"
curl -sS -H 'Accept: application/openmetrics-text;version=1.0.0' -D "$OUT/openmetrics.head" "$METRICS/metrics" >"$OUT/openmetrics"
"$AGENT" --version >"$OUT/version"

step "another one on the same port"
objects >"$OUT/beside.before"
refused beside "$AGENT"
objects >"$OUT/beside.after"
scrape beside
stop_agent
