# Scenario: hosts that lack something: types, capabilities, the right to read kernel memory. `host.rs` judges.
# Processors: in turn.
. tests/guest/lib.sh

# checked NAME COMMAND...: what `check` says, for programs; its exit code.
checked() {
  local name=$1 code=0
  shift
  "$@" check --format json >"$OUT/$name.json" 2>"$OUT/$name.check.log" || code=$?
  echo "$code" >"$OUT/$name.code"
}

# refuse [TYPE]: a security module refuses to load programs (of that `enum bpf_attach_type`) until `allow`.
REFUSER=$(dirname "$DRIVER")/refuser
refuse() {
  mkfifo "$WORK/refusing"
  "$REFUSER" target/ebpf/bpfel-unknown-none/release/refuser "$@" <"$WORK/refusing" >"$WORK/refuser.out" 2>"$OUT/refuser.log" &
  REFUSER_PID=$!
  exec {REFUSING_FD}>"$WORK/refusing"
  wait_for 30 "the module to refuse" grep -q attached "$WORK/refuser.out"
}
allow() {
  exec {REFUSING_FD}>&-
  wait "$REFUSER_PID"
  rm "$WORK/refusing"
}

# measured NAME: a driver asks nginx over 4 connections, between two scrapes.
measured() {
  scrape "$1-before"
  start_driver "$1" 127.0.0.1:8080
  tell "$1" "open 4"
  tell "$1" "get 200 /ok /missing"
  tell "$1" "close"
  wait_for 20 "nginx to close" nobody_connected 8080
  scrape "$1"
  end_driver "$1"
}

start_nginx
mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
cat /sys/kernel/security/lockdown >"$OUT/lockdown-before"

step "without capabilities"
checked unprivileged setpriv --reuid=65534 --regid=65534 --clear-groups "$AGENT"
checked blind setpriv --bounding-set=-sys_ptrace,-dac_read_search --inh-caps=-sys_ptrace,-dac_read_search "$AGENT"
checked all "$AGENT"

step "without types of its own"
cp /sys/kernel/btf/vmlinux "$WORK/types"
mkdir "$WORK/nothing"
mount --bind "$WORK/nothing" /sys/kernel/btf
checked untyped "$AGENT"
refused untyped.run "$AGENT"
head -c 4096 /bin/true >"$WORK/no-types"
refused no-types.run "$AGENT" --btf "$WORK/no-types"
start_agent file --btf "$WORK/types"
measured file
stop_agent
umount /sys/kernel/btf

step "a security module refuses everything"
cat /sys/kernel/security/lsm >"$OUT/modules"
refuse
checked refused "$AGENT"
refused refused.run "$AGENT"
allow

step "a security module refuses walks (BPF_TRACE_ITER)"
refuse 28
checked unwalked "$AGENT"
start_agent unwalked
measured unwalked
stop_agent
allow

step "integrity"
echo integrity >/sys/kernel/security/lockdown
checked integrity "$AGENT"
start_agent integrity
measured integrity
stop_agent

step "confidentiality"
echo confidentiality >/sys/kernel/security/lockdown
checked confidentiality "$AGENT"
refused forced.run "$AGENT" --probes kprobe
start_agent confidentiality
measured confidentiality
stop_agent
