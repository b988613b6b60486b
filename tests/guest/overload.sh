# Scenario: a ring of one page, a table of twelve connections, slots that are used again at once.
# `overload.rs` judges.
. tests/guest/lib.sh

printf '[kernel]\nring_bytes = 4096\n' >"$WORK/ring.toml"
printf '[kernel]\nconnections_max = 12\n' >"$WORK/table.toml"

step "a socket that outlives its connection: reset, and still held by this shell"
start_nginx
start_agent ring --config "$WORK/ring.toml"
python3 -c 'import socket, time
listener = socket.create_server(("127.0.0.1", 8094))
held = listener.accept()
time.sleep(600)' &
DEAF_PID=$!
wait_for 30 "the deaf server" listens 8094
exec {HELD}<>/dev/tcp/127.0.0.1/8094
echo unread >&"$HELD"
kill -KILL "$DEAF_PID"
wait "$DEAF_PID" || true
# Longer than an ended connection is remembered.
sleep 3

step "2000 requests through a ring of one page"
scrape ring-before
start_driver flood 127.0.0.1:8080
tell flood "open 8"
tell flood "get 2000 /ok"
tell flood "close"
wait_for 20 "nginx to close" nobody_connected 8080
scrape flooded
end_driver flood
exec {HELD}>&-

step "100,000 requests through it, of another program"
scrape hundred-before
curl -fsS http://127.0.0.1:8081/stub_status >"$OUT/hundred-before.stub"
ab -q -k -n 100000 -c 8 http://127.0.0.1:8080/flood >"$OUT/ab" &
AB_PID=$!
pid ab "$AB_PID"
wait "$AB_PID"
wait_for 20 "nginx to close" nobody_connected 8080
curl -fsS http://127.0.0.1:8081/stub_status >"$OUT/hundred.stub"
scrape hundred

step "one request after the other through the same ring"
start_driver calm 127.0.0.1:8080
tell calm "open 1"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  tell calm "get 1 /created"
  scrape calm
done
end_driver calm
stop_agent

step "8 connections in a table for 12 ends, of which nginx and its own processes have some"
start_agent table --config "$WORK/table.toml"
start_driver many 127.0.0.1:8080
tell many "open 8"
tell many "get 80 /ok"
scrape table
end_driver many
wait_for 20 "nginx to close" nobody_connected 8080
stop_agent

step "200 downloads of 300 kB, a connection each"
truncate -s 300000 "$WORK/www/middle"
start_agent slots
start_driver reused 127.0.0.1:8080
scrape slots-before
tell reused "fresh 200 /middle"
wait_for 20 "nginx to close" nobody_connected 8080
scrape slots
end_driver reused
stop_agent
