# Scenario: an agent that may use a fifth of a processor, under a load that needs far more, and after it; then one
# with the default limit, under a load that it can follow. `limit.rs` judges.
. tests/guest/lib.sh

# So that a scrape, which takes in a whole ring, costs little of the limit.
printf '[kernel]\nring_bytes = 262144\n' >"$WORK/ring.toml"

# used NAME: CPU nanoseconds of the agent's threads, and the time.
used() {
  awk '{ sum += $1 } END { printf "%.0f", sum }' /proc/"$AGENT_PID"/task/*/schedstat >"$OUT/$1.cpu"
  cut -d' ' -f1 /proc/uptime >"$OUT/$1.uptime"
}
# said LEVEL: the agent's log has told of that level, in its last line about one.
settled() { ! grep -qF 'level="' "$OUT/limited.log" || said full; }
said() { grep -F 'level="' "$OUT/limited.log" | tail -n 1 | grep -qF "level=\"$1\""; }

start_nginx
CPU_LIMIT=0.2
start_agent limited --config "$WORK/ring.toml"
# What came right after the start may have cost too much.
sleep 3
wait_for 120 "a quiet agent" settled
scrape before
start_driver both 127.0.0.1:8080
tell both "open 4"
tell both "get 40 /ok"

step "20,000 requests over 8 kept connections"
used began
ab -q -k -n 20000 -c 8 http://127.0.0.1:8080/flood >"$OUT/kept" &
KEPT_PID=$!
pid kept "$KEPT_PID"
wait_for 120 "capture to be reduced to counts" said counts
curl -fsS "$METRICS/health" >"$OUT/reduced.health"
# On connections that were read before: nobody looks at these requests.
tell both "get 400 /ok"
scrape reduced
wait "$KEPT_PID"

step "2,000 requests with a connection each, while capture is still reduced"
ab -q -n 2000 -c 8 http://127.0.0.1:8080/flood >"$OUT/fresh" &
FRESH_PID=$!
pid fresh "$FRESH_PID"
wait "$FRESH_PID"
used ended
scrape loaded

step "after the load"
wait_for 180 "capture to be restored" said full
curl -fsS "$METRICS/health" >"$OUT/restored.health"
tell both "get 40 /created"
tell both "close"
end_driver both
wait_for 20 "nginx to close" nobody_connected 8080
scrape restored
start_driver calm 127.0.0.1:8080
tell calm "open 2"
tell calm "get 10 /created"
end_driver calm
scrape calm
stop_agent

step "what an agent with the default limit can follow"
CPU_LIMIT=1
start_agent moderate
scrape moderate-before
ab -q -k -n 5000 -c 2 http://127.0.0.1:8080/flood >"$OUT/moderate" &
MODERATE_PID=$!
pid moderate "$MODERATE_PID"
wait "$MODERATE_PID"
scrape moderate
stop_agent
