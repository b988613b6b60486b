#!/bin/bash
# The guest's second half, with the host's programs: mounts what eBPF and servers want, runs the command,
# gives the files of /run/out and its exit code back to the host.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
stty -F /dev/console -opost
hostname guest
mount -t debugfs debugfs /sys/kernel/debug; mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cgroup2 /sys/fs/cgroup
# What the packages' install scripts would have made.
mkdir -p /run/lock /var/lib/nginx /var/log/nginx /var/lib/prometheus /var/www/html /root
[ -e /etc/nginx/sites-enabled/default ] || ln -s ../sites-available/default /etc/nginx/sites-enabled/
[ -e /var/www/html/index.nginx-debian.html ] || cp /usr/share/nginx/html/index.html /var/www/html/index.nginx-debian.html
ulimit -l unlimited

. /run/job/settings
job() {
  cd "$CHECKOUT"
  bash /run/job/command < /dev/null
  code=$?

  [ -z "$(ls -A /run/out)" ] || tar -C /run/out -cf /dev/vda .
  sync
  stty -F /dev/console opost # waits until everything that was printed is out
  # The host ends the machine when it has read this.
  echo $code > "$CODE_PORT"
  sleep 60
  echo o > /proc/sysrq-trigger
}

if [ "$SYSTEMD" = yes ]; then
  job &
  # With nothing to start: what the host has enabled stays off.
  mkdir -p /run/systemd/system
  printf '[Unit]\nDescription=guest\nDefaultDependencies=no\n' > /run/systemd/system/guest.target
  exec /usr/lib/systemd/systemd --unit=guest.target --show-status=no --log-target=null
fi
job
