//! For `crate::fuzzing`: configurations and the values in them.

use std::path::Path;
use std::time::Duration;

use config::{File, FileFormat, Source as _, Value, ValueKind};
use url::Url;

use super::check::Secrets;
use super::env::Env;
use super::load::parse_with;
use super::settings::Schedule;
use super::{Config, schedule};

const KEY: &str = "k3y-that-nobody-may-see";
/// Keys shorter than this stand in many a text by chance.
const TELLING: usize = 12;

/// A configuration file. No key is read from a file: a text may name any file of this machine.
///
/// What is wrong is told in words that fit a terminal, and that repeat no key.
pub(crate) fn text(text: &str, turns_writing: fn(char) -> bool) -> Option<Config> {
    let env = Env::from_pairs([("BD_API_KEY", KEY), ("SITEGPT_API_KEY", KEY)]);
    let secrets = if text.contains("_file") { Secrets::None } else { Secrets::All };
    let problems = match parse_with(text, Path::new("/etc/chatloom/chatloom.toml"), &env, Path::new("/here"), secrets) {
        Ok(config) => return Some(config),
        Err(problems) => problems,
    };
    let told = problems.to_string();
    assert!(!problems.as_slice().is_empty() && !told.is_empty(), "refused without a word");
    assert!(!told.contains("fit together"), "refused without a reason: {told}");
    assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
    assert!(!told.chars().any(turns_writing), "{told:?}");
    assert!(text.contains(KEY) || !told.contains(KEY), "a key from the environment is told");
    for key in keys(text) {
        // One that stands elsewhere too may be told for that other place.
        if key.len() >= TELLING && text.matches(&key).count() == 1 {
            assert!(!told.contains(&key), "a key is told: {told}");
        }
    }
    None
}

/// The values of `api_key` in a file that is TOML.
fn keys(text: &str) -> Vec<String> {
    let Ok(table) = File::from_str(text, FileFormat::Toml).collect() else { return Vec::new() };
    let Some(Value { kind: ValueKind::Array(sources), .. }) = table.get("sources") else { return Vec::new() };
    let key = |source: &Value| match &source.kind {
        ValueKind::Table(source) => match &source.get("api_key")?.kind {
            ValueKind::String(key) => Some(key.clone()),
            _ => None,
        },
        _ => None,
    };
    sources.iter().filter_map(key).collect()
}

/// A base URL.
pub(crate) fn base_url(text: &str) -> Option<Url> {
    match super::base_url::base_url(text, None, false) {
        Ok(url) => Some(url),
        Err(complaint) => {
            assert!(!complaint.message.chars().any(char::is_control), "{complaint:?}");
            None
        }
    }
}

/// Durations and schedules: what is taken lies within its bounds. Hands on a cron expression.
pub(crate) fn schedules(text: &str) -> Option<Schedule> {
    const DAY: u64 = 86_400;
    let within = |took: Duration, least: u64, most: u64| (least..=most).contains(&took.as_secs());
    if let Ok(took) = schedule::duration(text, Duration::from_secs(5)) {
        assert!(within(took, 5, 366 * DAY), "{took:?}");
    }
    if let Ok(took) = schedule::retention(text) {
        assert!(within(took, DAY, 36_525 * DAY), "{took:?}");
    }
    let took = schedule::schedule(text).ok()?;
    if let Schedule::Every(took) = &took {
        assert!(within(*took, 1, 366 * DAY), "{took:?}");
    }
    Some(took)
}
