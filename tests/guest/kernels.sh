# Scenario: what the agent finds on a kernel, whichever it is, for each way to attach that WAYS names.
# `kernels.rs` judges.
# Processors: in turn.
. tests/guest/lib.sh

uname -r >"$OUT/kernel"
step "what the kernel has, in its own words"
awk '{ print $3 }' /proc/kallsyms | sort -u >"$OUT/symbols"

for way in ${WAYS:-auto}; do
  flags=(--probes "$way")
  echo "$way" >>"$OUT/ways"

  step "check, $way"
  bpftool prog show -j >"$OUT/$way.before"
  code=0
  "$AGENT" "${flags[@]}" check --format json >"$OUT/$way.json" 2>"$OUT/$way.log" || code=$?
  echo "$code" >"$OUT/$way.code"
  code=0
  "$AGENT" "${flags[@]}" check >"$OUT/$way.text" 2>>"$OUT/$way.log" || code=$?
  echo "$code" >"$OUT/$way.text.code"
  bpftool prog show -j >"$OUT/$way.after"

  step "run, $way"
  if [ "$code" -eq 1 ]; then
    refused "$way.run" "$AGENT" "${flags[@]}"
  else
    PROBES=$way start_agent "$way"
    bpftool prog show -j >"$OUT/$way.during"
    scrape "$way"
    stop_agent
    echo "$STOPPED" >"$OUT/$way.run.code"
  fi
done
