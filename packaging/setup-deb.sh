#!/bin/sh
# Installs what building and testing the Debian package needs besides tests/setup.sh: systemd's own checker, Debian's
# library look-up, a manual page checker, and cargo-deb (into target/tools). Does nothing where they are there.
set -eu
cd "$(dirname "$0")/.."
version=3.8.0
missing=""
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
command -v dpkg-shlibdeps >/dev/null 2>&1 || missing="$missing dpkg-dev"
command -v man >/dev/null 2>&1 || missing="$missing man-db"
command -v mandoc >/dev/null 2>&1 || missing="$missing mandoc"
if [ -n "$missing" ]; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update
  # shellcheck disable=SC2086  # a list of package names
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi
[ -x target/tools/bin/cargo-deb ] || cargo install cargo-deb --locked --version "$version" --root target/tools
