# Scenario: long, late, broken and refused exchanges, other servers, other clients. `shapes.rs` and `others.rs` judge.
. tests/guest/lib.sh

step "servers"
start_nginx
python3 tests/guest/handler.py 8090 "$OUT/handled" 2>"$OUT/handler.log" &
HANDLER_PID=$!
pid handler $HANDLER_PID
python3 tests/guest/echo.py 8093 2>"$OUT/echo.log" &
pid echo $!
OTEL_SERVICE_NAME=orders node tests/guest/server.js 8091 2>"$OUT/node.log" &
NODE_PID=$!
pid node $NODE_PID
echo hello >"$WORK/www/file"
# In a cgroup as Docker names it (cgroup v2, systemd driver).
CONTAINER=3f4ab1c5d0b1e7a9f6c2d4e8b0a1c3e5f7092b4d6f8a0c1e3b5d7f9012345678
mkdir -p "/sys/fs/cgroup/docker-$CONTAINER.scope"
echo "$CONTAINER" >"$OUT/container"
bash -c "echo \$\$ >/sys/fs/cgroup/docker-$CONTAINER.scope/cgroup.procs; exec python3 -m http.server 8092 --bind 127.0.0.1 --directory $WORK/www" >"$OUT/files.log" 2>&1 &
FILES_PID=$!
pid files $FILES_PID
touch "$OUT/handled"
for port in 8090 8091 8092 8093; do wait_for 60 "port $port" listens $port; done
start_agent agent

handled() { [ "$(wc -l <"$OUT/handled")" -eq "$1" ]; }

step "handlers that sleep"
start_driver sleep 127.0.0.1:8090
tell sleep "open 4"
tell sleep "get 20 /sleep?ms=200"
wait_for 10 "the handlers to log" handled 20
scrape sleep
tell sleep "get 8 /drip?ms=200"
wait_for 10 "the handlers to log" handled 28
scrape drip
end_driver sleep

step "Node, http.server, curl"
start_driver asks-node 127.0.0.1:8091
tell asks-node "open 4"
tell asks-node "get 100 /things"
tell asks-node "post 20 5000 /things"
start_driver asks-files 127.0.0.1:8092
tell asks-files "fresh 30 /file"
scrape others
end_driver asks-node
end_driver asks-files
for port in 8080/ok 8091/things 8092/file; do curl -fsS -o "$WORK/curl.out" "http://127.0.0.1:$port"; done
scrape curl
LONG=$(head -c 7000 /dev/zero | tr '\0' x)
for port in 8091/things 8092/file; do curl -fsS -H "X-Long: $LONG" -o "$WORK/curl.out" "http://127.0.0.1:$port"; done
scrape long-heads
echo "node $(basename "$(readlink /proc/$NODE_PID/exe)")" >"$OUT/executables"
echo "files $(basename "$(readlink /proc/$FILES_PID/exe)")" >>"$OUT/executables"

step "a download of 60 MB, read slowly; the same without sendfile"
wait_for 20 "nginx to close" nobody_connected 8080
: >"$OUT/access"
scrape slow-before
start_driver slow 127.0.0.1:8080
tell slow "open 1"
tell slow "slow 20000000 /big"
wait_for 10 "nginx to log" logged 1
scrape slow
cp "$OUT/access" "$OUT/slow.access"
end_driver slow
start_driver copied 127.0.0.1:8080
tell copied "open 1"
tell copied "get 1 /copied/big"
scrape copied
end_driver copied

step "half a request, its rest later"
: >"$OUT/access"
start_driver half 127.0.0.1:8080
tell half "open 1"
scrape half-before
tell half "half /users/1"
sleep 0.5
scrape half
tell half "finish"
wait_for 10 "nginx to log" logged 1
scrape half-finished
cp "$OUT/access" "$OUT/half.access"
end_driver half

step "half a request, and the client is killed"
start_driver halfkilled 127.0.0.1:8080
tell halfkilled "open 1"
tell halfkilled "half /ok"
is_connected() { [ "$(connected 8080)" -gt 0 ]; }
wait_for 20 "nginx to accept" is_connected
scrape halfkilled-before
kill_driver halfkilled
wait_for 20 "nginx to close" nobody_connected 8080
scrape halfkilled

step "a client that is killed while it waits for its answer"
start_driver killed 127.0.0.1:8090
tell killed "open 1"
tell killed "request /sleep?ms=2500"
sleep 0.5
scrape killed-before
kill_driver killed
wait_for 20 "the handler to log" handled 29
wait_for 20 "the handler to close" nobody_connected 8090
scrape killed

step "a refused connect"
start_driver refused 127.0.0.1:9
tell refused "refused"
scrape refused
end_driver refused

step "bytes that are no protocol"
start_driver garbage 127.0.0.1:8093
tell garbage "open 1"
tell garbage "garbage 100000"
scrape garbage
end_driver garbage

step "bytes that are no request, to nginx, which answers 400 to them"
exec 3<>/dev/tcp/127.0.0.1/8080
head -c 300 /dev/zero | tr '\0' '\1' >&3
cat <&3 >"$OUT/noise.answer"
exec 3>&-
wait_for 20 "nginx to close" nobody_connected 8080
scrape noise

step "requests that go with the SYN, and one of them to a port where nobody listens"
modprobe sch_netem
echo 3 >/proc/sys/net/ipv4/tcp_fastopen
python3 tests/guest/fast_open.py server 8094 2>"$OUT/fast_open_server.log" &
wait_for 20 "its server to listen" listens 8094
tc qdisc add dev lo root netem delay 50ms
python3 tests/guest/fast_open.py client 8094 9 "$OUT/early.json" 2>"$OUT/early.log" &
EARLY_PID=$!
pid early $EARLY_PID
wait $EARLY_PID
tc qdisc del dev lo root
sleep 0.3
scrape early

step "ab and wrk"
: >"$OUT/access"
scrape ab-before
ab -n 200 -c 4 http://127.0.0.1:8080/ok >"$OUT/ab" 2>&1
wait_for 20 "nginx to close" nobody_connected 8080
scrape ab
cp "$OUT/access" "$OUT/ab.access"
: >"$OUT/access"
wrk -t 1 -c 4 -d 2s http://127.0.0.1:8080/ok >"$OUT/wrk" 2>&1
wait_for 20 "nginx to close" nobody_connected 8080
sleep 0.3
scrape wrk
cp "$OUT/access" "$OUT/wrk.access"
stop_agent
