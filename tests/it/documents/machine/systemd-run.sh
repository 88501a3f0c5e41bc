#!/bin/bash
# Stands for a unit that is made for one command.
set -eu
. "$MACHINE/bin/units.sh"

unit= more=()
while [ "${1#--}" != "$1" ]; do
    case "$1" in
    --property=EnvironmentFile=*)
        [ "$(stat -c %a "${1#*=*=}")" = 600 ]
        while IFS= read -r line; do eval "more+=($line)"; done < "${1#*=*=}"
        ;;
    # Those of the server: else the folder would be somebody else's, or open to others.
    --property=*) grep -qx "${1#--property=}" "$units/sentinel.service" ;;
    --setenv=*) more+=("${1#--setenv=}") ;;
    --description=*) ;;
    --unit=*) unit=${1#--unit=} ;;
    --quiet | --pipe | --pty | --wait | --collect) ;;
    *) echo "not known: $1" >&2; exit 1 ;;
    esac
    shift
done
credentials "$unit"
variables "$unit"
cd "$MACHINE/var/lib/sentinel"
ended=0
# It puts variables in, and of $$ it makes one $.
for word in "$@"; do [[ ${word//\$\$/} != *\$* ]]; done
env -i "${variables[@]}" "${more[@]}" "${@//\$\$/\$}" || ended=$?
without_credentials "$unit"
exit "$ended"
