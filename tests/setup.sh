#!/bin/sh
# Installs the commands that the tests need where that is possible; else says what is missing.
set -eu

# command:package, by Debian's names.
NEEDED='cc:gcc cc:libc6-dev curl:curl'

missing=''
packages=''
for pair in $NEEDED; do
    command=${pair%%:*}
    if ! command -v "$command" >/dev/null 2>&1; then
        packages="$packages ${pair#*:}"
        case " $missing " in
            *" $command "*) ;;
            *) missing="$missing $command" ;;
        esac
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "tests/setup.sh: the tests need these commands, which are not installed:$missing" >&2
    exit 1
fi
apt-get update
# shellcheck disable=SC2086 # the packages are several words
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
