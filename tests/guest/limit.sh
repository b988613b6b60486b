# Scenario: an agent that may use less than a load needs, under that load, and after it; then one
# with the default limit, under a load that it can follow. `limit.rs` judges.
# Guests: no other.
. tests/guest/lib.sh

# So that a scrape, which takes in a whole ring, costs little of the limit.
printf '[kernel]\nring_bytes = 262144\n' >"$WORK/ring.toml"

# used NAME: CPU nanoseconds of the agent's threads, and the time.
used() {
  awk '{ sum += $1 } END { printf "%.0f", sum }' /proc/"$AGENT_PID"/task/*/schedstat >"$OUT/$1.cpu"
  echo >>"$OUT/$1.cpu"
  cut -d' ' -f1 /proc/uptime >"$OUT/$1.uptime"
}
# Processes that begin and end are work for the agent, so what follows waits without any.
exec {NEVER}<> <(:)
pause() { read -rt "$1" -u "$NEVER" || true; }
# until_said LEVEL SECONDS: until the last line of the agent's log about a level tells of that one; "full" also if there
# is none.
until_said() {
  local end=$((SECONDS + $2)) line last
  while true; do
    last='level="full"'
    while read -r line; do [[ $line != *' level="'* ]] || last=$line; done <"$OUT/limited.log"
    [[ $last != *"level=\"$1\""* ]] || return 0
    if ((SECONDS >= end)); then
      echo "waited too long for: level $1"
      return 1
    fi
    pause 1
  done
}
# ask NAME COMMAND: as tell does.
ask() {
  local end=$((SECONDS + 120)) lines
  TOLD[$1]=$((${TOLD[$1]:-0} + 1))
  echo "$2" >&"${COMMANDS[$1]}"
  while true; do
    pause 1
    mapfile -t lines <"$OUT/$1.driver"
    ((${#lines[@]} < TOLD[$1])) || return 0
    ((SECONDS < end))
  done
}

start_nginx

step "what the load needs"
start_agent free
used free-began
ab -q -k -n 3000 -c 8 http://127.0.0.1:8080/flood >"$OUT/free"
used free-ended
stop_agent
# Emulated, the looks at an empty ring in the two seconds after a record need nearly half as much.
CPU_LIMIT=$(cat "$OUT"/free-{began,ended}.{cpu,uptime} | awk '
  { at[NR] = $1 }
  END { limit = 0.6 * (at[3] - at[1]) / 1e9 / (at[4] - at[2]); printf "%.3f", limit < 0.01 ? 0.01 : limit }')
echo "$CPU_LIMIT" >"$OUT/limit"
step "limit: $CPU_LIMIT"
start_agent limited --config "$WORK/ring.toml"
# What came right after the start may have cost too much.
sleep 3
until_said full 180
scrape before
start_driver both 127.0.0.1:8080
tell both "open 4"
tell both "get 40 /ok"

step "60,000 requests over 8 kept connections"
used began
ab -q -k -n 60000 -c 8 http://127.0.0.1:8080/flood >"$OUT/kept" &
KEPT_PID=$!
pid kept "$KEPT_PID"
until_said counts 120
# All of this at once: after some seconds in which it needs little the agent tries whether it may look at more.
curl -fsS "$METRICS/health" >"$OUT/reduced.health"
scrape counting
# On connections that were read before: nobody looks at these requests.
tell both "get 400 /ok"
step "beside them 1,000 requests with a connection each"
ab -q -n 1000 -c 8 http://127.0.0.1:8080/flood >"$OUT/fresh" &
FRESH_PID=$!
pid fresh "$FRESH_PID"
wait "$FRESH_PID"
scrape loaded
wait "$KEPT_PID"
used ended
# The last one that shows the load's own series.
scrape reduced

step "after the load"
until_said full 240
curl -fsS "$METRICS/health" >"$OUT/restored.health"
pause 3
ask both "get 40 /created"
ask both "close"
pause 3
scrape restored
pause 3
start_driver calm 127.0.0.1:8080
pause 3
ask calm "open 2"
ask calm "get 10 /created"
pause 3
scrape calm
end_driver both
end_driver calm
stop_agent

step "what an agent with the default limit can follow"
CPU_LIMIT=1
start_agent moderate
scrape moderate-before
ab -q -k -n 3000 -c 2 http://127.0.0.1:8080/flood >"$OUT/moderate" &
MODERATE_PID=$!
pid moderate "$MODERATE_PID"
wait "$MODERATE_PID"
scrape moderate
stop_agent
