//! Making sources: a client per credential's pace, and the adapter of the provider.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use crate::config::{Pagination, ProviderSettings, SitegptApi, SourceConfig};
use crate::http::{Http, HttpSettings, Pacer};
use crate::provider::{Facts, Provider, brilliant_directories, sitegpt, zaia};
use crate::sync::{Clock, Source};
use crate::telemetry::Subject;

/// Cap on one answer, decompressed. A page of a hundred messages with pictures inside stays below it; a larger page
/// is asked for in smaller pieces.
const MAX_BODY_BYTES: u64 = 64 * 1024 * 1024;

/// A source that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("source {name}: {problem}")]
pub struct BuildError {
    pub name: String,
    pub provider: &'static str,
    pub problem: String,
}

/// The clock on the wall.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "here the clock is read once for everybody")]
pub fn clock() -> Clock {
    let now = || jiff::Timestamp::now().as_millisecond();
    let paced: Clock = match i64::from(speed()) {
        1 => Arc::new(now),
        speed => {
            let start = now();
            Arc::new(move || start + (now() - start) * speed)
        }
    };
    #[cfg(debug_assertions)]
    if let Some((seconds, reading)) = crate::store::failpoint::faults().clock_jump {
        let read = std::sync::atomic::AtomicU64::new(0);
        return Arc::new(move || {
            let jumped = read.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 >= reading;
            if jumped { paced().saturating_add(seconds.saturating_mul(1_000)) } else { paced() }
        });
    }
    paced
}

/// How much faster than the world's the clock runs: only in tests, and only in debug builds.
#[must_use]
pub(super) fn speed() -> u32 {
    #[cfg(debug_assertions)]
    return crate::store::failpoint::faults().speed.unwrap_or(1).max(1);
    #[cfg(not(debug_assertions))]
    1
}

/// How many times shorter waits for a provider are: only in tests, and only in debug builds.
fn haste() -> u32 {
    #[cfg(debug_assertions)]
    return crate::store::failpoint::faults().haste.unwrap_or(1).max(1);
    #[cfg(not(debug_assertions))]
    1
}

/// The paces of credentials. They outlive a configuration: a pause that a provider asked for is not forgotten when
/// the daemon is told to read its configuration again.
#[derive(Default)]
pub(super) struct Pacers {
    known: Vec<(String, SecretString, u32, Arc<Pacer>)>,
}

impl Pacers {
    /// The pace of a source's credential, at this rate.
    pub(super) fn of(&mut self, source: &SourceConfig, rate: u32) -> Arc<Pacer> {
        let origin = source.base_url.origin().ascii_serialization();
        let key = source.api_key.expose_secret();
        let known = self
            .known
            .iter()
            .find(|(at, other, known_rate, _)| *at == origin && other.expose_secret() == key && *known_rate == rate);
        if let Some((.., pacer)) = known {
            return Arc::clone(pacer);
        }
        let pacer = Arc::new(Pacer::new(rate));
        self.known.push((origin, source.api_key.clone(), rate, Arc::clone(&pacer)));
        pacer
    }

    /// Forgets paces that nobody keeps any more.
    pub(super) fn forget_unused(&mut self) {
        self.known.retain(|(.., pacer)| Arc::strong_count(pacer) > 1);
    }
}

/// The rate of a source's credential: the smallest of all sources that share it.
pub(super) fn shared_rate(source: &SourceConfig, all: &[&SourceConfig]) -> u32 {
    let same = |other: &&&SourceConfig| {
        other.base_url.origin() == source.base_url.origin()
            && other.api_key.expose_secret() == source.api_key.expose_secret()
    };
    all.iter().filter(same).map(|other| other.requests_per_minute).min().unwrap_or(source.requests_per_minute)
}

/// Makes each configured source, with what the store remembers of its provider's API. Sources with one credential
/// share its pace, at the smaller of their rates.
#[must_use]
pub fn build_sources(
    configured: &[&SourceConfig],
    mut facts: HashMap<String, BTreeMap<String, String>>,
    cancel: &CancellationToken,
) -> Vec<Result<Arc<Source>, BuildError>> {
    let mut pacers = Pacers::default();
    let mut sources = Vec::with_capacity(configured.len());
    for source in configured {
        let pacer = pacers.of(source, shared_rate(source, configured));
        let facts = facts.remove(&source.name).unwrap_or_default();
        sources.push(client(source, pacer, cancel.clone()).map(|http| assemble(source, http, facts)));
    }
    sources
}

/// Makes a source that is never asked anything: its adapter only normalises what is stored. It needs no key.
///
/// # Errors
/// The TLS set-up of this machine is unusable.
pub(super) fn build_offline(source: &SourceConfig, facts: BTreeMap<String, String>) -> Result<Arc<Source>, BuildError> {
    let problem = |problem| BuildError { name: source.name.clone(), provider: source.kind().as_str(), problem };
    let http = Http::offline().map_err(problem)?;
    Ok(assemble(source, http, facts))
}

/// Makes the client of a source.
pub(super) fn client(source: &SourceConfig, pacer: Arc<Pacer>, cancel: CancellationToken) -> Result<Http, BuildError> {
    let key = source.api_key.expose_secret();
    let (auth_header, prefix) = match &source.settings {
        ProviderSettings::BrilliantDirectories { .. } => ("x-api-key", ""),
        ProviderSettings::Zaia { auth_prefix, .. } => ("authorization", auth_prefix.as_str()),
        ProviderSettings::Sitegpt { .. } => ("authorization", "Bearer "),
    };
    // Of this size from the start: a text that grows leaves copies behind that nobody wipes.
    let mut auth_value = String::with_capacity(prefix.len() + key.len());
    auth_value.push_str(prefix);
    auth_value.push_str(key);
    let auth_value = SecretString::from(auth_value);
    let settings = HttpSettings {
        base_url: source.base_url.clone(),
        auth_header,
        auth_value,
        private_network: source.private_network,
        roots: source.roots.clone(),
        timeout: source.timeout,
        max_body_bytes: MAX_BODY_BYTES,
        subject: Subject::new(&source.name, source.kind().as_str()),
    };
    let problem = |problem| BuildError { name: source.name.clone(), provider: source.kind().as_str(), problem };
    Http::hasty(settings, pacer, cancel, haste()).map_err(problem)
}

/// Makes a source around its client, with what the store remembers of its provider's API.
pub(super) fn assemble(source: &SourceConfig, http: Http, facts: BTreeMap<String, String>) -> Arc<Source> {
    let facts = Arc::new(Facts::new(facts));
    Arc::new(Source {
        name: source.name.clone(),
        base_url: source.base_url.to_string(),
        provider: provider(source, http.clone(), Arc::clone(&facts)),
        facts,
        http,
        concurrency: usize::try_from(source.concurrency).unwrap_or(1),
    })
}

/// The one place that knows every provider.
fn provider(source: &SourceConfig, http: Http, facts: Arc<Facts>) -> Arc<dyn Provider> {
    let lookback_ms = source.lookback_ms();
    match &source.settings {
        ProviderSettings::BrilliantDirectories { timezone } => {
            let settings = brilliant_directories::Settings { timezone: timezone.clone(), lookback_ms };
            Arc::new(brilliant_directories::BrilliantDirectories::new(http, facts, settings))
        }
        ProviderSettings::Zaia { pagination, .. } => {
            let pagination = match pagination {
                Pagination::Auto => zaia::Pagination::Auto,
                Pagination::Brackets => zaia::Pagination::Brackets,
                Pagination::Json => zaia::Pagination::Json,
                Pagination::Plain => zaia::Pagination::Plain,
            };
            Arc::new(zaia::Zaia::new(http, facts, zaia::Settings { pagination, lookback_ms }))
        }
        ProviderSettings::Sitegpt { api, chatbots } => {
            let api = match api {
                SitegptApi::V0 => sitegpt::Api::V0,
                SitegptApi::V2 => sitegpt::Api::V2,
            };
            let settings = sitegpt::Settings { api, chatbots: chatbots.clone() };
            Arc::new(sitegpt::Sitegpt::new(http, facts, settings))
        }
    }
}
