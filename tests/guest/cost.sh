# Counts instructions per request, for `cargo xtask bench request`, which judges. Needs a guest whose clock counts
# them, SOCKMETER_AGENT, and unless its argument is "smoke" FLOOR and FLOOR_OBJECT.
# Packages: bpftrace redis-server redis-tools
set -Eeuo pipefail

mkdir -p /run/out /run/work
exec python3 -B tests/guest/cost/main.py "$@"
