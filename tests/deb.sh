#!/bin/sh
# The Debian package's life on this machine, as root: built, installed, looked at, upgraded, removed, purged. Builds from
# the debug profile, which the tests have made already. What was there before (an installed chatloom, its configuration
# or data) makes it refuse: it would be taken away.
set -eu
cd "$(dirname "$0")/.."
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
units=/usr/lib/systemd/system

fail() { echo "deb: $*" >&2; exit 1; }
there() { for path in "$@"; do [ -e "$path" ] || fail "$path is missing"; done; }
gone() { for path in "$@"; do [ ! -e "$path" ] && [ ! -L "$path" ] || fail "$path is still there"; done; }
mode() { [ "$(stat -c '%a %U:%G' "$1")" = "$2" ] || fail "$1: $(stat -c '%a %U:%G' "$1"), not $2"; }

gone /usr/bin/chatloom /etc/chatloom /var/lib/chatloom /var/lib/private/chatloom
sh packaging/build-deb.sh dev
package=$(ls -t target/debian/chatloom_*.deb | head -n 1)
cleanup() { $as_root dpkg --purge chatloom >/dev/null 2>&1 || true; $as_root rm -rf /var/lib/private/chatloom /var/lib/chatloom; }
trap cleanup EXIT

there "${package%.deb}.cdx.json"

# What is in it.
dpkg-deb --field "$package" Depends | grep -q 'libc6' || fail "the C library is not among the dependencies"
dpkg-deb --field "$package" Depends | grep -q 'ca-certificates' || fail "https needs ca-certificates"

# Installed: everything in place, nothing started or enabled, no key and no data yet.
$as_root dpkg --install "$package"
[ "$(chatloom --version)" = "chatloom $(dpkg-query --show --showformat='${Version}' chatloom | sed 's/-[^-]*$//')" ] ||
  fail "chatloom --version and the package disagree"
mode /usr/bin/chatloom "755 root:root"
mode /etc/chatloom/chatloom.toml "644 root:root"
mode /etc/chatloom/keys "700 root:root"
dpkg-query --show --showformat='${Conffiles}' chatloom | grep -q '/etc/chatloom/chatloom.toml' || fail "not a conffile"
there "$units/chatloom.service" "$units/chatloom-backfill@.service" "$units/chatloom-backup.service" \
  "$units/chatloom-backup.timer" /usr/share/doc/chatloom/copyright /usr/share/doc/chatloom/install.md* \
  /usr/share/bash-completion/completions/chatloom /usr/share/zsh/vendor-completions/_chatloom \
  /usr/share/fish/vendor_completions.d/chatloom.fish
gone /etc/systemd/system/multi-user.target.wants/chatloom.service \
  /etc/systemd/system/timers.target.wants/chatloom-backup.timer
mode /var/lib/chatloom/. "700 root:root"
bash -n /usr/share/bash-completion/completions/chatloom
said=$(bash -c '. /usr/share/bash-completion/completions/chatloom
  COMP_WORDS=(chatloom ba); COMP_CWORD=1; _chatloom chatloom ba chatloom; echo "${COMPREPLY[@]}"')
case "$said" in *backfill*) ;; *) fail "bash completes ba to: $said" ;; esac
if command -v zsh >/dev/null 2>&1; then zsh -n /usr/share/zsh/vendor-completions/_chatloom; fi
if command -v fish >/dev/null 2>&1; then fish --no-execute /usr/share/fish/vendor_completions.d/chatloom.fish; fi

# A manual page for the program and every command; the checker finds no error in any.
there /usr/share/man/man1/chatloom.1.gz
for command in $(chatloom --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -vx help); do
  there "/usr/share/man/man1/chatloom-$command.1.gz"
done
for page in /usr/share/man/man1/chatloom*.1.gz; do
  mandoc -T lint -W error "$page" || fail "$page is no proper manual page"
done
man -l /usr/share/man/man1/chatloom.1.gz | grep -q 'EXIT STATUS' || fail "man shows no page"

# The installed units, with the program and the pages that they name.
said=$(systemd-analyze verify "$units"/chatloom*.service "$units"/chatloom*.timer 2>&1) || fail "$said"
[ -z "$said" ] || fail "$said"
version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "$version" -ge 254 ]; then there "$units/chatloom.service.d/newer-systemd.conf"
else gone "$units/chatloom.service.d"; fi

# The configuration as shipped and with a source; the key is where the unit hands it over from.
key=/etc/chatloom/keys/zaia.key
$as_root sh -c "umask 077; echo k3y-of-a-test >$key"
printf '\n[[sources]]\nname = "agents"\nprovider = "zaia"\napi_key_file = "keys/zaia.key"\n' |
  $as_root tee -a /etc/chatloom/chatloom.toml >/dev/null
$as_root chatloom --config /etc/chatloom/chatloom.toml check --offline

# Installed again (an upgrade): what was changed and what was added stays. Enabled by hand, it stays enabled.
$as_root systemctl --quiet enable chatloom.service chatloom-backup.timer
$as_root dpkg --install "$package"
grep -q agents /etc/chatloom/chatloom.toml || fail "the changed configuration was replaced"
there "$key" /etc/systemd/system/multi-user.target.wants/chatloom.service

# Removed: the program goes, configuration, keys and data stay, nothing is enabled any more.
$as_root touch /var/lib/private/chatloom/chatloom.db
$as_root dpkg --remove chatloom
gone /usr/bin/chatloom "$units/chatloom.service" "$units/chatloom.service.d" \
  /etc/systemd/system/multi-user.target.wants/chatloom.service \
  /etc/systemd/system/timers.target.wants/chatloom-backup.timer
there "$key" /etc/chatloom/chatloom.toml /var/lib/private/chatloom/chatloom.db

# Purged: nothing is left but the data.
$as_root dpkg --purge chatloom
left=$($as_root find /etc /opt /usr /var -path '*chatloom*' -newer "$package" -print)
expected="/var/lib/chatloom
/var/lib/private/chatloom
/var/lib/private/chatloom/chatloom.db"
[ "$(echo "$left" | sort)" = "$expected" ] || fail "left behind: $left"
$as_root rm /var/lib/chatloom
echo "deb: $package installed, upgraded, removed and purged ($(stat -c %s "$package") bytes, debug profile)"
