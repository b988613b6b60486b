# Scenario: resets in the middle of answers that are sent with sendfile(). `torn.rs` judges.
. tests/guest/lib.sh

ANSWERS=40

truncate -s 16777216 "$WORK/file"
start_agent agent
declare -A PORTS=([blocking]=8090 [nonblocking]=8091)
for mode in "${!PORTS[@]}"; do
  step "$ANSWERS answers that are torn up, $mode"
  mkfifo "$WORK/$mode.end"
  python3 tests/guest/torn.py ${PORTS[$mode]} "$WORK/file" $ANSWERS $mode <>"$WORK/$mode.end" >"$OUT/$mode.bytes" &
  pid $mode $!
  wait_for 60 "its server to have answered" test -s "$OUT/$mode.bytes"
done
scrape torn
stop_agent
