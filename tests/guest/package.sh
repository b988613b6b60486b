# Scenario: the Debian package is installed, its service's command runs with the unit's rights, and it goes again. No
# systemd runs here. `package.rs` judges.
# Packages: systemd
. tests/guest/lib.sh

[ -n "$DEB" ] || {
  echo "SOCKMETER_DEB does not name the package to test; cargo xtask test builds it and says which"
  exit 1
}

# there NAME: which of the package's files are there, with their rights.
there() {
  xargs -d '\n' stat -c '%A %U:%G %n' <"$WORK/files" >"$OUT/$1.files" 2>/dev/null || true
}

step "install"
dpkg -i "$DEB" >"$OUT/install.log" 2>&1
dpkg -L sockmeter | while read -r file; do [ -d "$file" ] || echo "$file"; done >"$WORK/files"
there installed
dpkg-query -W -f '${Status}\n' sockmeter >"$OUT/status"
dpkg-query -W -f '${Conffiles}\n' sockmeter >"$OUT/conffiles"
UNIT=$(grep '/sockmeter\.service$' "$WORK/files")
cp "$UNIT" "$OUT/unit"
# What is linked there is started at boot.
[ -L /etc/systemd/system/multi-user.target.wants/sockmeter.service ] && echo yes >"$OUT/enabled" || echo no >"$OUT/enabled"

step "what is inside"
/usr/bin/sockmeter --version >"$OUT/version"
sha256sum target/ebpf/bpfel-unknown-none/release/{sockmeter,fallback} >"$OUT/objects"

step "the unit, as systemd reads it"
systemd-analyze verify --man=no "$UNIT" >"$OUT/verify" 2>&1 && code=0 || code=$?
echo $code >"$OUT/verify.code"

step "the unit's command, as its user"
# of KEY: what the unit says.
of() { sed -n "s/^$1=//p" "$UNIT"; }
CAPABILITIES=$(of AmbientCapabilities | tr ' ' '\n' | sed 's/^CAP_/+/' | tr 'A-Z\n' 'a-z,' | sed 's/,$//')
# Processors are emulated here; and a file that was changed must outlast the package.
sed -i 's/^cpu_limit_cores = .*/cpu_limit_cores = 64/' /etc/sockmeter.toml
read -ra COMMAND <<<"$(of ExecStart)"
setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set="-all,$CAPABILITIES" \
  --inh-caps="-all,$CAPABILITIES" --ambient-caps="-all,$CAPABILITIES" "${COMMAND[@]}" 2>"$OUT/agent.log" &
AGENT_PID=$!
wait_for 60 "the agent to be ready" agent_answers
curl -sS -o "$OUT/ready" -w '%{http_code}' "$METRICS/health/ready" >"$OUT/ready.status"
cp "/proc/$AGENT_PID/status" "$OUT/process"

step "requests"
start_nginx
for _ in 1 2 3 4 5; do curl -fsS -o "$WORK/answer" http://127.0.0.1:8080/ok; done
wait_for 30 "nginx to log five requests" logged 5
scrape served
wc -l <"$OUT/access" >"$OUT/requests"

step "remove, then purge"
stop_agent
echo "$STOPPED" >"$OUT/agent.code"
dpkg -r sockmeter >"$OUT/remove.log" 2>&1
there removed
dpkg -P sockmeter >"$OUT/purge.log" 2>&1
there purged
