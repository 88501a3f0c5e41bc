#!/bin/sh
# Runs the tests with one shared MongoDB replica set and one shared standalone server. nextest runs each
# test in its own process, which would otherwise start its own servers. Variables that are already set
# are kept.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
mongod=$root/.cache/mongod/fiftyone/db/bin/mongod
cargo=${CARGO:-cargo}

# The tests need no durability, so the data files can be in memory.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then memory=/dev/shm; else memory=${TMPDIR:-/tmp}; fi
folder=$(mktemp -d "$memory/sentinel-tests-XXXXXX")
servers=
# If setpriv is available, the kernel kills the servers when this script ends, even if it is killed.
with_parent=
if command -v setpriv >/dev/null 2>&1; then with_parent='setpriv --pdeathsig KILL'; fi

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

# start NAME ARGUMENTS...: starts a server on a free port and sets $port.
start() {
    name=$1
    shift
    if [ ! -x "$mongod" ]; then
        echo "tests/run.sh: mongod is not installed; run tests/setup.sh" >&2
        exit 1
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir "$folder/$name"
    # shellcheck disable=SC2086 # a command with its arguments, or nothing
    $with_parent "$mongod" --dbpath "$folder/$name" --port "$port" --bind_ip 127.0.0.1 --nounixsocket \
        --oplogSize 64 --wiredTigerCacheSizeGB 0.25 --setParameter ttlMonitorSleepSecs=1 \
        --setParameter enableTestCommands=1 --setParameter diagnosticDataCollectionEnabled=false \
        "$@" >"$folder/$name.log" 2>&1 </dev/null &
    servers="$servers $!"
}

# The first test initiates the replica set.
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
