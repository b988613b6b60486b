# Scenario: requests that wait in the socket, because the server is stopped, and requests that do not.
# `queue.rs` judges.
. tests/guest/lib.sh

start_nginx
wait_for 10 "nginx's workers" pgrep -P "$NGINX_PID"
start_agent queue
mapfile -t WORKERS < <(pgrep -P "$NGINX_PID")

step "requests that nginx reads at once"
start_driver prompt 127.0.0.1:8080
tell prompt "open 1"
scrape idle
tell prompt "get 200 /ok"
scrape prompt
end_driver prompt

step "requests to a server that is stopped"
for plan in 0.3:3:kept 0.3:2:new 0.1:5:kept 0.02:5:kept; do
  python3 tests/guest/stopped.py 8080 "$plan" -- "${WORKERS[@]}" >"$OUT/waits-$plan"
  scrape "waited-$plan"
done
stop_agent
