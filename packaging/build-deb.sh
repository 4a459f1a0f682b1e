#!/bin/sh
# Builds the Debian package into target/debian: the binary (`release`, or `dev` for tests), man pages, completions, units and
# configuration; and beside it its bill of materials (CycloneDX, chatloom_*.cdx.json). Needs what `sh packaging/setup-deb.sh` installs.
set -eu
cd "$(dirname "$0")/.."
profile=${1:-release}
PATH="$PWD/target/tools/bin:$PATH"
rm -rf target/package
# The pages come from the same definition whatever the profile. Built together with the debug binary, both are what
# `cargo test` has made already.
cargo build --locked --bin chatloom --example package
target/debug/examples/package target/package
if [ "$profile" = dev ]; then
  cp target/debug/chatloom target/package/chatloom
  cargo deb --locked --no-build --no-strip --fast
else
  cargo build --locked --profile "$profile" --bin chatloom
  cp "target/$profile/chatloom" target/package/chatloom
  cargo deb --locked --no-build
fi
package=$(ls -t target/debian/chatloom_*.deb | head -n 1)
cp target/package/chatloom.cdx.json "${package%.deb}.cdx.json"
