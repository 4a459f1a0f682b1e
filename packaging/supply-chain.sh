#!/bin/sh
# What is in the dependency tree, looked at by cargo-deny: licences, sources, duplicates and bans always; weaknesses where
# the RustSec database can be fetched (the one that `cargo audit` reads). Everywhere else, and there too, the tests hold
# Cargo.lock against a copy, packaging/advisories.toml, without any network (tests/it/supply.rs).
#
# cargo-deny is made once, in target/tools (some three minutes on two cores), unless it is on the PATH.
set -eu
cd "$(dirname "$0")/.."
version=0.20.2
PATH="$PWD/target/tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null 2>&1; then
  cargo install cargo-deny --locked --version "$version" --root target/tools ||
    { echo "supply chain: cargo-deny cannot be had; tests/it/supply.rs has looked at the lock file" >&2; exit 0; }
fi
cargo deny --locked check licenses bans sources

# Whether the database can be had is one question, what it says another: only the second may fail.
if timeout 120 cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "supply chain: the RustSec database cannot be reached; tests/it/supply.rs has looked at the copy in packaging" >&2
fi
