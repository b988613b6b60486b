# Scenario: HTTP/1.1 over every I/O path, one connection each, its two ends in a process each. `io.rs` judges.
. tests/guest/lib.sh

modprobe tls || true
# Both ends, and without the cookie that a server gives at a first connection.
echo 519 >/proc/sys/net/ipv4/tcp_fastopen
uname -r >"$OUT/kernel"
"$IO" list >"$OUT/cases"
start_agent agent
number=0
while read -r case; do
  number=$((number + 1))
  step "$number $case"
  timeout 60 "$IO" serve "$case" >"$OUT/$number.server" 2>>"$OUT/io.log" &
  SERVER_PID=$!
  told() { [ -s "$OUT/$number.server" ] || ! kill -0 "$SERVER_PID"; }
  wait_for 30 "the server" told
  # What fails is said in what they write, or missing there.
  timeout 60 "$IO" request "$case" "$(head -n 1 "$OUT/$number.server")" \
    </dev/null >"$OUT/$number.client" 2>>"$OUT/io.log" || true
  wait "$SERVER_PID" || true
  scrape "$number"
done <"$OUT/cases"
stop_agent
