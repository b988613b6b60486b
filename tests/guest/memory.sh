# Scenario: the memory of the agent and of its maps in the kernel, idle and with many series and connections.
# `memory.rs` judges.
. tests/guest/lib.sh

ulimit -n 131072
# As many as the names of routes are; two ends of 25,000 connections.
printf '[series]\nroutes_max_per_process = 10000\n' >"$WORK/routes.toml"
printf '[kernel]\nconnections_max = 65536\n[series]\nroutes_max_per_process = 10000\n' >"$WORK/many.toml"

# weigh NAME: what the agent and its maps take now.
weigh() {
  cat /proc/"$AGENT_PID"/status /proc/"$AGENT_PID"/smaps_rollup >"$OUT/$1.process"
  bpftool map show -j >"$OUT/$1.maps"
}

# crowd NAME: starts a process that can be both ends of many connections. tell_crowd N ROUTES: makes it so.
crowd() {
  mkfifo "$WORK/$1.commands"
  python3 tests/guest/crowd.py 8095 <"$WORK/$1.commands" >"$OUT/$1.crowd" 2>"$OUT/$1.log" &
  CROWD=$1 CROWD_PID=$!
  exec {CROWD_FD}<>"$WORK/$1.commands"
  pid "$1" "$CROWD_PID"
  wait_for 30 "$1 to listen" grep -q listening "$OUT/$1.crowd"
}
tell_crowd() {
  echo "$1" >&"$CROWD_FD"
  wait_for 400 "$CROWD to hold its connections" grep -q holds "$OUT/$CROWD.crowd"
  # Until all is told, and the kernel has freed what it frees later.
  sleep 2
}

step "idle"
start_agent idle
sleep 2
weigh idle
stop_agent

step "10,000 series"
start_agent some --config "$WORK/routes.toml"
crowd some-ends
tell_crowd "620 620"
weigh some-before
scrape some
weigh some
kill "$CROWD_PID"
wait "$CROWD_PID" || true
stop_agent

step "100,000 series, 50,000 ends of connections"
start_agent many --config "$WORK/many.toml"
crowd many-ends
tell_crowd "25000 5900"
weigh many-before
scrape many
weigh many
step "done"
kill "$CROWD_PID"
wait "$CROWD_PID" || true
stop_agent
