# Scenario: servers that do not accept. `accept.rs` judges.
. tests/guest/lib.sh

# queues NAME: what the kernel says of all listening sockets, here and in `far`, and of what was dropped.
queues() {
  ss -Htlnmp >"$OUT/$1.near.ss"
  ip netns exec far ss -Htlnmp >"$OUT/$1.far.ss"
  nstat -aszj >"$OUT/$1.near.nstat"
  ip netns exec far nstat -aszj >"$OUT/$1.far.nstat"
}
# connected_clients N PORT [WORD...]: N clients of a port are connected, as the command line WORD... sees it.
connected_clients() { [ "$("${@:3}" ss -Htn state established "dport = :$2" | wc -l)" -eq "$1" ]; }

ip netns add far
ip -n far link set lo up
# With cookies, those that are turned away believe that they are connected.
sysctl -q net.ipv4.tcp_syncookies=0
ip netns exec far sysctl -q net.ipv4.tcp_syncookies=0
FAR=(ip netns exec far)
APART=("${FAR[@]}" unshare --pid --fork --kill-child)

step "a server that was stuck before the agent came, and one in another namespace"
serve stuck -- 127.0.0.1:7200 10 --backlog 2 --stuck
hold stuck-client -- client 127.0.0.1:7200 10 --nowait
serve far "${APART[@]}" -- 127.0.0.1:7200 8 --backlog 4 --stuck
hold far-client "${APART[@]}" -- client 127.0.0.1:7200 8 --nowait
held stuck stuck-client far far-client
start_agent agent
queues stuck
scrape stuck
queues stuck-later

step "they accept"
tell stuck accept
tell far accept
# has_drained [WORD...]: nobody waits on port 7200, seen from where the command line WORD... leads.
has_drained() { "$@" ss -Htln 'sport = :7200' | grep -q 'LISTEN *0'; }
wait_for 20 "the queue to be empty" has_drained
wait_for 20 "the queue to be empty" has_drained "${FAR[@]}"
scrape accepted

step "one that begins to listen under the agent; SO_REUSEPORT; one whose parent ends"
serve late -- 127.0.0.1:7201 6 --backlog 3 --stuck
hold late-client -- client 127.0.0.1:7201 6 --nowait
serve twice -- 127.0.0.1:7202 1 --backlog 5 --stuck --twice
serve heir -- 127.0.0.1:7203 1 --backlog 9 --stuck --leave
held late late-client twice
# A holder that has ended is looked for at most this often.
sleep 5
pid heir "$(pgrep -f 'held.py server 127.0.0.1:7203')"
queues late
scrape late
queues late-later

step "those that were turned away try again, and come in"
tell late accept
wait_for 70 "all to be connected" connected_clients 10 7200
wait_for 70 "all to be connected" connected_clients 8 7200 "${FAR[@]}"
wait_for 70 "all to be connected" connected_clients 6 7201
scrape connected
for name in stuck-client far-client late-client; do tell "$name" use; done
scrape used

step "one that executes another program, which inherits the socket"
python3 -c '
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 7204), backlog=7)
listener.set_inheritable(True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
os.execv("/bin/sleep", ["sleep", "600"])' "$WORK/become" &
HEIR=$!
pid became "$HEIR"
wait_for 20 "it to listen" listens 7204
scrape before-exec
touch "$WORK/become"
has_become() { [ "$(cat "/proc/$HEIR/comm")" = sleep ]; }
wait_for 20 "it to be another program" has_become
# Until the old program is forgotten.
sleep 1.5
scrape after-exec
scrape long-after-exec
kill "$HEIR"

step "one stops to listen, one ends"
tell stuck deaf
end_driver late
sleep 0.3
scrape ended
stop_agent
