# Scenario: connections of every shape are open when the agent starts. `adoption.rs` judges.
. tests/guest/lib.sh

step "another network namespace, which can be reached"
ip netns add far
ip link add near type veth peer name there netns far
ip address add 10.9.0.1/24 dev near
ip link set near up
ip -n far address add 10.9.0.2/24 dev there
ip -n far link set there up
ip -n far link set lo up

step "connections to nginx: idle, in the middle of a response, in the middle of a request"
start_nginx
start_driver idle 127.0.0.1:8080
tell idle "open 10"
tell idle "get 20 /ok"
start_driver half 127.0.0.1:8080
tell half "open 1"
tell half "half /users/1"
# Long: its rest is read in some 350 calls.
truncate -s 20000000 "$WORK/www/middle"
hold middle -- client 127.0.0.1:8080 1 --download /middle
hold bound -- client 127.0.0.1:8080 3 --bind 127.0.0.1:0
hold chosen -- client 127.0.0.1:8080 1 --bind 127.0.0.1:5555
held middle bound chosen

step "500 idle ones"
serve crowd -- 127.0.0.1:7100 500
hold crowd-client -- client 127.0.0.1:7100 500
held crowd crowd-client

step "the listening socket is closed; was given no queue; is shared with children"
serve orphan -- 127.0.0.1:7101 4 --close
hold orphan-client -- client 127.0.0.1:7101 4
serve zero -- 127.0.0.1:7102 1 --backlog 0
hold zero-client -- client 127.0.0.1:7102 1
serve shared -- 127.0.0.1:7103 2 --fork
hold shared-client -- client 127.0.0.1:7103 2
held orphan orphan-client zero zero-client shared shared-client

step "in other network and pid namespaces"
APART=(ip netns exec far unshare --pid --fork --kill-child)
serve far "${APART[@]}" -- 127.0.0.1:7104 3
hold far-client "${APART[@]}" -- client 127.0.0.1:7104 3
# The same addresses and ports as a pair in this namespace has.
serve twin "${APART[@]}" -- 127.0.0.1:8080 1
hold twin-client "${APART[@]}" -- client 127.0.0.1:8080 1 --bind 127.0.0.1:5555
held far far-client twin twin-client

step "to another host, or what looks like one"
serve remote "${APART[@]}" -- 10.9.0.2:7105 2
hold remote-client -- client 10.9.0.2:7105 2
held remote remote-client
serve remote-zero "${APART[@]}" -- 10.9.0.2:7106 1 --backlog 0
hold remote-bound -- client 10.9.0.2:7106 1 --bind 10.9.0.1:0
held remote-zero remote-bound

step "a server that waits in accept()"
serve blocked -- 127.0.0.1:7107 3 --stuck
held blocked
tell blocked accept

step "the agent starts"
ss -Htnp >"$OUT/near.ss"
ip netns exec far ss -Htnp >"$OUT/far.ss"
uname -r >"$OUT/kernel"
start_agent agent
scrape first

step "the server's accept() returns"
hold blocked-client -- client 127.0.0.1:7107 3
held blocked-client
tell blocked-client use
scrape blocked

step "all are used"
: >"$OUT/access"
CLIENTS="middle bound chosen crowd-client orphan-client zero-client shared-client far-client twin-client remote-client remote-bound"
tell idle "get 40 /ok"
tell half "finish"
tell half "get 1 /ok"
for name in $CLIENTS; do tell "$name" use; done
wait_for 10 "nginx to log" logged 48
scrape used

step "all are closed"
tell idle "close"
tell half "close"
for name in $CLIENTS blocked-client; do tell "$name" close; done
# Its parent holds the connections still.
kill -TERM "${DRIVER_PID[shared]}"
wait_for 20 "nginx to close" nobody_connected 8080
wait_for 20 "the servers to close" nobody_connected 7100
wait_for 20 "the servers to close" nobody_connected 7107
far_closed() { [ -z "$(ip netns exec far ss -Htn state established state close-wait)" ]; }
wait_for 20 "the far servers to close" far_closed
sleep 0.3
scrape closed
curl -fsS "$METRICS/health" >"$OUT/closed.health"
stop_agent
