# Scenario: the Debian package is installed, which starts its service, and it goes again. `package.rs` judges.
# Packages: systemd
# First process: systemd.
. tests/guest/lib.sh

[ -n "$DEB" ] || {
  echo "SOCKMETER_DEB does not name the package to test; cargo xtask test builds it and says which"
  exit 1
}

# there NAME: which of the package's files are there, with their rights.
there() {
  xargs -d '\n' stat -c '%A %U:%G %n' <"$WORK/files" >"$OUT/$1.files" 2>/dev/null || true
}

# state NAME: what systemd says of the service.
state() {
  systemctl show sockmeter -p ActiveState,SubState,Result,ExecMainStatus,MainPID,NRestarts >"$OUT/$1.state"
}
is_ready() { wait_for 60 "the agent to be ready" curl -fsS "$METRICS/health/ready"; }

wait_for 60 "systemd" systemctl show -P Version
# Of the unit everything but what has to run before: this host starts nothing. Its log is read from a file, and how each of
# its processes ended is noted.
mkdir -p /run/systemd/system/sockmeter.service.d
cat >/run/systemd/system/sockmeter.service.d/guest.conf <<END
[Unit]
DefaultDependencies=no
[Service]
StandardError=append:$OUT/agent.log
ExecStopPost=+/bin/sh -c 'echo \$\$SERVICE_RESULT \$\$EXIT_CODE \$\$EXIT_STATUS >>$OUT/ends'
END
# Images of hosts forbid packages to start services.
rm -f /usr/sbin/policy-rc.d

step "install"
dpkg -i "$DEB" >"$OUT/install.log" 2>&1
is_ready
state installed
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

step "the service, as systemd runs it"
# Processors are emulated here; and a file that was changed must outlast the package.
sed -i 's/^cpu_limit_cores = .*/cpu_limit_cores = 64/' /etc/sockmeter.toml
systemctl restart sockmeter
is_ready
state restarted
AGENT_PID=$(systemctl show -P MainPID sockmeter)
cp "/proc/$AGENT_PID/status" "$OUT/main"
for task in "/proc/$AGENT_PID/task/"*; do
  [ "$(cat "$task/comm")" != pipeline ] || cp "$task/status" "$OUT/pipeline"
done
tr '\0' ' ' <"/proc/$AGENT_PID/cmdline" >"$OUT/command"
curl -fsS "$METRICS/health" >"$OUT/health"

step "requests"
start_nginx
for _ in 1 2 3 4 5; do curl -fsS -o "$WORK/answer" http://127.0.0.1:8080/ok; done
wait_for 30 "nginx to log five requests" logged 5
scrape served
wc -l <"$OUT/access" >"$OUT/requests"

step "killed"
kill -KILL "$AGENT_PID"
started_again() { [ "$(systemctl show -P NRestarts sockmeter)" -gt 0 ]; }
wait_for 60 "systemd to start it again" started_again
is_ready
state killed

step "settings that are wrong"
cp /etc/sockmeter.toml "$WORK/settings"
echo 'listne = 1' >>/etc/sockmeter.toml
systemctl restart sockmeter
wait_for 60 "systemd to give up" systemctl is-failed sockmeter
state refused
cp "$WORK/settings" /etc/sockmeter.toml
systemctl restart sockmeter
is_ready
state mended

step "remove, then purge"
dpkg -r sockmeter >"$OUT/remove.log" 2>&1
state removed
there removed
dpkg -P sockmeter >"$OUT/purge.log" 2>&1
there purged
