#!/bin/bash
# Replaces systemctl: starts and stops services as their units and drop-ins describe.
set -eu
. "$MACHINE/bin/units.sh"

start() {
    credentials sentinel
    variables sentinel
    cd "$MACHINE/var/lib/sentinel"
    env -i "${variables[@]}" $(values sentinel ExecStart) >> "$MACHINE/log" 2>&1 < /dev/null &
    echo $! > "$MACHINE/run/sentinel.pid"
    until "$MACHINE/usr/local/bin/sentinel" healthcheck --config "$MACHINE/etc/sentinel/sentinel.toml" 2> /dev/null; do
        kill -0 $! || exit 1
        sleep 0.1
    done
    without_credentials sentinel
}
stop() {
    id=$(cat "$MACHINE/run/sentinel.pid")
    kill "$id"
    while kill -0 "$id" 2> /dev/null; do sleep 0.05; done
}
# Runs the commands of a oneshot unit.
once() {
    credentials "$1"
    variables "$1"
    cd "$MACHINE/var/lib/sentinel"
    set -f
    for key in ExecStart ExecStartPost; do
        command=$(values "$1" "$key" | sed 's/%%/%/g')
        eval "env -i PATH=/usr/bin:/bin \"\${variables[@]}\" $command" >> "$MACHINE/log" 2>&1 < /dev/null
    done
    without_credentials "$1"
}
case "$*" in
daemon-reload | 'enable --now sentinel-backup.timer') ;;
'enable --now sentinel' | 'start sentinel') start ;;
'stop sentinel') stop ;;
'restart sentinel') stop; start ;;
'start sentinel-backup') once sentinel-backup ;;
'reload nginx') nginx || nginx -s reload ;;
*) echo "unsupported: systemctl $*" >&2; exit 1 ;;
esac
