# Scenario: whose a connection is: processes that share, inherit, pass on and take over sockets. `who.rs` judges.
. tests/guest/lib.sh

# Beside the driver; as another executable, too.
HOLDER=$(dirname "$DRIVER")/holder OTHER=$WORK/other
cp "$HOLDER" "$OTHER"
export HOLDER_REPORT=$OUT/who.jsonl HOLDER_LETTERS=$WORK/letters
mkdir -p "$HOLDER_LETTERS"

# party NAME [PREFIX...]: a process that waits for commands, started through PREFIX if there is one. Where LAST_PID is
# set, the kernel gives pids from there on.
declare -A PARTY ORDERS ANSWERS
party() {
  local name=$1 orders answers
  shift
  rm -f "$WORK/$name".{orders,answers}
  mkfifo "$WORK/$name".{orders,answers}
  [ -z "${LAST_PID:-}" ] || echo "$LAST_PID" >/proc/sys/kernel/ns_last_pid
  OTEL_SERVICE_NAME=$name "$@" "$HOLDER" <"$WORK/$name.orders" >"$WORK/$name.answers" 2>>"$OUT/holder.log" &
  PARTY[$name]=$!
  # Both ways open at both ends, so that neither side waits for the other to open.
  exec {orders}<>"$WORK/$name.orders" {answers}<>"$WORK/$name.answers"
  ORDERS[$name]=$orders ANSWERS[$name]=$answers
  finish "$name"
}
# begin NAME COMMAND, finish NAME: a command that waits for what others do in between.
begin() { echo "$2" >&"${ORDERS[$1]}"; }
finish() {
  local answer
  if ! read -r -t 60 answer <&"${ANSWERS[$1]}" || [ "$answer" != "done" ]; then
    echo "party $1: ${answer:-no answer}"
    # Also where a list of commands would go on.
    exit 1
  fi
}
# tell NAME COMMAND
tell() { begin "$1" "$2" && finish "$1"; }
# leave NAME...: they end, and have ended when this returns.
leave() {
  local name
  for name; do tell "$name" quit; done
  for name; do wait "${PARTY[$name]}" || true; done
}
# mark NAME: a scrape, and up to where the processes' own reports belong to it.
mark() {
  scrape "$1"
  echo "{\"scrape\": \"$1\"}" >>"$HOLDER_REPORT"
}
# reported WHO: it runs.
reported() { grep -q "\"name\":\"$1\"" "$HOLDER_REPORT"; }
# closed PORT: the kernel has no connection there any more that a process may hold.
closed() {  [ -z "$(ss -Htn state established state close-wait "( sport = :$1 or dport = :$1 )")" ]; }

start_agent agent

step "both ends on this host: IPv4, IPv6, IPv4 at an IPv6 socket, and one process at both ends"
for version in "4 127.0.0.1:7001 127.0.0.1:7001" "6 [::1]:7002 [::1]:7002" \
  "mapped [::]:7003 127.0.0.1:7003" "mapped-client [::]:7004 [::ffff:127.0.0.1]:7004"; do
  read -r name local remote <<<"$version"
  party "server-$name" && party "client-$name"
  tell "server-$name" "listen l $local"
  tell "client-$name" "connect c $remote"
  tell "server-$name" "accept l c"
  begin "server-$name" "serve c 7"
  tell "client-$name" "ask c 7"
  finish "server-$name"
done
party both
tell both "listen l 127.0.0.1:7005"
tell both "connect c 127.0.0.1:7005"
tell both "accept l s"
for _ in 1 2 3; do
  for step in "say c client" "hear s server" "say s server" "hear c client"; do tell both "$step 0 end"; done
done
mark families
for name in 4 6 mapped mapped-client; do tell "client-$name" "close c" && tell "server-$name" "close c"; done
tell both "close c"
tell both "close s"
mark families-closed
leave {server,client}-{4,6,mapped,mapped-client} both

step "prefork on one listening socket: forked workers, and workers of their own"
party forker && party starter && party caller
tell forker "listen l 127.0.0.1:7010"
tell forker "workers l 3"
tell starter "listen l 127.0.0.1:7011"
for worker in 1 2 3; do
  tell starter "spawn $HOLDER worker-$worker work l"
  wait_for 10 "the worker" reported "worker-$worker"
done
tell caller "fresh 12 127.0.0.1:7010 5"
tell caller "fresh 12 127.0.0.1:7011 5"
mark prefork

step "one port, two listening sockets"
party one && party two
for name in one two; do
  tell $name "listen l 127.0.0.1:7012 shared"
  tell $name "spawn $HOLDER port-$name work l"
  wait_for 10 "the worker" reported "port-$name"
done
leave one two
tell caller "fresh 16 127.0.0.1:7012 3"
mark shared-port
leave caller forker starter

step "fork after accept: the child serves, the parent closes; a child for each connection"
party parent && party visitor
tell parent "listen l 127.0.0.1:7020"
for connection in a b c; do
  tell visitor "connect $connection 127.0.0.1:7020"
  tell parent "accept l $connection"
  tell parent "fork $connection"
  tell parent "close $connection"
done
for connection in a b c a; do tell visitor "ask $connection 3"; done
mark forked
tell visitor "close a"
wait_for 10 "the child to close" eval '[ "$(connected 7020)" -eq 2 ]'
mark forked-one-closed

step "the same with children that are programs of their own, and a parent that ends"
party inetd
tell inetd "listen l 127.0.0.1:7021"
for service in x y; do
  tell visitor "connect $service 127.0.0.1:7021"
  tell inetd "accept l $service"
  tell inetd "spawn $OTHER service-$service serve $service"
  tell inetd "close $service"
  wait_for 10 "the service" reported "service-$service"
done
tell visitor "ask x 4"
mark inetd
leave inetd
# Until what it left is nobody's.
sleep 2.5
mark inetd-ended
mark inetd-gone
tell visitor "ask x 2"
tell visitor "ask y 5"
mark inetd-orphans
leave parent
tell visitor "ask b 2"
mark forked-orphans
for connection in b c x y; do tell visitor "close $connection"; done
wait_for 10 "the services to close" closed 7021
wait_for 10 "the children to close" closed 7020
mark orphans-closed
leave visitor

step "descriptors that are passed: before the first use, between requests, within one, within its answer"
for name in hand-1 hand-2 hand-3 asker; do party $name; done
tell hand-1 "listen l 127.0.0.1:7030"
pass() { tell "$1" "give $2 $3" && tell "$3" "take $2"; }
tell asker "connect c 127.0.0.1:7030"
tell hand-1 "accept l c"
pass hand-1 c hand-2
mark passed-unused
begin hand-2 "serve c 3" && tell asker "ask c 3" && finish hand-2
mark passed-first
pass hand-2 c hand-3
begin hand-3 "serve c 2" && tell asker "ask c 2" && finish hand-3
mark passed-between
tell asker "say c client 0 end"
tell hand-3 "hear c server 0 20"
tell hand-1 "hear c server 20 end"
mark passed-within
tell hand-1 "say c server 0 end" && tell asker "hear c client 0 end"
tell asker "say c client 0 end" && tell hand-1 "hear c server 0 end"
tell hand-2 "say c server 0 end" && tell asker "hear c client 0 end"
mark passed-answer
tell asker "say c client 0 end" && tell hand-1 "hear c server 0 end"
tell hand-2 "say c server 0 50"
mark passed-within-answer
tell hand-3 "say c server 50 end" && tell asker "hear c client 0 end"
mark passed-in-full
for name in hand-1 hand-2 hand-3 asker; do tell $name "close c"; done
mark passed-closed

step "a first request in many hands, and one that is never whole"
tell asker "connect d 127.0.0.1:7030" && tell hand-1 "accept l d"
pass hand-1 d hand-2 && pass hand-1 d hand-3
tell asker "say d client 0 end"
tell hand-1 "hear d server 0 1" && tell hand-2 "hear d server 1 2" && tell hand-3 "hear d server 2 3"
tell hand-2 "hear d server 3 end" && tell hand-2 "say d server 0 end" && tell asker "hear d client 0 end"
mark first-bytes
tell asker "connect e 127.0.0.1:7030" && tell hand-1 "accept l e"
pass hand-1 e hand-2
tell asker "say e client 0 3"
tell hand-1 "hear e server 0 1" && tell hand-2 "hear e server 1 3"
for name in hand-1 hand-2 hand-3; do tell $name "close d"; done
for name in hand-1 hand-2 asker; do tell $name "close e"; done
tell asker "close d"
mark never-whole

step "a client's descriptor that is passed within its request"
party asker-2
tell asker "connect f 127.0.0.1:7030" && tell hand-1 "accept l f"
tell asker "say f client 0 2" && pass asker f asker-2 && tell asker "close f"
tell asker-2 "say f client 2 end"
begin hand-1 "serve f 1" && tell asker-2 "hear f client 0 end" && finish hand-1
mark client-passed
tell asker-2 "close f" && tell hand-1 "close f"
mark client-passed-closed
leave hand-1 hand-2 hand-3 asker asker-2

step "a process that executes another program, which serves on"
party before && party patron
tell before "listen l 127.0.0.1:7040"
tell patron "connect c 127.0.0.1:7040" && tell before "accept l c"
begin before "serve c 2" && tell patron "ask c 2" && finish before
mark exec-before
tell before "exec $OTHER after c"
wait_for 10 "the other program to run" eval '[ "$(readlink /proc/${PARTY[before]}/exe)" = "$OTHER" ]'
tell patron "ask c 3"
mark exec-after
mark exec-after-again
tell patron "close c"
wait "${PARTY[before]}"
mark exec-closed
leave patron

step "dup and dup2"
party copier && party reader
tell copier "listen l 127.0.0.1:7050"
for connection in a b; do tell reader "connect $connection 127.0.0.1:7050" && tell copier "accept l $connection"; done
tell copier "dup a c" && tell copier "close a"
begin copier "serve c 2" && tell reader "ask a 2" && finish copier
mark dup
tell copier "dup2 c b"
begin copier "serve b 2" && tell reader "ask a 2" && finish copier
mark dup2
leave copier reader

step "two threads, one that reads and one that writes; an event loop"
party threads && party events && party many
tell threads "listen l 127.0.0.1:7051"
tell many "connect c 127.0.0.1:7051" && tell threads "accept l c"
begin threads "threads c 20" && tell many "ask c 20" && finish threads
tell events "listen l 127.0.0.1:7052"
begin events "events l 30"
tell many "fleet 30 127.0.0.1:7052 4"
mark loops
tell many "disband" && finish events
mark loops-closed
leave threads events many

step "a pid that is given again"
# again PID NAME: a party that has that pid; another new process may be faster.
again() {
  local pid=$1 LAST_PID=$(($1 - 1))
  for _ in {1..50}; do
    party "$2"
    [ "${PARTY[$2]}" -eq "$pid" ] && return
    leave "$2"
  done
  return 1
}
party twin && party client-1 && party server-1
tell server-1 "listen l 127.0.0.1:7060"
exchange() { # COUNT: requests of the twin
  tell twin "connect c 127.0.0.1:7060" && tell server-1 "accept l c"
  begin server-1 "serve c $1" && tell twin "ask c $1" && finish server-1
}
FIRST=${PARTY[twin]}
exchange 3
mark twin-first
leave twin
again "$FIRST" twin
exchange 5
mark twin-last-of-first
mark twin-second
leave twin server-1 client-1

step "containers: pid and network namespaces of their own; the same addresses in two of them at once"
for space in left right; do
  ip netns add $space
  ip -n $space link set lo up
  party "$space-server" ip netns exec $space unshare --pid --fork
  party "$space-client" ip netns exec $space unshare --pid --fork
  tell $space-server "listen l 127.0.0.1:7070"
  tell $space-client "connect c 127.0.0.1:7070 127.0.0.1:40000"
  tell $space-server "accept l c"
done
begin left-server "serve c 3" && begin right-server "serve c 6"
begin left-client "ask c 3" && begin right-client "ask c 6"
for name in {left,right}-{client,server}; do finish $name; done
for space in left right; do ip netns exec $space ss -Htn state established >"$OUT/$space.ss"; done
mark namespaces
for name in {left,right}-{client,server}; do tell $name "close c"; done
mark namespaces-closed
leave {left,right}-{client,server}
cp "$OUT/agent.health" "$OUT/health"
stop_agent
