//! From shapes to meaning. Pure apart from key files; goes on after a problem, so that all are reported together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::env::Env;
use super::nearest::nearest;
use super::problem::{Complaint, Findings, shown};
use super::settings::{Config, HttpListen, Keeping, Log, LogFormat, LogLevel, Reporting};
use super::{file, schedule, secret, source};

/// What relative things are relative to.
pub(super) struct Around<'a> {
    pub(super) env: &'a Env,
    /// The configuration file's folder.
    pub(super) folder: &'a Path,
    /// The current folder.
    pub(super) cwd: &'a Path,
    /// Which secrets are read.
    pub(super) secrets: Secrets,
}

/// Which secrets a command needs. Those it does not need are not read, so they need not be at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    None,
    /// The token of the listener alone.
    Token,
    All,
}

/// Gives the shapes their meaning. `None` only if a problem was added.
pub(super) fn check(shapes: file::File, path: &Path, around: &Around<'_>, findings: &mut Findings) -> Option<Config> {
    let written = shapes.store.path.as_deref().unwrap_or_default();
    let store_path = store_path(written, around, findings.is_overridden("store.path"));
    let store_path = findings.take("store.path", store_path);
    let keeping = check_keeping(&shapes.store, store_path.as_deref(), around, findings);
    let http = shapes.http.map(|http| check_http(&http, around, findings));
    let log = check_log(&shapes.log, findings);
    let timezone = shapes.reporting.timezone.as_deref().map_or(Ok("UTC".to_owned()), timezone);
    let timezone = findings.take("reporting.timezone", timezone);

    unique_names(&shapes.sources, findings);
    let sources: Vec<_> =
        shapes.sources.iter().enumerate().map(|(at, shape)| source::check(at, shape, around, findings)).collect();

    Some(Config {
        file: Some(path.to_owned()),
        store_path: store_path?,
        keeping: keeping?,
        http: match http {
            Some(http) => Some(http?),
            None => None,
        },
        log: log?,
        reporting: Reporting { timezone: timezone? },
        sources: sources.into_iter().collect::<Option<_>>()?,
    })
}

fn store_path(written: &str, around: &Around<'_>, from_env: bool) -> Result<PathBuf, Complaint> {
    if written.trim().is_empty() || written.chars().any(char::is_control) {
        return Err(Complaint::new("must be the path of a file"));
    }
    if written.starts_with("~/") {
        return Err(Complaint::new("`~` is not expanded here").suggest("write the whole path"));
    }
    // SQLite reads these two as something else than a path: a store in memory would lose everything.
    if written == ":memory:" || written.starts_with("file:") {
        return Err(Complaint::new(format!("{} is not the path of a file", shown(written))));
    }
    if written.ends_with(['/', '\\']) {
        return Err(Complaint::new(format!("{} names a folder", shown(written)))
            .suggest(format!("\"{written}chatloom.db\" names a file in it")));
    }
    Ok(if from_env { around.cwd.join(written) } else { around.folder.join(written) })
}

fn check_keeping(
    store: &file::Store,
    store_path: Option<&Path>,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Option<Keeping> {
    let beside = store_path.and_then(Path::parent).unwrap_or(Path::new("")).join("backups");
    let from_env = findings.is_overridden("store.backup_path");
    let backup_path = store.backup_path.as_deref().map_or(Ok(beside), |written| folder_path(written, around, from_env));
    let backup_path = findings.take("store.backup_path", backup_path);
    let backup_keep = usize::try_from(store.backup_keep.unwrap_or(7)).ok().filter(|keep| *keep > 0);
    let backup_keep = backup_keep.ok_or_else(|| Complaint::new("must be at least 1"));
    let backup_keep = findings.take("store.backup_keep", backup_keep);
    let maintain = findings.take("store.maintain", schedule::schedule(store.maintain.as_deref().unwrap_or("1d")));
    let mut kept = |key: &str, written: Option<&str>| match written {
        None => Some(None),
        Some(written) => findings.take(key, schedule::retention(written)).map(Some),
    };
    let raw_retention = kept("store.raw_retention", store.raw_retention.as_deref());
    let message_retention = kept("store.message_retention", store.message_retention.as_deref());
    Some(Keeping {
        backup_path: backup_path?,
        backup_keep: backup_keep?,
        maintain: maintain?,
        raw_retention: raw_retention?,
        message_retention: message_retention?,
    })
}

fn folder_path(written: &str, around: &Around<'_>, from_env: bool) -> Result<PathBuf, Complaint> {
    if written.trim().is_empty() || written.chars().any(char::is_control) {
        return Err(Complaint::new("must be the path of a folder"));
    }
    if written.starts_with("~/") {
        return Err(Complaint::new("`~` is not expanded here").suggest("write the whole path"));
    }
    Ok(if from_env { around.cwd.join(written) } else { around.folder.join(written) })
}

fn check_http(http: &file::Http, around: &Around<'_>, findings: &mut Findings) -> Option<HttpListen> {
    let listen = findings.take("http.listen", listen(http.listen.as_deref().unwrap_or("127.0.0.1:8787")));
    let token = http.token_file.as_ref().filter(|_| around.secrets != Secrets::None).map(|written| {
        let read = secret::from_file(written, around.folder, around.env);
        findings.take("http.token_file", read).map(|(token, _)| token)
    });
    if http.token_file.is_none() && listen.is_some_and(|listen| !listen.ip().is_loopback()) {
        let complaint = Complaint::new("is missing: `listen` can be reached from other machines")
            .suggest("name a file that holds a token, or listen on 127.0.0.1");
        findings.missing("http.token_file", complaint);
    }
    match (listen?, token) {
        (listen, None) => Some(HttpListen { listen, token: None }),
        (listen, Some(token)) => Some(HttpListen { listen, token: Some(token?) }),
    }
}

fn check_log(log: &file::Log, findings: &mut Findings) -> Option<Log> {
    const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let levels = levels.map(|level| (level.as_str(), level));
    let format = log.format.as_deref().map_or(Ok(LogFormat::default()), |written| one_of(written, &FORMATS));
    let level = log.level.as_deref().map(|written| one_of(written, &levels)).transpose();
    let (format, level) = (findings.take("log.format", format), findings.take("log.level", level));
    Some(Log { format: format?, level: level? })
}

/// The meaning of one of a few words.
fn one_of<T: Copy>(written: &str, words: &[(&str, T)]) -> Result<T, Complaint> {
    words.iter().find(|(word, _)| *word == written).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        Complaint::new(format!("{} is none of the words known here", shown(written)))
            .suggest(format!("write one of {}", known.join(", ")))
    })
}

fn listen(written: &str) -> Result<SocketAddr, Complaint> {
    let numeric = match written.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => written.to_owned(),
    };
    numeric.parse().map_err(|_| {
        Complaint::new(format!("{} is not an address and port", shown(written)))
            .suggest("for example \"127.0.0.1:8787\", \"[::1]:8787\", or \"0.0.0.0:8787\" for every IPv4 interface")
    })
}

/// Checks the name of a time zone, and gives it in its usual spelling.
pub(super) fn timezone(written: &str) -> Result<String, Complaint> {
    if let Ok(zone) = TimeZone::get(written)
        && !zone.is_unknown()
    {
        return Ok(zone.iana_name().unwrap_or(written).to_owned());
    }
    let complaint = Complaint::new(format!("{} is not a known time zone", shown(written)));
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    Err(match nearest(written, names.iter().map(String::as_str)) {
        Some((near, true)) => complaint.suggest(format!("did you mean {near:?}?")),
        _ => complaint.suggest("write an IANA name, such as \"America/New_York\""),
    })
}

fn unique_names(sources: &[file::Source], findings: &mut Findings) {
    let mut first_at: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, source) in sources.iter().enumerate() {
        let Some(name) = source.name.as_deref() else { continue };
        match first_at.get(name) {
            None => {
                first_at.insert(name, at);
            }
            Some(first) => {
                let message = format!("{} is already the name of sources[{first}]", shown(name));
                let complaint = Complaint::new(message).suggest("give every source a name of its own");
                findings.add(&format!("sources[{at}].name"), complaint);
            }
        }
    }
}
