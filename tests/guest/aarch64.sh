# Scenario: nginx and a driver, with the agent attached in each of the ways in WAYS. `aarch64.rs` judges.
. tests/guest/lib.sh

uname -rm >"$OUT/kernel"
start_nginx
for way in $WAYS; do
  step "probes: $way"
  : >"$OUT/access"
  start_driver "$way-kept" 127.0.0.1:8080
  tell "$way-kept" "open 4"
  PROBES=$way
  start_agent "$way"
  scrape "$way-started"

  step "400 requests over 8 connections, 4 of them older than the agent"
  tell "$way-kept" "open 4"
  tell "$way-kept" "get 400 /ok /created /moved /missing /broken"
  connected 8080 >"$OUT/$way-kept.ss"
  scrape "$way-kept"
  end_driver "$way-kept"
  wait_for 60 "nginx to close" nobody_connected 8080
  scrape "$way-closed"

  step "100 requests with a connection each, and bodies"
  start_driver "$way-fresh" 127.0.0.1:8080
  tell "$way-fresh" "fresh 100 /ok /missing"
  tell "$way-fresh" "open 2"
  tell "$way-fresh" "post 20 20000 /created"
  wait_for 20 "nginx to log" logged $((400 + 100 + 20))
  scrape "$way-fresh"
  end_driver "$way-fresh"
  wait_for 60 "nginx to close" nobody_connected 8080
  cp "$OUT/access" "$OUT/$way.access"
  stop_agent
  echo "$STOPPED" >"$OUT/$way.code"
done
