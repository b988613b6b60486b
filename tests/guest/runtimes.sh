# Scenario: the HTTP servers and clients that languages bring along. `runtimes.rs` judges.
# Packages: default-jre-headless golang-go php-cli python3-requests uvicorn
. tests/guest/lib.sh
. tests/guest/programs/ask.sh
export PYTHONDONTWRITEBYTECODE=1 HOME=/tmp

step "servers"
run java 8201 /usr/lib/jvm/default-java/bin/java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx64m "$HERE/Server.java" 8201 "$OUT/java.account"
run node 8202 node "$HERE/node.js" 8202 "$OUT/node.account"
run go 8203 "$PROGRAMS/serve" 8203 "$OUT/go.account"
run uvicorn 8204 /usr/bin/python3 -m uvicorn --app-dir "$HERE" --port 8204 --workers 2 --no-use-colors asgi:application
run php 8205 env PHP_CLI_SERVER_WORKERS=3 ACCOUNT="$OUT/php.account" /usr/bin/php[0-9]* -n -S 127.0.0.1:8205 "$HERE/index.php"
all_listen
start_agent agent

ask java java 8201
ask node node 8202
ask go go 8203
ask uvicorn uvicorn 8204
ask php php 8205
load requests uvicorn 8204 /usr/bin/python3 "$HERE/ask.py" http://127.0.0.1:8204/ok 24 "$OUT/requests.asked"
load fetch node 8202 node "$HERE/node.js" ask http://127.0.0.1:8202/ok 24 "$OUT/fetch.asked"
load go-client go 8203 "$PROGRAMS/serve" ask http://127.0.0.1:8203/chunked 24 "$OUT/go-client.asked"
step end
stop_agent
