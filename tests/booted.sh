#!/bin/sh
# The package under a real systemd, booted in a container of a Debian release: bookworm has systemd 252, trixie 257.
#   sh tests/booted.sh [bookworm|trixie] [PACKAGE]
# As root, with debootstrap and systemd-container installed. It mounts cgroups and, the first time, fetches a Debian, so it
# is not part of .ci/run. Nothing is asked of any provider: the one source points at a closed port.
set -eu
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
package=${2:-$(ls -t target/debian/chatloom_*.deb | head -n 1)}
base="$PWD/target/booted/$suite"
if [ ! -e "$base/complete" ]; then
  mkdir -p "$base"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates "$suite" "$base/root"
  touch "$base/complete"
fi
cp "$package" "$base/root/chatloom.deb"

# Whatever happens in there is gone afterwards.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --directory="$base/root" --volatile=overlay --machine="chatloom-$$" \
  --register=no --keep-unit --private-network --capability=all --console=read-only --boot >"$base/console" 2>&1 </dev/null &
container=$!
cleanup() {
  kill -TERM "$container" 2>/dev/null || true # nspawn powers the system off; a second signal ends it at once
  wait "$container" 2>/dev/null || true
}
trap cleanup EXIT
tries=0
until init=$(pgrep -P "$container" | head -n 1) && [ -n "$init" ] &&
  nsenter -t "$init" -a systemctl is-active --quiet multi-user.target 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { cat "$base/console" >&2; exit 1; }
  sleep 0.2
done

nsenter -t "$init" -a sh -s <<'INSIDE'
set -eu
fail() {
  echo "booted: $*" >&2
  systemctl status chatloom --no-pager >&2 || true
  journalctl --no-pager -n 30 -o cat -u 'chatloom*' >&2
  exit 1
}
is() { [ "$(systemctl show "$1" -p "$2" --value)" = "$3" ] || fail "$1: $2=$(systemctl show "$1" -p "$2" --value), not $3"; }
logged() { # unit, text
  for _ in $(seq 50); do journalctl --no-pager -o cat -u "$1" | grep -q -- "$2" && return; sleep 0.1; done
  fail "$1 did not log: $2"
}
systemctl --version | head -n 1

dpkg --install /chatloom.deb >/dev/null 2>&1
is chatloom ActiveState inactive
is chatloom UnitFileState disabled
version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "$version" -ge 254 ]; then is chatloom Type notify-reload; else is chatloom Type notify; fi

# No source yet: told, and not tried again.
systemctl start chatloom 2>/dev/null && fail "started without a source"
is chatloom ActiveState failed
is chatloom ExecMainStatus 2
is chatloom NRestarts 0

# A source and its key. Nobody answers there; the daemon runs all the same.
(umask 077; echo k3y >/etc/chatloom/keys/zaia.key)
cat >>/etc/chatloom/chatloom.toml <<'E2'
[[sources]]
name = "agents"
provider = "zaia"
base_url = "http://127.0.0.1:9"
api_key_file = "keys/zaia.key"
E2
(cd / && chatloom check --offline >/dev/null) || fail "a check before the first start"
systemctl start chatloom || fail "does not start"
is chatloom ActiveState active
[ -n "$(systemctl show chatloom -p StatusText --value)" ] || fail "says nothing of what it does"
[ "$(stat -c %a /var/lib/private/chatloom)" = 700 ] || fail "the state folder is open"
[ "$(stat -c %a /var/lib/private/chatloom/chatloom.db)" = 600 ] || fail "the store is open"
tr '\0' '\n' <"/proc/$(systemctl show chatloom -p MainPID --value)/environ" | grep -q k3y && fail "the key is in the environment"

# Reload: taken over, or refused with the reason while the old one goes on.
systemctl reload chatloom || fail "does not reload"
logged chatloom 'configuration was read again'
echo 'polly = "5m"' >>/etc/chatloom/chatloom.toml
systemctl reload chatloom || true
logged chatloom 'did you mean'
is chatloom ActiveState active
sed -i /polly/d /etc/chatloom/chatloom.toml

# One writer: the history's unit is refused and names the daemon. The backup needs no lock.
systemctl start chatloom-backfill@agents 2>/dev/null && fail "two writers"
logged chatloom-backfill@agents 'chatloom run'
systemctl start chatloom-backup || fail "no backup while the daemon runs"
find /var/lib/private/chatloom/backups -type f -size +0 | grep -q . || fail "the backup left no file"
find /var/lib/private/chatloom/backups -type f -perm /077 | grep -q . && fail "the backup is open"

# An upgrade starts it anew; killed, it comes back; stopped, it ends within ten seconds.
before=$(systemctl show chatloom -p MainPID --value)
dpkg --install /chatloom.deb >/dev/null 2>&1
is chatloom ActiveState active
[ "$(systemctl show chatloom -p MainPID --value)" != "$before" ] || fail "the old program still runs"
kill -KILL "$(systemctl show chatloom -p MainPID --value)"
for _ in $(seq 600); do [ "$(systemctl show chatloom -p NRestarts --value)" = 1 ] && break; sleep 0.1; done
is chatloom NRestarts 1
begun=$(date +%s)
systemctl stop chatloom
[ $(($(date +%s) - begun)) -le 10 ] || fail "took too long to stop"
is chatloom Result success

# Removed while it runs and is enabled; purged, only the data is left.
systemctl enable --now chatloom chatloom-backup.timer 2>/dev/null
dpkg --remove chatloom >/dev/null 2>&1
systemctl is-active --quiet chatloom chatloom-backup.timer && fail "still runs"
dpkg --purge chatloom >/dev/null 2>&1
left=$(find /etc /opt /usr /var/lib/dpkg/info /var/lib/systemd /run/credentials -path '*chatloom*')
[ -z "$left" ] || fail "left behind: $left"
[ -e /var/lib/private/chatloom/chatloom.db ] || fail "the data is gone"
echo "booted: installed, run, reloaded, backed up, upgraded, killed, stopped, removed, purged"
INSIDE
