//! Another configuration while the daemon runs: what it changes, and whether its files have changed.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::timetable::Timetable;
use crate::app::build::shared_rate;
use crate::config::{Config, HttpListen, KeyOrigin, SourceConfig};

/// A source as it is to be read: its settings, and the rate that it shares with others of its credential.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) config: SourceConfig,
    pub(super) rate: u32,
    pub(super) poll: Timetable,
    pub(super) sweep: Timetable,
}

impl Wish {
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.config.is_like(&other.config) && self.rate == other.rate
    }
}

/// What a configuration wants: its enabled sources, and when the store is tidied up.
///
/// # Errors
/// Cron expressions that cannot be used, each with its source.
pub(super) fn wishes(config: &Config) -> Result<(Vec<Wish>, Timetable), String> {
    let enabled: Vec<&SourceConfig> = config.sources.iter().filter(|source| source.enabled).collect();
    let mut wrong = Vec::new();
    let mut wishes = Vec::new();
    let maintain =
        Timetable::new(&config.keeping.maintain).map_err(|error| wrong.push(format!("[store] maintain: {error}")));
    for source in &enabled {
        let named = |key: &str, error: String| format!("source {}, {key}: {error}", source.name);
        let poll = Timetable::new(&source.poll).map_err(|error| wrong.push(named("poll", error)));
        let sweep = Timetable::new(&source.sweep).map_err(|error| wrong.push(named("sweep", error)));
        if let (Ok(poll), Ok(sweep)) = (poll, sweep) {
            let rate = shared_rate(source, &enabled);
            wishes.push(Wish { config: (*source).clone(), rate, poll, sweep });
        }
    }
    match maintain {
        Ok(maintain) if wrong.is_empty() => Ok((wishes, maintain)),
        _ => Err(wrong.join("; ")),
    }
}

/// Settings that a running process cannot take over.
pub(super) fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut settings = Vec::new();
    if old.store_path != new.store_path {
        settings.push("[store] path");
    }
    let listens = |http: &Option<HttpListen>| http.as_ref().map(|http| http.listen);
    if listens(&old.http) != listens(&new.http) || !same_token(old, new) {
        settings.push("[http]");
    }
    if old.log != new.log {
        settings.push("[log]");
    }
    settings
}

fn same_token(old: &Config, new: &Config) -> bool {
    use secrecy::ExposeSecret as _;
    let token = |config: &Config| {
        let token = config.http.as_ref().and_then(|http| http.token.as_ref());
        token.map(|token| token.expose_secret().to_owned())
    };
    token(old) == token(new)
}

/// A file as it was last seen: when it was written, when its mode or owner changed, its size, and which file it is.
type Stamp = Option<([i64; 4], u64, u64)>;

/// The files whose change may give a stopped source a new key.
#[derive(Debug, Default)]
pub(super) struct Files {
    seen: Vec<(PathBuf, Stamp)>,
}

impl Files {
    /// The configuration file and the files of its keys, as they are now.
    pub(super) fn of(config: &Config) -> Self {
        let keys = config.sources.iter().filter_map(|source| match &source.key_origin {
            KeyOrigin::File(path) => Some(path.clone()),
            KeyOrigin::Inline | KeyOrigin::Env(_) | KeyOrigin::Unread => None,
        });
        Self { seen: config.file.iter().cloned().chain(keys).map(|path| (path.clone(), stamp(&path))).collect() }
    }

    /// The files of a configuration that was read after `before` was looked at: what changed in between is a change
    /// that is still to be noticed.
    pub(super) fn of_newer(config: &Config, before: &Self) -> Self {
        let mut files = Self::of(config);
        for (path, seen) in &mut files.seen {
            if let Some((_, earlier)) = before.seen.iter().find(|(known, _)| known == path) {
                *seen = *earlier;
            }
        }
        files
    }

    /// Whether one of them changed since this was last asked.
    pub(super) fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, seen) in &mut self.seen {
            let now = stamp(path);
            changed |= *seen != now;
            *seen = now;
        }
        changed
    }
}

fn stamp(path: &PathBuf) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
    Some((times, file.size(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Env, load_with};

    fn load(folder: &Path, text: &str) -> Config {
        std::fs::write(folder.join("chatloom.toml"), text).unwrap();
        load_with(None, &Env::default(), folder).unwrap()
    }

    fn bots(more: &str) -> String {
        format!("[[sources]]\nname = \"bots\"\nprovider = \"sitegpt\"\napi_key = \"k\"\n{more}\n")
    }

    #[test]
    fn a_source_is_like_itself_and_unlike_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let wish = |more: &str| wishes(&load(folder.path(), &bots(more))).unwrap().0.remove(0);
        assert!(wish("").is_like(&wish("")));
        for more in ["poll = \"7m\"", "timeout = \"9s\"", "concurrency = 9", "api = \"v2\"", "requests_per_minute = 7"]
        {
            assert!(!wish("").is_like(&wish(more)), "{more}");
        }
        let text = bots("").replace("\"k\"", "\"other\"");
        assert!(!wish("").is_like(&wishes(&load(folder.path(), &text)).unwrap().0[0]), "another key");
        let two = format!("{}{}", bots(""), bots("requests_per_minute = 3").replace("bots", "more"));
        assert_eq!(wishes(&load(folder.path(), &two)).unwrap().0[0].rate, 3, "they share a key, and so the pace");
    }

    #[test]
    fn a_schedule_that_never_comes_true_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = bots("poll = \"0 0 31 2 *\"\nsweep = \"0 0 30 2 *\"");
        let told = wishes(&load(folder.path(), &text)).unwrap_err();
        assert!(told.contains("source bots, poll") && told.contains("source bots, sweep"), "{told}");
    }

    #[test]
    fn what_a_running_process_cannot_take_over_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let plain = load(folder.path(), "");
        let moved = load(
            folder.path(),
            "[store]\npath = \"other.db\"\n[http]\nlisten = \"127.0.0.1:1\"\n[log]\nformat = \"json\"\n",
        );
        assert!(needs_restart(&plain, &plain).is_empty());
        assert_eq!(needs_restart(&plain, &moved), ["[store] path", "[http]", "[log]"]);
    }

    #[test]
    fn a_changed_key_file_is_noticed_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("bots.key");
        let write = |text: &str| {
            let new = folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::fs::rename(&new, &key).unwrap();
        };
        write("one");
        let text = bots("").replace("api_key = \"k\"", "api_key_file = \"bots.key\"");
        let mut files = Files::of(&load(folder.path(), &text));
        assert!(!files.changed());
        write("two");
        assert!(files.changed() && !files.changed());
        // It changes while the configuration is read: nobody knows which of the two was read.
        let before = Files::of(&load(folder.path(), &text));
        write("three");
        let mut files = Files::of_newer(&load(folder.path(), &text), &before);
        assert!(files.changed() && !files.changed());
        // Nothing but the mode is mended.
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(files.changed() && !files.changed());
        std::fs::remove_file(&key).unwrap();
        assert!(files.changed());
    }
}
