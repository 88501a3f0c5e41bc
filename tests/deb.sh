#!/bin/sh
# Installs, upgrades, removes and purges the Debian package in a clean Debian 12, and checks the result of each step.
# Run by hand, as root: needs debootstrap, a mirror of Debian and 1 GB of disk.
#
#   tests/deb.sh PACKAGE
#
# SUITE and MIRROR select another release and mirror. systemd does not run there: the maintainer scripts find a script
# in its place, which records the calls.
set -eu

package=${1:?usage: tests/deb.sh PACKAGE}
suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" -eq 0 ] || { echo 'tests/deb.sh: run it as root, for debootstrap and chroot' >&2; exit 1; }
command -v debootstrap >/dev/null || { echo 'tests/deb.sh: run apt-get install debootstrap first' >&2; exit 1; }

folder=$(mktemp -d)
machine=$folder/$suite
cleanup() {
    trap - EXIT INT TERM
    umount "$machine/dev/null" "$machine/proc" 2>/dev/null || true
    # Never deletes through a mount that is still there.
    rm -rf --one-file-system "$folder"
}
trap cleanup EXIT
trap 'cleanup; exit 130' INT
trap 'cleanup; exit 143' TERM

step() {
    echo "tests/deb.sh: $1"
}

fail() {
    echo "tests/deb.sh: FAILED: $1" >&2
    exit 1
}

# Runs a command in the new system.
inside() {
    chroot "$machine" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

exists() {
    for path; do [ -e "$machine$path" ] || fail "$path does not exist"; done
}

absent() {
    for path; do
        if [ -e "$machine$path" ] || [ -h "$machine$path" ]; then fail "$path exists"; fi
    done
}

# calls EXPECTED: compares the calls of systemd since the last comparison, without reloads of its units.
calls() {
    found=$(grep -v daemon-reload "$machine/calls" || true)
    [ "$found" = "$1" ] || fail "expected the calls of systemd '$1', found '$found'"
    : >"$machine/calls"
}

step "installing Debian $suite from $mirror"
debootstrap --variant=minbase "$suite" "$machine" "$mirror" >"$folder/log" 2>&1 || fail "debootstrap: $(tail -n 5 "$folder/log")"
mount -t proc proc "$machine/proc"
touch "$machine/dev/null"
mount --bind /dev/null "$machine/dev/null"
inside apt-get update -qq
inside apt-get install -qq --no-install-recommends man-db systemd >"$folder/log" 2>&1 || fail "$(tail -n 5 "$folder/log")"
mkdir -p "$machine/run/systemd/system"
for command in systemctl deb-systemd-invoke; do
    printf '#!/bin/sh\necho "%s $*" >>/calls\n' "$command" >"$machine/usr/bin/$command.new"
    chmod 755 "$machine/usr/bin/$command.new"
    mv "$machine/usr/bin/$command.new" "$machine/usr/bin/$command"
done
: >"$machine/calls"
cp "$package" "$machine/sentinel.deb"

step 'installing the package'
inside apt-get install -qq --no-install-recommends /sentinel.deb >"$folder/log" 2>&1 || fail "$(tail -n 5 "$folder/log")"
grep -q 'set server.public_url' "$folder/log" || fail "the next step is not printed: $(cat "$folder/log")"
exists /usr/bin/sentinel /usr/bin/as_sentinel /etc/sentinel/sentinel.toml /usr/share/doc/sentinel/copyright \
    /usr/share/doc/sentinel/default.toml /usr/share/doc/sentinel/examples/nginx/site.conf \
    /usr/share/bash-completion/completions/sentinel /usr/share/zsh/vendor-completions/_sentinel \
    /usr/share/fish/vendor_completions.d/sentinel.fish
for unit in sentinel.service sentinel.socket sentinel-backup.service sentinel-backup.timer; do
    exists "/usr/lib/systemd/system/$unit"
    inside systemd-analyze verify --man=no "/usr/lib/systemd/system/$unit" || fail "systemd rejects $unit"
done
! grep -r /usr/local/ "$machine/usr/lib/systemd/system"/sentinel* "$machine/usr/bin/as_sentinel" ||
    fail 'files of the package name the folder of an installation by hand'
absent /etc/systemd/system/multi-user.target.wants/sentinel.service /var/lib/sentinel
calls ''
[ "$(inside dpkg --verify sentinel)" = '' ] || fail 'dpkg --verify reports differences'
inside sentinel --version
inside man --pager=cat sentinel 2>/dev/null | grep -q 'sentinel user add' || fail 'man shows no page'
inside bash -n /usr/share/bash-completion/completions/sentinel
inside sentinel config check --config /etc/sentinel/sentinel.toml || fail 'the installed settings are rejected'

step 'installing it again and upgrading it: changed settings are kept'
sed -i 's/auth.example.org/auth.test.example/' "$machine/etc/sentinel/sentinel.toml"
inside apt-get install -qq --reinstall /sentinel.deb >"$folder/log" 2>&1 || fail "$(tail -n 5 "$folder/log")"
calls 'deb-systemd-invoke try-restart sentinel.service'
dpkg-deb --raw-extract "$package" "$folder/next"
sed -i 's/^Version: .*/&+next/' "$folder/next/DEBIAN/control"
echo '# A later version of the example.' >>"$folder/next/etc/sentinel/sentinel.toml"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$folder/next" "$machine/next.deb" >/dev/null
inside apt-get install -qq -o Dpkg::Options::=--force-confold /next.deb >"$folder/log" 2>&1 || fail "$(tail -n 5 "$folder/log")"
grep -q auth.test.example "$machine/etc/sentinel/sentinel.toml" || fail 'the upgrade replaced changed settings'
exists /etc/sentinel/sentinel.toml.dpkg-dist
calls 'deb-systemd-invoke try-restart sentinel.service'

step 'removing it: the server is stopped; settings and store are kept'
install -d -m 700 "$machine/var/lib/private/sentinel"
touch "$machine/var/lib/private/sentinel/sentinel.db"
ln -s private/sentinel "$machine/var/lib/sentinel"
ln -s /usr/lib/systemd/system/sentinel.service "$machine/etc/systemd/system/multi-user.target.wants/"
inside apt-get remove -qq sentinel >"$folder/log" 2>&1 || fail "$(tail -n 5 "$folder/log")"
calls 'deb-systemd-invoke stop sentinel.socket sentinel.service sentinel-backup.timer sentinel-backup.service'
absent /usr/bin/sentinel /usr/bin/as_sentinel /usr/lib/systemd/system/sentinel.service
exists /etc/sentinel/sentinel.toml /var/lib/sentinel/sentinel.db

step 'purging it: the store is kept, and the operator is told'
echo secret >"$machine/etc/sentinel/management-password"
inside apt-get purge -qq sentinel >"$folder/log" 2>&1 || fail "$(tail -n 5 "$folder/log")"
grep -q 'kept the store in /var/lib/private/sentinel' "$folder/log" || fail "$(cat "$folder/log")"
grep -q 'kept your own files in /etc/sentinel' "$folder/log" || fail "$(cat "$folder/log")"
absent /etc/sentinel/sentinel.toml /etc/systemd/system/multi-user.target.wants/sentinel.service
exists /var/lib/sentinel/sentinel.db /etc/sentinel/management-password
calls ''
step 'all checks passed'
