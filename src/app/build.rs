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
    Arc::new(|| jiff::Timestamp::now().as_millisecond())
}

/// Makes each configured source, with what the store remembers of its provider's API. Sources with one credential
/// share its pace, at the smaller of their rates.
#[must_use]
pub fn build_sources(
    configured: &[&SourceConfig],
    mut facts: HashMap<String, BTreeMap<String, String>>,
    cancel: &CancellationToken,
) -> Vec<Result<Arc<Source>, BuildError>> {
    let mut pacers: Vec<(String, SecretString, Arc<Pacer>)> = Vec::new();
    let mut sources = Vec::with_capacity(configured.len());
    for source in configured {
        let origin = source.base_url.origin().ascii_serialization();
        let same = |other: &SourceConfig| {
            other.base_url.origin() == source.base_url.origin()
                && other.api_key.expose_secret() == source.api_key.expose_secret()
        };
        let known = pacers
            .iter()
            .find(|(at, key, _)| *at == origin && key.expose_secret() == source.api_key.expose_secret())
            .map(|(_, _, pacer)| Arc::clone(pacer));
        let pacer = known.unwrap_or_else(|| {
            let rate = configured.iter().filter(|other| same(other)).map(|other| other.requests_per_minute).min();
            let pacer = Arc::new(Pacer::new(rate.unwrap_or(source.requests_per_minute)));
            pacers.push((origin, source.api_key.clone(), Arc::clone(&pacer)));
            pacer
        });
        let facts = Arc::new(Facts::new(facts.remove(&source.name).unwrap_or_default()));
        sources.push(build(source, pacer, facts, cancel.clone()));
    }
    sources
}

/// Makes a source that is never asked anything: its adapter only normalises what is stored. It needs no key.
///
/// # Errors
/// The TLS set-up of this machine is unusable.
pub(super) fn build_offline(source: &SourceConfig, facts: BTreeMap<String, String>) -> Result<Arc<Source>, BuildError> {
    let problem = |problem| BuildError { name: source.name.clone(), provider: source.kind().as_str(), problem };
    let (http, facts) = (Http::offline().map_err(problem)?, Arc::new(Facts::new(facts)));
    Ok(assemble(source, http, facts))
}

fn build(
    source: &SourceConfig,
    pacer: Arc<Pacer>,
    facts: Arc<Facts>,
    cancel: CancellationToken,
) -> Result<Arc<Source>, BuildError> {
    let key = source.api_key.expose_secret();
    let (auth_header, auth_value) = match &source.settings {
        ProviderSettings::BrilliantDirectories { .. } => ("x-api-key", key.to_owned()),
        ProviderSettings::Zaia { auth_prefix, .. } => ("authorization", format!("{auth_prefix}{key}")),
        ProviderSettings::Sitegpt { .. } => ("authorization", format!("Bearer {key}")),
    };
    let settings = HttpSettings {
        base_url: source.base_url.clone(),
        auth_header,
        auth_value: SecretString::from(auth_value),
        timeout: source.timeout,
        max_body_bytes: MAX_BODY_BYTES,
        subject: Subject::new(&source.name, source.kind().as_str()),
    };
    let problem = |problem| BuildError { name: source.name.clone(), provider: source.kind().as_str(), problem };
    let http = Http::new(settings, pacer, cancel).map_err(problem)?;
    Ok(assemble(source, http, facts))
}

fn assemble(source: &SourceConfig, http: Http, facts: Arc<Facts>) -> Arc<Source> {
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
