# Scenario: of three servers two are excluded: one that has connections when the agent comes, and one that a shell
# executes later. Their clients, and the third, are not. `exclude.rs` judges.
. tests/guest/lib.sh

# python NAME PORT COMMAND...: a server with an executable of its own; it closes after each answer.
python() {
  local name=$1 port=$2
  shift 2
  PYTHONHOME=/usr "$@" -m http.server "$port" --bind 127.0.0.1 --directory "$WORK/www" 2>"$OUT/$name.server" &
  pid "$name" $!
  wait_for 30 "$name to listen" listens "$port"
}

start_nginx
echo hello >"$WORK/www/page"
cp "$(readlink -f /usr/bin/python3)" "$WORK/hidden"
cp "$WORK/hidden" "$WORK/shown"
start_driver old 127.0.0.1:8080
tell old "open 2"
tell old "get 10 /ok"

start_agent excluding --exclude nginx --exclude "$WORK/hidden"
python shown 8002 "$WORK/shown"
# The shell is not excluded, and becomes what is.
python hidden 8001 bash -c 'exec "$0" "$@"' "$WORK/hidden"

step "the agent has found out"
start_driver first 127.0.0.1:8001
tell first "fresh 2 /page"
tell old "get 10 /ok"
scrape found

step "requests to all three"
tell old "get 50 /ok"
start_driver new 127.0.0.1:8080
tell new "open 4"
tell new "get 40 /ok"
tell new "fresh 20 /ok"
start_driver hidden-client 127.0.0.1:8001
tell hidden-client "fresh 20 /page"
start_driver shown-client 127.0.0.1:8002
tell shown-client "fresh 20 /page"
scrape all
curl -fsS "$METRICS/health" >"$OUT/all.health"
# What the kernel side has in its table of processes.
bpftool -j map dump name EXCLUDED >"$OUT/told"

step "an excluded server starts anew"
for driver in old first new hidden-client shown-client; do end_driver "$driver"; done
kill -QUIT "$NGINX_PID"
wait "$NGINX_PID"
scrape stopped
start_nginx
start_driver again 127.0.0.1:8080
tell again "fresh 20 /ok"
# Longer than an ended process is remembered.
sleep 3
scrape again
end_driver again
stop_agent
