# Scenario: HTTP that lies, to nginx and to Python's http.server, while an honest client works beside. `lies.rs` judges.
. tests/guest/lib.sh

step "servers, and an honest client"
start_nginx
mkdir -p "$WORK/www"
echo hello >"$WORK/www/file"
python3 -u -m http.server 8092 --protocol HTTP/1.1 --bind 127.0.0.1 --directory "$WORK/www" >"$OUT/python.access" 2>&1 &
pid python $!
wait_for 60 "http.server to listen" listens 8092
start_agent agent
start_driver honest 127.0.0.1:8080
tell honest "open 4"
scrape lies-before
tell honest "load /ok"

# lie NAME PORT FIRST LOG LINE: what it says is in liar.py.
lie() {
  python3 tests/guest/liar.py "$2" "$3" "$4" "$5" "$OUT/$1" 2>"$OUT/$1.log" &
  local liar=$!
  pid "liar-$1" $liar
  wait $liar
}
scrape nginx-before
step "lies to nginx"
lie nginx 8080 /created "$OUT/access" "^[0-9]{3} "
scrape python-before
step "lies to http.server"
lie python 8092 /file "$OUT/python.access" "\\] \""

step "the honest client ends"
tell honest "stop"
tell honest "close"
wait_for 20 "nginx to close" nobody_connected 8080
sleep 0.3
scrape lies
end_driver honest
stop_agent
