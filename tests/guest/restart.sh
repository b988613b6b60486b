# Scenario: the agent ends, is killed and is replaced while requests run. `restart.rs` judges.
# Processors: in turn.
. tests/guest/lib.sh

# As OpenMetrics, in which counters say since when they count.
scrape() {
  curl -fsS -H "Accept: application/openmetrics-text;version=1.0.0" "$METRICS/metrics" >"$OUT/$1.prom"
  date +%s.%N >"$OUT/$1.time"
}
# start NAME [FLAG...]: an agent, and when it was started.
start() {
  date +%s.%N >"$OUT/$1.started"
  start_agent "$@"
  connected 8080 >"$OUT/$1.ss"
}
# gone NAME FILE: waits until the kernel has let go of all that it did not have when FILE was written. That may take a
# while after the agent's end: what programs use is freed when no processor can be inside them.
gone() {
  wait_for 30 "the kernel to let go of the agent's programs" released "$2" || true
  objects >"$OUT/$1.objects"
}

# killed NAME [FLAG...]: under load an agent with these flags ends without a chance to clean up, and the next one
# begins. Leaves that one running, and the load.
killed() {
  local name=$1 code=0
  shift
  start "$name" "$@"
  tell load "load /ok"
  sleep 0.5
  objects >"$OUT/$name-during.objects"
  scrape "$name-last"
  kill -KILL "$AGENT_PID"
  wait "$AGENT_PID" || code=$?
  echo "$code" >"$OUT/$name.code"
  gone "$name-after" "$OUT/nothing.objects"
  start "$name-next" "$@"
  scrape "$name-next"
  sleep 0.5
  tell load "stop"
  scrape "$name-settled"
}

step "20 connections, and load"
start_nginx
objects >"$OUT/nothing.objects"
start first
start_driver load 127.0.0.1:8080
tell load "open 20"
tell load "get 200 /ok"
scrape first
tell load "load /ok"
sleep 0.5
scrape last
stop_agent
echo "$STOPPED" >"$OUT/first.code"
gone between "$OUT/nothing.objects"

step "the second agent, under the same load"
start second
scrape second
sleep 0.5
tell load "stop"
scrape settled

step "requests that only the second agent saw"
tell load "get 400 /ok /missing"
scrape counted
stop_agent

step "an agent that is killed"
killed killed
stop_agent
gone killed-end "$OUT/nothing.objects"

step "a new agent beside the old one"
start old
objects >"$OUT/old.objects"
tell load "load /ok"
OLD_PID=$AGENT_PID OLD_METRICS=$METRICS NEW_METRICS=http://127.0.0.1:9436
METRICS=$NEW_METRICS
start new --listen 127.0.0.1:9436
scrape new
sleep 0.5
tell load "stop"
# both NAME: a scrape of each.
both() {
  METRICS=$OLD_METRICS
  scrape "old-$1"
  METRICS=$NEW_METRICS
  scrape "new-$1"
}
both settled
tell load "get 400 /ok /missing"
both counted

step "the old one ends under load"
tell load "load /ok"
kill -TERM "$OLD_PID"
wait "$OLD_PID"
old_is_gone() { ! objects | grep -qxFf <(grep -E "^(prog|map|link) " "$OUT/old.objects"); }
wait_for 30 "the kernel to let go of the old agent's programs" old_is_gone || true
objects >"$OUT/new.objects"
scrape new-alone
sleep 0.5
tell load "stop"
scrape new-alone-settled
tell load "get 200 /ok"
scrape new-alone-counted
tell load "close"
wait_for 20 "nginx to close" nobody_connected 8080
scrape closed
end_driver load
stop_agent
gone end "$OUT/nothing.objects"
