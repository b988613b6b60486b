# Starts servers and asks them with an unmodified curl; saves their accounts and curl's. Sourced after lib.sh.
HERE=$PWD/tests/guest/programs

# run NAME PORT COMMAND...: starts a server. Its account of its requests is NAME.account, which it writes by itself or
# as its standard output.
PORTS=()
run() {
  local name=$1
  PORTS+=("$2")
  shift 2
  "$@" >>"$OUT/$name.account" 2>"$OUT/$name.log" &
  pid "$name" $!
}
all_listen() {
  local port
  for port in "${PORTS[@]}"; do wait_for 120 "port $port" listens "$port"; done
}

# new_accounts STEP: what every server has written since the last step goes to STEP.SERVER.
declare -A WRITTEN
new_accounts() {
  local file lines name
  for file in "$OUT"/*.account; do
    name=$(basename "$file" .account) lines=$(wc -l <"$file")
    tail -n "+$((${WRITTEN[$name]:-0} + 1))" "$file" | head -n $((lines - ${WRITTEN[$name]:-0})) >"$OUT/$1.$name"
    WRITTEN[$name]=$lines
  done
}

head -c 5000 /dev/zero | tr '\0' x >"$WORK/small"
head -c 150000 /dev/zero | tr '\0' x >"$WORK/large"

# One line for every transfer: status, method, seconds until the request could begin and until its answer's last byte.
account() { echo "write-out = \"%{http_code} %{method} %{time_pretransfer} %{time_total}\\n\""; }

# transfer PATH [OPTION...]: one more transfer of the configuration that curl is to read.
transfer() {
  echo next
  echo "url = http://127.0.0.1:$ASKED/$1"
  shift
  printf '%s\n' silent show-error raw 'output = /run/work/answer' "$@"
  account
}

# ask STEP SERVER PORT [GET [POST [CHUNKED]]]: what a browser and an uploader do, over one connection if the server keeps
# it, then 16 requests of which four run at a time. Saves STEP.curl and STEP.many, what curl says that it moved as
# STEP.curl.bytes and STEP.many.bytes, and the servers' accounts; scrapes before (STEP-before), between (STEP-curl) and
# after (STEP).
ASKS=38
ask() {
  local name=$1 server=$2 get=${4:-ok} post=${5:-ok} chunked=${6:-chunked}
  ASKED=$3
  step "$name"
  {
    for _ in 1 2 3 4 5 6 7 8 9 10; do transfer "$get"; done
    for _ in 1 2 3; do transfer missing; done
    for _ in 1 2; do transfer "$get" head; done
    for _ in 1 2 3; do transfer "$post" "data-binary = @$WORK/small"; done
    transfer "$post" "data-binary = @$WORK/small" 'header = "Expect: 100-continue"'
    for _ in 1 2; do transfer "$chunked"; done
    transfer "$post" "data-binary = @$WORK/large" 'limit-rate = 150000'
  } >"$WORK/$name.transfers"
  scrape "$name-before"
  curl_account "$name.curl" -K "$WORK/$name.transfers"
  scrape "$name-curl"
  curl_account "$name.many" --raw -Z --parallel-immediate --parallel-max 4 -o '/run/work/many-#1' \
    -w '%{http_code} %{method} %{time_pretransfer} %{time_total}\n' --no-progress-meter \
    "http://127.0.0.1:$ASKED/$get?[1-16]"
  settle "$name" "$server" $ASKS
}

# load STEP SERVER PORT COMMAND...: another client; its report goes to STEP.report.
load() {
  local name=$1 server=$2
  ASKED=$3
  shift 3
  step "$name"
  scrape "$name-before"
  "$@" >"$OUT/$name.report" 2>"$OUT/$name.log" &
  pid "$name" $!
  wait $!
  settle "$name" "$server" 1
}

# settle STEP SERVER N: the connections are closed, and the server has written N lines more at least.
settle() {
  wait_for 20 "$2 to close" nobody_connected "$ASKED"
  scrape "$1"
  wait_for 20 "$2 to write its account" has_written "$2" "$3"
  new_accounts "$1"
}
has_written() { (($(wc -l <"$OUT/$1.account") >= ${WRITTEN[$1]:-0} + $2)); }

# curl_account NAME ARGUMENT...: runs curl, and saves its transfers, what it says that it moved, and its pid.
curl_account() {
  local name=$1 pid
  shift
  curl --trace "$WORK/$name.trace" "$@" >"$OUT/$name" 2>"$OUT/$name.log" &
  pid=$!
  pid "$name" $pid
  wait $pid
  grep -E '^(=>|<=) (Send|Recv) (header|data)|HTTP/1.1 100 ' "$WORK/$name.trace" >"$OUT/$name.bytes"
}

# make_files: what servers of files are asked for.
make_files() {
  mkdir -p "$WORK/www"
  echo ok >"$WORK/www/ok"
  cp "$WORK/small" "$WORK/www/chunked"
  cp "$PWD/tests/guest/programs/index.php" "$WORK/www/"
  chmod -R a+rX "$WORK/www"
}
