#!/bin/sh
# Installs what building and testing need besides Rust, on Debian and its relatives. Does nothing where it is there.
#
#   sh tests/setup.sh           to build: a C compiler (SQLite, zstd and ring are compiled in) and the certificate
#                               authorities that https needs
#   sh tests/setup.sh readers   to test, too: the programs that people read the file and the page with (sqlite3,
#                               Chromium, and in target/readers Datasette, DuckDB, pandas and what drives the browser)
#   sh tests/setup.sh counts    to count instructions (benches/count): valgrind
set -eu
cd "$(dirname "$0")/.."
missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
if [ "${1:-}" = readers ]; then
  command -v sqlite3 >/dev/null 2>&1 || missing="$missing sqlite3"
  command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-liberation"
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
fi
if [ "${1:-}" = counts ]; then
  command -v valgrind >/dev/null 2>&1 || missing="$missing valgrind"
fi
if ! command -v cargo >/dev/null 2>&1; then
  echo "Rust is missing: install it first (rustup, 1.95 or later)." >&2
  exit 1
fi
if [ -n "$missing" ]; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update
  # shellcheck disable=SC2086  # a list of package names
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi
[ "${1:-}" = readers ] || exit 0
wanted=tests/readers/requirements.txt
if ! cmp -s "$wanted" target/readers/made-from.txt; then
  rm -rf target/readers
  mkdir -p target
  python3 -m venv target/readers
  target/readers/bin/pip install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" target/readers/made-from.txt
fi
