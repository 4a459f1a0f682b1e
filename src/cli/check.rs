//! `chatloom check`.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::check_report::{Report, SourceReport, StoreReport, Tried};
use super::output;
use super::signals::Signals;
use super::{Exit, logging, progress};
use crate::app::{build_sources, clock};
use crate::config::{Config, Env, KeyOrigin, SourceConfig};
use crate::provider::Checked;
use crate::store::{Configured, StoreError, open_reader, status, stored_provider};
use crate::sync::FeedCursor;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask no provider: try only the configuration, the keys that it names, and the store
    #[arg(long)]
    offline: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Tries the store and every enabled source, and says what is missing.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    logging::start();
    if let Err(problem) = crate::app::daemon::try_schedules(config) {
        output::complain(&problem);
        return Exit::Usage;
    }
    let signals = Signals::listen();
    let store = match try_store(&config.store_path) {
        Ok(detail) => StoreReport { path: config.store_path.display().to_string(), ok: true, detail },
        Err(detail) => StoreReport { path: config.store_path.display().to_string(), ok: false, detail },
    };
    let mut sources = try_sources(&config.sources, args.offline, &signals.cancel).await;
    for source in &mut sources {
        source.checks.extend(open_to_others(config, &source.name));
        source.checks.extend(rungs(config, &source.name));
        source.checks.extend(other_history(&config.store_path, source));
    }
    if let Some(number) = signals.received() {
        return Exit::Signal(number);
    }
    let ok = store.ok && !sources.iter().flat_map(|source| &source.checks).any(Tried::fails);
    let report = Report { ok, offline: args.offline, store, proxies: Env::proxies(), sources };
    if args.json {
        output::print_json(&report);
    } else {
        output::print(&report.told().join("\n"));
    }
    if report.ok { Exit::Fine } else { Exit::Failed }
}

/// A key that stands in the configuration is as safe as that file.
fn open_to_others(config: &Config, source: &str) -> Option<Tried> {
    let holds_key = |known: &&SourceConfig| known.name == source && known.key_origin == KeyOrigin::Inline;
    config.sources.iter().find(holds_key)?;
    let file = config.file.as_deref()?;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let detail = format!(
        "stands in the configuration, which is open to group or others (mode {mode:03o}); chmod 600 {}, or use api_key_file",
        file.display()
    );
    (mode & 0o077 != 0).then(|| Tried { what: "api_key".to_owned(), ok: false, optional: true, detail })
}

/// The store holds another provider's history under a source's name: no pass would mix the two.
fn other_history(store: &Path, source: &SourceReport) -> Option<Tried> {
    let stored = stored_provider(&open_reader(store).ok()?, &source.name).ok()??;
    let (name, configured) = (source.name.clone(), source.provider.to_owned());
    let changed = stored != configured && source.enabled;
    let detail = StoreError::ProviderChanged { name, stored, configured }.to_string();
    changed.then(|| Tried { what: "history".to_owned(), ok: false, optional: false, detail })
}

/// By which rung of the ladder each stream of a source was read last, and why not by a better one.
fn rungs(config: &Config, source: &str) -> Vec<Tried> {
    let configured = config.sources.iter().filter(|known| known.name == source);
    let configured: Vec<Configured> = configured
        .map(|source| Configured {
            name: source.name.clone(),
            provider: source.kind().as_str(),
            enabled: source.enabled,
        })
        .collect();
    let read = open_reader(&config.store_path)
        .and_then(|store| status(&store, &config.store_path, &configured, clock()(), FeedCursor::shown));
    // What is wrong with the store is told in its own line.
    let streams = read.ok().into_iter().flat_map(|report| report.sources).find(|known| known.name == source);
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for stream in streams.into_iter().flat_map(|source| source.streams) {
        let why = stream.note.map(|note| format!(": {note}")).unwrap_or_default();
        let known = told.entry(format!("{} is read by", stream.name)).or_default();
        let method = format!("{}{why}", stream.method);
        if !known.contains(&method) {
            known.push_str(if known.is_empty() { "" } else { "; " });
            known.push_str(&method);
        }
    }
    told.into_iter().map(|(what, detail)| Tried { what, ok: true, optional: true, detail }).collect()
}

/// Whether a pass could write to the store. Nothing is left behind, and a process that writes to it goes on.
fn try_store(path: &Path) -> Result<String, String> {
    let found = match open_reader(path) {
        Ok(_) => "can be read and written".to_owned(),
        Err(StoreError::Missing { .. }) => "is not there yet; the first `chatloom sync` makes it".to_owned(),
        Err(StoreError::Older { found, known, .. }) => {
            format!(
                "is of schema {found}; the next `chatloom sync` or `chatloom run` upgrades it to {known}, and keeps a copy of it first"
            )
        }
        Err(error) => return Err(error.to_string()),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(StoreError::NoFolder { path: path.to_owned() }.to_string());
    }
    let cannot = |what: &Path, error: &std::io::Error| {
        format!("cannot write to {}: {error}; let this user write there, or set another [store] path", what.display())
    };
    if path.exists() {
        OpenOptions::new().append(true).open(path).map_err(|error| cannot(path, &error))?;
    }
    // SQLite and the lock put files of their own beside the store.
    let trial = folder.join(format!(".chatloom-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&trial).map_err(|error| cannot(folder, &error))?;
    std::fs::remove_file(&trial).map_err(|error| cannot(folder, &error))?;
    Ok(found)
}

/// Tries every enabled source, side by side; offline only whether it can be set up.
async fn try_sources(configured: &[SourceConfig], offline: bool, cancel: &CancellationToken) -> Vec<SourceReport> {
    let mut reports: Vec<SourceReport> = configured
        .iter()
        .map(|source| SourceReport {
            name: source.name.clone(),
            provider: source.kind().as_str(),
            base_url: source.base_url.to_string(),
            enabled: source.enabled,
            checks: Vec::new(),
        })
        .collect();
    let enabled: Vec<&SourceConfig> = configured.iter().filter(|source| source.enabled).collect();
    let mut waiting: Vec<&str> = enabled.iter().map(|source| source.name.as_str()).collect();
    let mut tries = JoinSet::new();
    for (built, source) in build_sources(&enabled, HashMap::new(), cancel).into_iter().zip(&enabled) {
        let name = source.name.clone();
        tries.spawn(async move {
            let checks = match built {
                Ok(_) if offline => {
                    let (what, found) = ("settings".to_owned(), "fit, and the key can be read".to_owned());
                    vec![Checked { what, result: Ok(found), optional: false }]
                }
                Ok(source) => Arc::clone(&source.provider).check().await,
                Err(error) => {
                    let what = "settings".to_owned();
                    vec![Checked { what, result: Err(error.problem), optional: false }]
                }
            };
            (name, checks)
        });
    }
    let spinner = progress::spinner(String::new());
    spinner.set_message(format!("checking {}", waiting.join(", ")));
    while let Some(joined) = tries.join_next().await {
        let Ok((name, checks)) = joined else { continue };
        waiting.retain(|source| *source != name);
        spinner.set_message(format!("checking {}", waiting.join(", ")));
        if let Some(report) = reports.iter_mut().find(|report| report.name == name) {
            report.checks = checks.into_iter().map(Tried::from).collect();
        }
    }
    spinner.finish_and_clear();
    // A try that ended without a word is no success.
    for report in reports.iter_mut().filter(|report| report.enabled && report.checks.is_empty()) {
        let detail = "the check ended badly; run it again with CHATLOOM_LOG=chatloom=debug".to_owned();
        report.checks.push(Tried { what: "source".to_owned(), ok: false, optional: false, detail });
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_enabled_source_is_tried_and_the_others_are_listed() {
        let sites = crate::cli::demo::site::Sites::start(1_772_355_600_000).await.unwrap();
        let mut sources = sites.sources().unwrap();
        sites.directory.world().forbid("/api/v2/user/get");
        sites.agents.world().data.key = "another".to_owned();
        sources.push(SourceConfig { name: "old".to_owned(), enabled: false, ..sources[2].clone() });
        let tried = try_sources(&sources, false, &CancellationToken::new()).await;
        let names: Vec<(&str, bool)> = tried.iter().map(|source| (source.name.as_str(), source.enabled)).collect();
        assert_eq!(names, [("directory", true), ("agents", true), ("bots", true), ("old", false)]);
        let [directory, agents, bots, old] = tried.as_slice() else { panic!("four sources") };
        assert!(directory.checks.iter().any(|tried| !tried.ok && tried.optional), "{directory:?}");
        assert!(!directory.checks.iter().any(Tried::fails), "{directory:?}");
        assert!(agents.checks.iter().any(Tried::fails) && agents.checks[0].detail.contains("401"), "{agents:?}");
        assert!(!bots.checks.is_empty() && bots.checks.iter().all(|tried| tried.ok), "{bots:?}");
        assert!(old.checks.is_empty());
    }

    #[tokio::test]
    async fn offline_no_provider_is_asked() {
        let sites = crate::cli::demo::site::Sites::start(1_772_355_600_000).await.unwrap();
        let sources = sites.sources().unwrap();
        // Nobody answers there any more: whoever asked would fail.
        drop(sites);
        let tried = try_sources(&sources, true, &CancellationToken::new()).await;
        assert_eq!(tried.len(), 3);
        let told = |source: &SourceReport| source.checks.len() == 1 && source.checks[0].ok;
        assert!(tried.iter().all(told), "{tried:?}");
        let asked = try_sources(&sources, false, &CancellationToken::new()).await;
        assert!(asked.iter().all(|source| source.checks.iter().any(Tried::fails)), "{asked:?}");
    }

    #[tokio::test]
    async fn a_check_that_is_told_to_stop_ends() {
        let sites = crate::cli::demo::site::Sites::start(1_772_355_600_000).await.unwrap();
        let stopped = CancellationToken::new();
        stopped.cancel();
        let tried = try_sources(&sites.sources().unwrap(), false, &stopped).await;
        assert!(tried.iter().all(|source| source.checks.iter().any(Tried::fails)), "{tried:?}");
    }

    #[test]
    fn a_store_that_is_not_there_yet_is_tried_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        assert!(try_store(&folder.path().join("new.db")).unwrap().contains("not there yet"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(try_store(&folder.path().join("no/such/new.db")).unwrap_err().contains("folder"));
    }

    #[test]
    fn a_file_of_somebody_else_is_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.txt");
        std::fs::write(&path, "mine").unwrap();
        assert!(try_store(&path).unwrap_err().contains("not a chatloom store"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
