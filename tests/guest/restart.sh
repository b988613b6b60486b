# Scenario: the agent ends and starts again while requests run. `restart.rs` judges.
# Processors: in turn.
. tests/guest/lib.sh

step "20 connections, and load"
start_nginx
start_agent first
start_driver load 127.0.0.1:8080
tell load "open 20"
tell load "get 200 /ok"
scrape first
tell load "load /ok"
sleep 0.5
stop_agent
echo "$STOPPED" >"$OUT/first.code"
bpftool prog show -j >"$OUT/progs-between"

step "the second agent, under the same load"
start_agent second
connected 8080 >"$OUT/second.ss"
scrape second
sleep 0.5
tell load "stop"
scrape settled

step "requests that only the second agent saw"
tell load "get 400 /ok /missing"
scrape counted
tell load "close"
wait_for 20 "nginx to close" nobody_connected 8080
scrape closed
end_driver load
stop_agent
