#!/bin/sh
# boot.sh BASE WORK CHECKOUT: systemd as the first process of a machine of its own, whose files are those of BASE
# and, of what changes, those in WORK; there is a directory CHECKOUT. `unshare` has given it namespaces: when it
# ends, nothing is left of the mounts.
set -eu
base=$1 work=$2 root=$2/root
mount -t tmpfs tmpfs "$work"
mkdir "$work/changed" "$work/scratch" "$root"
mount -t overlay -o "lowerdir=$base,upperdir=$work/changed,workdir=$work/scratch" overlay "$root"
mkdir -p "$root$3"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t sysfs -o ro sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
fi
exec env -i container=xmppd PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd
