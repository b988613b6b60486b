# Scenario: how often the agent is woken, by whom, and whether a burst after a quiet time finds it. `wakeups.rs` judges.
. tests/guest/lib.sh

QUIET_SECONDS=20
TRACE=/sys/kernel/tracing

# switches NAME: when it is, and how often each of the agent's threads has gone to sleep by now.
switches() {
  cut -d' ' -f1 /proc/uptime >"$OUT/$1.switches"
  grep -h ^voluntary_ctxt_switches /proc/"$AGENT_PID"/task/*/status >>"$OUT/$1.switches"
}

# trace NAME COMMAND...: who wakes the agent's threads while the command runs.
trace() {
  local name=$1
  shift
  echo >"$TRACE/trace"
  echo 1 >"$TRACE/tracing_on"
  "$@"
  echo 0 >"$TRACE/tracing_on"
  grep sched_waking "$TRACE/trace" >"$OUT/$name.trace" || true
}

start_nginx
truncate -s 16384 "$WORK/www/page"
start_agent agent
echo 'comm == "pipeline" || comm == "sockmeter"' >"$TRACE/events/sched/sched_waking/filter"
echo 1 >"$TRACE/events/sched/sched_waking/enable"
start_driver burst 127.0.0.1:8080
tell burst "open 16"

step "nothing happens"
sleep 3
switches quiet-before
trace quiet sleep $QUIET_SECONDS
switches quiet-after

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
switches load-after
scrape load
stop_agent
