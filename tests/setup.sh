#!/bin/sh
# Installs what building and testing need besides Rust, on Debian and its relatives: a C compiler (SQLite, zstd and
# ring are compiled in) and the certificate authorities that https needs. Does nothing where they are there.
set -eu
missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
if ! command -v cargo >/dev/null 2>&1; then
  echo "Rust is missing: install it first (rustup, 1.95 or later)." >&2
  exit 1
fi
[ -n "$missing" ] || exit 0
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
$as_root apt-get update
# shellcheck disable=SC2086  # a list of package names
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
