# Sourced by small-machine.sh: systemd as process 1, which starts the machine's command as scene.service.
#
# It knows the units in /run/units alone, and of the host's no more than copied here: what the host has
# enabled does not start.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/units
(
    cd /lib/systemd/system
    cp basic.target local-fs.target multi-user.target shutdown.target sockets.target sysinit.target \
        timers.target umount.target systemd-journald.service systemd-journald.socket \
        systemd-journald-dev-log.socket /run/units
)
# It makes directories in /tmp; the test's programs may lie there.
kept=
for path in "$0" "$1"; do
    case $path in
    /tmp/*/*) path=${path#/tmp/} && kept="$kept ${path%%/*}" ;;
    esac
done
mkdir /run/tmp
mount --bind /tmp /run/tmp
mount -t tmpfs -o mode=1777 tmpfs /tmp
for dir in $kept; do
    mkdir -p "/tmp/$dir"
    mount --bind "/run/tmp/$dir" "/tmp/$dir"
done
for dir in /opt /var/lib /var/log /var/tmp; do
    mount -t tmpfs tmpfs "$dir"
done
{
    export -p
    echo 'exec </dev/null >/dev/ttyS0 2>&1'
    printf "'%s' " "$@"
    echo '; echo "small machine: status $?"; echo o >/proc/sysrq-trigger; sleep 60'
} >/run/scene.sh
cat >/run/units/scene.service <<'UNIT'
[Unit]
Wants=basic.target systemd-journald.service
After=basic.target systemd-journald.service
[Service]
Type=oneshot
ExecStart=/bin/sh /run/scene.sh
UNIT
export SYSTEMD_UNIT_PATH=/run/units
exec /lib/systemd/systemd --unit=scene.service --show-status=false
