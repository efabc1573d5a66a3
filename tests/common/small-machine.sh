#!/bin/sh
# Process 1 of a small machine, which small_machine.rs boots: prepares it, runs the command that it was given
# and says with which status that ended.
#
# The root is the host's, read-only: what must be writable is new here and in this machine's memory.
# Its words and the command's go to the serial line, which is the host's standard output; the
# kernel's own go to the console, its standard error. SYSCTLS is "key=value key=value ...". Where SYSTEMD
# is "yes", systemd takes its place and starts the command.
set -eu
exec </dev/null >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 -opost
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Not over the host's /tmp: the program under test may lie there.
mkdir /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
ip link set lo up
for setting in $SYSCTLS; do
    echo "${setting#*=}" >"/proc/sys/$(echo "${setting%%=*}" | tr . /)"
done
if [ "$SWAP" = yes ]; then
    mkswap /dev/ubda >/dev/null
    swapon /dev/ubda
fi
if [ "$SYSTEMD" = yes ]; then
    . "${0%.sh}-systemd.sh"
fi
status=0
"$@" || status=$?
echo "small machine: status $status"
echo o >/proc/sysrq-trigger
sleep 60
