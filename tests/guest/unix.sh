# Scenario: Unix stream sockets: nginx before servers on them, clients of all kinds. `unix.rs` judges.
. tests/guest/lib.sh

BACK=$WORK/back.sock FRONT=$WORK/front.sock NODE=$WORK/node.sock
# start_server NAME http|echo SOCKET
start_server() {
  touch "$OUT/$1.served"
  python3 tests/guest/unix_server.py "$2" "$3" "$OUT/$1.served" 2>"$OUT/$1.log" &
  pid "$1" $!
  wait_for 30 "$1 to listen" grep -q listening "$OUT/$1.served"
}
start_unix_driver() { DRIVER=tests/guest/unix_driver.py start_driver "$1" "$2"; }
# closed NAME COUNT: so many connections are closed, as the server says.
closed() { [ "$(grep -c closed "$OUT/$1.served")" -eq "$2" ]; }
asked() { [ "$(wc -l <"$OUT/access")" -eq "$1" ]; }

step "servers, nginx, and 3 connections before the agent"
start_server back http "$BACK"
start_server abstract http @sockmeter/test
start_server echo echo "$WORK/echo.sock"
OTEL_SERVICE_NAME=orders node tests/guest/server.js "$NODE" 2>"$OUT/node.log" &
pid node $!
wait_for 60 "node to listen" test -S "$NODE"
touch "$OUT/access" "$OUT/front"
nginx -c "$PWD/tests/guest/unix.conf" -p "$WORK" 2>"$OUT/nginx.log" &
pid nginx $!
wait_for 30 "nginx to listen" listens 8080
start_unix_driver held "$BACK"
tell held "open 2"
tell held "named 1"
tell held "get 3 /ok"
start_agent agent
scrape started

step "what a call returns with that began before the agent is not seen: the servers' accepts, and a receive on each connection"
tell held "get 3 /ok"
# warm NAME SOCKET: a connection for the accept that waits.
warm() {
  start_unix_driver "warm-$1" "$2"
  tell "warm-$1" "open 1"
  tell "warm-$1" "close"
  end_driver "warm-$1"
  wait_for 20 "$1 to close" closed "$1" 1
}
warm back "$BACK"
warm abstract @sockmeter/test
warm echo "$WORK/echo.sock"

step "requests on the connections from before"
: >"$OUT/back.served"
scrape held-before
tell held "get 30 /ok /missing"
scrape held
cp "$OUT/back.served" "$OUT/held.served"
tell held "close"
wait_for 20 "the server to close" closed back 3
scrape held-closed
end_driver held

step "nginx to a server on a Unix socket"
: >"$OUT/back.served"
scrape proxied-before
start_driver proxied 127.0.0.1:8080
tell proxied "open 4"
tell proxied "get 200 /ok /created /missing /broken"
tell proxied "get 8 /sleep=200"
wait_for 10 "nginx to log" asked 208
scrape proxied
cp "$OUT/access" "$OUT/proxied.access"
cp "$OUT/back.served" "$OUT/proxied.served"
ss -xHn state established src "$BACK" | wc -l >"$OUT/proxied.ss"
: >"$OUT/access"
tell proxied "get 50 /node/x"
wait_for 10 "nginx to log" asked 50
scrape node
cp "$OUT/access" "$OUT/node.access"
end_driver proxied

step "curl to nginx, and to an abstract socket"
scrape curl-before
for number in $(seq 10); do
  path=/ok
  ((number % 3)) || path=/missing
  curl -sS -o "$WORK/curl.out" --unix-socket "$FRONT" "http://localhost$path"
done
logged_front() { [ "$(wc -l <"$OUT/front")" -eq 10 ]; }
wait_for 10 "nginx to log" logged_front
for _ in $(seq 5); do
  curl -fsS -o "$WORK/curl.out" --abstract-unix-socket sockmeter/test http://localhost/created
done
wait_for 20 "the server to close" closed abstract 6
scrape curl

step "a client with a name of its own"
: >"$OUT/back.served"
start_unix_driver bound "$BACK"
scrape bound-before
tell bound "named 1"
tell bound "get 7 /ok"
tell bound "close"
wait_for 20 "the server to close" closed back 1
scrape bound
end_driver bound

step "bytes that are no protocol"
start_unix_driver garbage "$WORK/echo.sock"
tell garbage "garbage 100000"
wait_for 20 "the server to close" closed echo 2
scrape garbage
end_driver garbage

step "pairs of sockets: every way to move bytes"
start_unix_driver ways -
tell ways "ways 40000"
tell ways "files 100000"
tell ways "rights 20"
scrape ways
tell ways "packets 5000"
scrape packets
end_driver ways
start_unix_driver child -
tell child "child 30000"
scrape child
end_driver child

step "connects that fail"
start_unix_driver fails -
tell fails "fails"
scrape fails
end_driver fails
stop_agent
