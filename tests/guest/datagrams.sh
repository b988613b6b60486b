# Scenario: datagrams over all paths; programs and processes that follow each other. `datagrams.rs` judges.
. tests/guest/lib.sh

CASES="ipv4 ipv6 mapped many peek truncated empty more errors burst threads segments joined files forks execs"

# A shell that is its own program, and not one of the tree of this one.
COURIER="$WORK/courier"
cp /bin/bash "$COURIER"

move() { python3 tests/guest/datagrams.py "$1" "$OUT/$1.json" 2>"$OUT/$1.log"; }

step "a process that is older than the agent"
move older &
OLDER=$!
wait_for 30 "the older process" test -e "$OUT/older.json.ready"
start_agent agent
touch "$OUT/older.json.go"
wait_for 30 "the older process to be done" test -e "$OUT/older.json"
# Longer than between two drains; what moved last is told when it ends.
sleep 0.5
touch "$OUT/older.json.end"
wait $OLDER
scrape older

for case in $CASES; do
  step "$case"
  move "$case"
  scrape "$case"
done

step "a process that sends three datagrams and ends"
"$COURIER" -c 'for _ in 1 2 3; do printf 12345 >/dev/udp/127.0.0.1/9; done' &
SHORT=$!
pid short $SHORT
wait $SHORT
scrape short

step "two processes, one after the other, with one pid"
# take_pid PID: the next process gets it, if it is free.
take_pid() { echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; }
"$COURIER" -c 'printf 1 >/dev/udp/127.0.0.1/9; printf 22 >/dev/udp/127.0.0.1/9; printf 333 >/dev/udp/127.0.0.1/9' &
FIRST=$!
wait $FIRST
take_pid $FIRST
python3 tests/guest/datagrams.py ipv4 "$OUT/second.json" &
SECOND=$!
wait $SECOND
pid first $FIRST
pid second $SECOND
scrape reused
stop_agent

step "three processes at once in a table for two"
printf '[kernel]\ndatagram_processes_max = 2\n' >"$WORK/table.toml"
start_agent table --config "$WORK/table.toml"
RUNNING=()
for name in one two three; do
  mkfifo "$WORK/$name"
  "$COURIER" -c 'printf 55555 >/dev/udp/127.0.0.1/9; echo sent; read' <>"$WORK/$name" >"$OUT/$name.sent" &
  RUNNING+=($!)
  wait_for 20 "courier $name" test -s "$OUT/$name.sent"
done
scrape table
for name in one two three; do echo >"$WORK/$name"; done
wait "${RUNNING[@]}"
# There is room again, after the next drain.
sleep 0.5
"$COURIER" -c 'printf 333 >/dev/udp/127.0.0.1/9'
scrape room
stop_agent

step "200 processes of one datagram each, whose ends find no room: a ring of one page, and an agent that is stopped"
printf '[kernel]\nring_bytes = 4096\n' >"$WORK/ring.toml"
start_agent ring --config "$WORK/ring.toml"
kill -STOP "$AGENT_PID"
for _ in $(seq 40); do
  CHILDREN=()
  for _ in 1 2 3 4 5; do
    (printf 7777777 >/dev/udp/127.0.0.1/9) &
    CHILDREN+=($!)
  done
  wait "${CHILDREN[@]}"
done
kill -CONT "$AGENT_PID"
scrape ring
bpftool map dump name DATAGRAMS -j >"$OUT/ring.entries"
stop_agent
