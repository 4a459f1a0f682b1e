#!/bin/sh
# The units: systemd has nothing to say against them, and what an intruder could do from within scores 1.2 or lower
# (a bare unit has 9.6). Offline, no running systemd is needed. Says the scores.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Where the program is not installed, verification needs something to start in its place.
cp /bin/true "$folder/chatloom"
cp systemd/chatloom* "$folder"
sed -i "s|/usr/bin/chatloom|$folder/chatloom|" "$folder"/*.service

verify() {
  said=$(systemd-analyze verify --man=no "$@" 2>&1) || { echo "$said" >&2; exit 1; }
  [ -z "$said" ] || { echo "$said" >&2; exit 1; }
}
score() {
  for unit in "$folder"/*.service; do
    systemd-analyze security --offline=true --no-pager --threshold=12 "$unit" >"$folder/said" ||
      { grep -v "^✓" "$folder/said" >&2; exit 1; }
    tail -n 1 "$folder/said" | tr -cd '[:print:]\n'
  done
}

verify "$folder"/chatloom*.service "$folder"/chatloom*.timer
score
version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "$version" -ge 254 ]; then
  mkdir "$folder/chatloom.service.d"
  cp systemd/newer-systemd.conf "$folder/chatloom.service.d"
  verify "$folder/chatloom.service"
  score
else
  echo "systemd $version: newer-systemd.conf is for 254 and later, and not used here"
fi
