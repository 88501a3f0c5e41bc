#!/bin/sh
# Builds the Debian package target/sentinel_VERSION_ARCHITECTURE.deb, replaces an earlier one, and prints its path.
# Compiles nothing:
#
#   config/deb/build.sh BINARY
#
# dpkg-deb, which every Debian has, is enough: man page and completions are printed by the binary, and other packages
# need none of dpkg's metadata. MAINTAINER and REVISION (after the version) can be set.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/config/deb
binary=${1:?usage: build.sh BINARY}
"$binary" --version >/dev/null
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)${REVISION:+-$REVISION}
architecture=$(dpkg --print-architecture)
package=$root/target/sentinel_${version}_$architecture.deb

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
umask 022

# file MODE SOURCE PATH
file() {
    install -D -m "$1" "$2" "$tree/$3"
}

# of_package SOURCE PATH MODE: installs a file of docs/systemd/ with the binary's path in a package.
of_package() {
    sed 's|/usr/local/bin/|/usr/bin/|g' "$root/docs/systemd/$1" | file "$3" /dev/stdin "$2"
}

file 755 "$binary" usr/bin/sentinel
of_package as_sentinel usr/bin/as_sentinel 755
for unit in sentinel.service sentinel.socket sentinel-backup.service sentinel-backup.timer; do
    of_package "$unit" "usr/lib/systemd/system/$unit" 644
done
file 644 "$root/config/example.toml" etc/sentinel/sentinel.toml
file 644 "$root/config/default.toml" usr/share/doc/sentinel/default.toml
file 644 "$root/LICENSE" usr/share/doc/sentinel/copyright
for example in "$root"/examples/nginx/*; do
    file 644 "$example" "usr/share/doc/sentinel/examples/nginx/${example##*/}"
done
gzip -9n <"$root/CHANGELOG.md" | file 644 /dev/stdin usr/share/doc/sentinel/changelog.gz
"$binary" man | gzip -9n | file 644 /dev/stdin usr/share/man/man1/sentinel.1.gz
"$binary" completions bash | file 644 /dev/stdin usr/share/bash-completion/completions/sentinel
"$binary" completions zsh | file 644 /dev/stdin usr/share/zsh/vendor-completions/_sentinel
"$binary" completions fish | file 644 /dev/stdin usr/share/fish/vendor_completions.d/sentinel.fish

# The newest version of the C library whose symbols the binary uses. procps has /bin/kill, which the unit runs.
libc=$(grep -aoE 'GLIBC_[0-9]+(\.[0-9]+)+' "$binary" | sort -uV | tail -n 1)
mkdir "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<END
Package: sentinel
Version: $version
Architecture: $architecture
Maintainer: ${MAINTAINER:-Sentinel, built locally <root@localhost>}
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f 1)
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1, procps
Recommends: ca-certificates, systemd (>= 250), sudo
Suggests: nginx, openssl
Section: net
Priority: optional
Description: standalone OAuth 2.0 token server
 Sentinel authenticates users with user name and password, issues bearer
 tokens, and tells resource servers and nginx which user and client a token
 belongs to. It stores everything in one SQLite file, or in MongoDB.
END
echo /etc/sentinel/sentinel.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do file 755 "$here/$script" "DEBIAN/$script"; done
(cd "$tree" && find usr -type f -exec md5sum {} +) >"$tree/DEBIAN/md5sums"
chmod 644 "$tree/DEBIAN/md5sums"

# Commands name the package target/sentinel_*.deb.
mkdir -p "$root/target"
rm -f "$root"/target/sentinel_*.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
