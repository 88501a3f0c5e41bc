#!/bin/bash
# Replaces systemd-run: runs a command as a transient unit.
set -eu
. "$MACHINE/bin/units.sh"

unit= more=()
while [ "${1#--}" != "$1" ]; do
    case "$1" in
    --property=EnvironmentFile=*)
        [ "$(stat -c %a "${1#*=*=}")" = 600 ]
        while IFS= read -r line; do eval "more+=($line)"; done < "${1#*=*=}"
        ;;
    # The properties must be those of the server's unit, so that owner and mode of the folder stay the same.
    --property=*) grep -qx "${1#--property=}" "$units/sentinel.service" ;;
    --setenv=*) more+=("${1#--setenv=}") ;;
    --description=*) ;;
    --unit=*) unit=${1#--unit=} ;;
    --quiet | --pipe | --pty | --wait | --collect) ;;
    *) echo "unsupported: $1" >&2; exit 1 ;;
    esac
    shift
done
credentials "$unit"
variables "$unit"
cd "$MACHINE/var/lib/sentinel"
ended=0
# systemd-run expands variables, and turns $$ into $.
for word in "$@"; do [[ ${word//\$\$/} != *\$* ]]; done
env -i "${variables[@]}" "${more[@]}" "${@//\$\$/\$}" || ended=$?
without_credentials "$unit"
exit "$ended"
