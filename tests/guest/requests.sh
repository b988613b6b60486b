# Scenario: nginx and a driver; every count, byte and connection. `requests.rs` judges.
. tests/guest/lib.sh

step "nginx, and 20 connections before the agent"
start_nginx
start_driver held 127.0.0.1:8080
tell held "open 20"
tell held "get 20 /ok"
wait_for 10 "nginx to log" logged 20
: >"$OUT/access"
bpftool prog show -j >"$OUT/progs-before"
start_agent agent
scrape started

step "30 connections more, requests on all 50"
tell held "open 30"
tell held "get 100 /ok"
connected 8080 >"$OUT/held.ss"
scrape held
tell held "close"
wait_for 20 "nginx to close 50 connections" nobody_connected 8080
scrape closed
end_driver held

step "2000 requests over 8 connections"
start_driver keepalive 127.0.0.1:8080
tell keepalive "open 8"
scrape keepalive-before
tell keepalive "get 2000 /ok /created /moved /missing /broken"
scrape keepalive
end_driver keepalive

step "200 requests with a connection each"
start_driver fresh 127.0.0.1:8080
tell fresh "fresh 200 /ok /missing"
wait_for 20 "nginx to close" nobody_connected 8080
scrape fresh
end_driver fresh

step "10 requests in one write, three times"
start_driver pipeline 127.0.0.1:8080
tell pipeline "open 1"
for _ in 1 2 3; do tell pipeline "pipeline 10 /created"; done
scrape pipeline
end_driver pipeline

step "bodies, and paths that are one route"
start_driver various 127.0.0.1:8080
tell various "open 4"
tell various "post 20 20000 /created"
tell various "get 30 /users/17 /users/18 /users/194423"
wait_for 10 "nginx to log" logged $((100 + 2000 + 200 + 30 + 50))
scrape various
end_driver various
wait_for 20 "nginx to close" nobody_connected 8080
scrape ended
# Calls of an ended process may still be on their way for a second; then one scrape shows it a last time.
forgotten() { scrape after-ended && ! grep -q "process_pid=\"${DRIVER_PID[various]}\"" "$OUT/after-ended.prom"; }
wait_for 20 "the agent to forget the driver" forgotten || true

step "nginx's own counts"
curl -fsS http://127.0.0.1:8081/stub_status >"$OUT/stub_status"
cat "/proc/$NGINX_PID/task/$NGINX_PID/children" >"$OUT/nginx-workers"
readlink "/proc/$NGINX_PID/exe" >"$OUT/nginx-exe"

step "kernel memory"
bpftool map show -j >"$OUT/maps"
bpftool prog show -j >"$OUT/progs-during"

step "promtool and a Prometheus"
start_driver scraped 127.0.0.1:8080
tell scraped "open 2"
tell scraped "get 100 /ok"
promtool check metrics <"$OUT/various.prom" >"$OUT/promtool" 2>&1 && code=0 || code=$?
echo $code >"$OUT/promtool.code"
cat >"$WORK/prometheus.yml" <<EOF
global: {scrape_interval: 1s}
scrape_configs: [{job_name: sockmeter, static_configs: [{targets: ["127.0.0.1:9435"]}]}]
EOF
# Or Prometheus waits 10 s for a name server that the guest does not have.
echo "127.0.0.1 $(hostname)" >>/etc/hosts
prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/prometheus" \
  --web.listen-address=127.0.0.1:9090 2>"$OUT/prometheus.log" &
PROMETHEUS_PID=$!
query() { curl -fsS --get http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1"; }
counted="sum(http_server_request_duration_seconds_count{process_pid=\"$NGINX_PID\"})"
has_scraped() { query "$counted" | grep -q '"value"'; }
wait_for 60 "Prometheus to scrape" has_scraped
query "$counted" >"$OUT/prometheus.counted"
query "sum(sockmeter_connections_active{process_pid=\"$NGINX_PID\",role=\"server\"})" >"$OUT/prometheus.active"
query "max(http_server_request_duration_seconds_created{process_pid=\"$NGINX_PID\"})" >"$OUT/prometheus.created"
curl -fsS -H "Accept: application/openmetrics-text;version=1.0.0" "$METRICS/metrics" >"$OUT/openmetrics"
curl -fsS http://127.0.0.1:9090/api/v1/targets >"$OUT/prometheus.targets"
kill -TERM $PROMETHEUS_PID
scrape scraped
end_driver scraped
stop_agent
echo "$STOPPED" >"$OUT/agent.code"
bpftool prog show -j >"$OUT/progs-after"
