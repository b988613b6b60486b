# Scenario: how often the agent is woken, by whom, and whether a burst after a quiet time finds it. `wakeups.rs` judges.
. tests/guest/lib.sh

QUIET_SECONDS=20
TRACE=/sys/kernel/tracing

# nap SECONDS: without a process of its own, which would be something that happens.
nap() {
  read -rt "$1" <>"$WORK/nap" || true
}

# switches NAME: when it is, and how often each of the agent's threads has gone to sleep by now. Without a process too.
switches() {
  local uptime key count status
  read -r uptime _ </proc/uptime
  echo "$uptime" >"$OUT/$1.switches"
  for status in /proc/"$AGENT_PID"/task/*/status; do
    while read -r key count; do
      if [ "$key" = voluntary_ctxt_switches: ]; then
        echo "$count" >>"$OUT/$1.switches"
      fi
    done <"$status"
  done
}

# trace NAME COMMAND...: what wakes the agent's threads while the command runs, with the kernel's stacks.
trace() {
  local name=$1
  shift
  echo >"$TRACE/trace"
  echo 1 >"$TRACE/tracing_on"
  "$@"
  switches "$name-after"
  echo 0 >"$TRACE/tracing_on"
  cp "$TRACE/trace" "$OUT/$name.trace"
}

start_nginx
truncate -s 16384 "$WORK/www/page"
start_agent agent
echo 'comm == "pipeline" || comm == "sockmeter"' >"$TRACE/events/sched/sched_waking/filter"
echo 1 >"$TRACE/options/stacktrace"
echo 1 >"$TRACE/events/sched/sched_waking/enable"
start_driver burst 127.0.0.1:8080
tell burst "open 16"

step "nothing happens"
mkfifo "$WORK/nap"
nap 3
switches quiet-before
trace quiet nap $QUIET_SECONDS

step "a burst after a quiet time: 3000 pages of 16 KiB over 16 connections"
scrape burst-before
sleep 3
tell burst "get 3000 /page"
scrape burst-after
end_driver burst

step "load"
sleep 1
switches load-before
trace load ab -q -k -n 5000 -c 4 http://127.0.0.1:8080/flood >"$OUT/ab"
scrape load
stop_agent
