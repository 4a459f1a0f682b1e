#!/bin/sh
# Builds the Debian package into target/debian: the binary (`release`, or the profile named), man pages, completions,
# units and configuration. Needs what `sh packaging/setup-deb.sh` installs.
set -eu
cd "$(dirname "$0")/.."
profile=${1:-release}
PATH="$PWD/target/tools/bin:$PATH"
rm -rf target/package
# The pages come from the same definition whatever the profile; the debug one is mostly there already.
cargo run --quiet --locked --example package -- target/package
cargo build --locked --profile "$profile" --bin chatloom
if [ "$profile" = dev ]; then
  # For tests: quickly made, large.
  cargo deb --locked --no-build --profile dev --no-strip --fast
else
  cargo deb --locked --no-build --profile "$profile"
fi
