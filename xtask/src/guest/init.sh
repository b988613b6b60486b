#!/bin/sh
# The guest's first process (busybox, from the initramfs): loads modules, lays the guest's root together
# from the host's files (read-only) and memory, and hands over to stage2.sh.
fail() { echo "guest: $1"; echo o > /proc/sysrq-trigger; sleep 60; }

mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
. /job/settings
# The host waits for a sign of life.
echo > "$CODE_PORT"
for module in /modules/*.ko; do insmod "$module" || fail "cannot load $module"; done

mount -t virtiofs -o ro root /lower || fail "cannot mount the host's files"
mount -t tmpfs -o size=60% tmpfs /upper; mkdir /upper/files /upper/work
# Two overlays, because the layers are themselves somewhere in /lower, and one overlay refuses such overlap.
mount -t overlay -o "lowerdir=$LAYERS" overlay /layers || fail "cannot lay $LAYERS together"
mount -t overlay -o lowerdir=/layers:/lower,upperdir=/upper/files,workdir=/upper/work overlay /new ||
  fail "cannot lay the guest's root together"

mkdir -p /new/proc /new/sys /new/dev /new/run /new/tmp
mount --move /proc /new/proc; mount --move /sys /new/sys; mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts devpts /new/dev/pts; mount -t tmpfs shm /new/dev/shm; mount -t tmpfs run /new/run
# The host's /tmp is none of the guest's business, unless the checkout is in it.
[ "$KEEP_TMP" = yes ] || mount -t tmpfs tmp /new/tmp
chmod 1777 /new/tmp /new/dev/shm
ln -sf /proc/self/fd /new/dev/fd

ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up; route add default gw 10.0.2.2
mkdir -p /new/run/job /new/run/out; cp /job/* /new/run/job/
exec switch_root -c /dev/console /new /bin/bash /run/job/stage2
