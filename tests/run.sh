#!/bin/sh
# Runs all tests, with one MongoDB replica set and one single server for all of them: each test is a
# process of its own, and would start its own. Whatever is set already is taken as it is.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
mongod=$root/.cache/mongod/fiftyone/db/bin/mongod
cargo=${CARGO:-cargo}

# What is in memory needs no disk to be durable for a test.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then memory=/dev/shm; else memory=${TMPDIR:-/tmp}; fi
folder=$(mktemp -d "$memory/sentinel-tests-XXXXXX")
servers=
# Where it can be had: ends a server with this script, even if that is killed.
bound=
if command -v setpriv >/dev/null 2>&1; then bound='setpriv --pdeathsig KILL'; fi

stop() {
    trap - EXIT INT TERM HUP
    # shellcheck disable=SC2086 # several process ids
    [ -z "$servers" ] || kill -KILL $servers 2>/dev/null || true
    # shellcheck disable=SC2086
    [ -z "$servers" ] || wait $servers 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM HUP

# start NAME ARGUMENTS...: a server on a free port, which it leaves in $port.
start() {
    name=$1
    shift
    if [ ! -x "$mongod" ]; then
        echo "tests/run.sh: there is no mongod; tests/setup.sh gets it" >&2
        exit 1
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir "$folder/$name"
    # shellcheck disable=SC2086 # a command with its arguments, or nothing
    $bound "$mongod" --dbpath "$folder/$name" --port "$port" --bind_ip 127.0.0.1 --nounixsocket \
        --oplogSize 64 --wiredTigerCacheSizeGB 0.25 --setParameter ttlMonitorSleepSecs=1 \
        --setParameter enableTestCommands=1 --setParameter diagnosticDataCollectionEnabled=false \
        "$@" >"$folder/$name.log" 2>&1 </dev/null &
    servers="$servers $!"
}

# The first test makes it a replica set.
if [ -z "${MONGODB_TEST_URI:-}" ]; then
    start replica-set --replSet rs0
    export MONGODB_TEST_URI="mongodb://127.0.0.1:$port"
fi
if [ -z "${MONGODB_TEST_STANDALONE_URI:-}" ]; then
    start standalone
    export MONGODB_TEST_STANDALONE_URI="mongodb://127.0.0.1:$port"
fi

cd "$root"
if $cargo nextest --version >/dev/null 2>&1; then
    $cargo nextest run --locked "$@"
else
    $cargo test --locked "$@"
fi
