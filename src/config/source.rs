//! The meaning of one `[[sources]]` entry.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::base_url::base_url;
use super::check::{Around, Secrets, timezone};
use super::file;
use super::nearest::nearest;
use super::only::{auth_prefix, chatbots, pagination, sitegpt_api};
use super::problem::{Complaint, Findings, shown};
use super::roots;
use super::schedule::{duration, schedule};
use super::secret;
use super::settings::{KeyOrigin, Pagination, ProviderSettings, Schedule, SitegptApi, SourceConfig};
use crate::model::ProviderKind;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const POLL: Schedule = Schedule::Every(Duration::from_secs(5 * 60));
const SWEEP: Schedule = Schedule::Every(Duration::from_secs(24 * 3_600));
const MAX_CONCURRENCY: i64 = 64;
/// A try that takes longer than this is lost anyway.
const MAX_TIMEOUT: Duration = HOUR;

/// What differs between providers when nothing is written.
struct Defaults {
    base_url: Option<&'static str>,
    requests_per_minute: u32,
    concurrency: u32,
    lookback: Duration,
}

fn defaults(kind: ProviderKind) -> Defaults {
    match kind {
        ProviderKind::BrilliantDirectories => {
            Defaults { base_url: None, requests_per_minute: 100, concurrency: 2, lookback: HOUR.saturating_mul(2) }
        }
        ProviderKind::Zaia => Defaults {
            base_url: Some("https://api.endless.zaia.app"),
            requests_per_minute: 60,
            concurrency: 2,
            lookback: HOUR,
        },
        ProviderKind::Sitegpt => Defaults {
            base_url: Some("https://sitegpt.ai"),
            requests_per_minute: 100,
            concurrency: 4,
            lookback: Duration::ZERO,
        },
    }
}

/// Whether a text may be the name of a source: `[a-z0-9_-]+`.
#[must_use]
pub fn is_source_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(fits_a_name)
}

fn fits_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
}

/// One source being checked: where it stands, and where its problems go.
struct Checker<'a> {
    at: usize,
    findings: &'a mut Findings,
}

/// Checks a source. `None` only if a problem was added.
pub(super) fn check(
    at: usize,
    shape: &file::Source,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Option<SourceConfig> {
    let mut checker = Checker { at, findings };
    let name = checker.name(shape.name.as_deref());
    let kind = checker.provider(shape.provider.as_deref());
    let enabled = shape.enabled.unwrap_or(true);
    let key = checker.key(shape, enabled, around);
    let private_network = shape.private_network.unwrap_or(false);
    let base_url = checker.base_url(shape.base_url.as_deref(), kind, private_network);
    let roots = checker.value("ca_file", shape.ca_file.as_deref().filter(|_| enabled), Some(Vec::new()), |written| {
        roots::read(written, around.folder)
    });
    let settings = checker.settings(shape, kind);
    let poll = checker.value("poll", shape.poll.as_deref(), Some(POLL), schedule);
    let sweep = checker.value("sweep", shape.sweep.as_deref(), Some(SWEEP), schedule);
    let timeout = checker.value("timeout", shape.timeout.as_deref(), Some(MINUTE), timeout);
    let defaults = kind.map(defaults);
    let lookback =
        checker.value("lookback", shape.lookback.as_deref(), defaults.as_ref().map(|d| d.lookback), |text| {
            duration(text, Duration::ZERO)
        });
    let rate = checker.value(
        "requests_per_minute",
        shape.requests_per_minute,
        defaults.as_ref().map(|d| d.requests_per_minute),
        // More than the type holds is as good as no limit.
        |number| positive(number).map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
    );
    let concurrency =
        checker.value("concurrency", shape.concurrency, defaults.as_ref().map(|d| d.concurrency), concurrency);

    let (api_key, key_origin) = key?;
    Some(SourceConfig {
        name: name?,
        settings: settings?,
        base_url: base_url?,
        api_key,
        key_origin,
        enabled,
        poll: poll?,
        sweep: sweep?,
        requests_per_minute: rate?,
        concurrency: concurrency?,
        timeout: timeout?,
        lookback: lookback?,
        roots: roots?,
        private_network,
    })
}

impl Checker<'_> {
    fn path(&self, key: &str) -> String {
        format!("sources[{}].{key}", self.at)
    }

    fn missing(&mut self, key: &str, complaint: Complaint) {
        self.findings.missing(&self.path(key), complaint);
    }

    /// The meaning of a value; the default when nothing is written.
    fn value<W, T>(
        &mut self,
        key: &str,
        written: Option<W>,
        default: Option<T>,
        read: impl FnOnce(W) -> Result<T, Complaint>,
    ) -> Option<T> {
        match written {
            Some(written) => self.findings.take(&self.path(key), read(written)),
            None => default,
        }
    }

    fn name(&mut self, written: Option<&str>) -> Option<String> {
        let Some(written) = written else {
            self.missing("name", Complaint::new("is missing").suggest("every source needs a name of its own"));
            return None;
        };
        if is_source_name(written) {
            return Some(written.to_owned());
        }
        let mended: String =
            written.to_ascii_lowercase().chars().take(60).map(|c| if fits_a_name(c) { c } else { '-' }).collect();
        let complaint = Complaint::new(format!("{} must be small letters, digits, - and _ only", shown(written)));
        let complaint = if mended.chars().any(|c| c != '-') {
            complaint.suggest(format!("for example {mended:?}"))
        } else {
            complaint
        };
        self.findings.add(&self.path("name"), complaint);
        None
    }

    fn provider(&mut self, written: Option<&str>) -> Option<ProviderKind> {
        let names = || ProviderKind::ALL.iter().map(|kind| kind.as_str());
        let all = names().collect::<Vec<_>>().join(", ");
        let Some(written) = written else {
            self.missing("provider", Complaint::new("is missing").suggest(format!("one of: {all}")));
            return None;
        };
        let kind = ProviderKind::parse(written);
        if kind.is_none() {
            let complaint = Complaint::new(format!("{} is not a known provider", shown(written)));
            let complaint = match nearest(written, names()) {
                Some((near, true)) => complaint.suggest(format!("did you mean {near:?}? Known: {all}")),
                _ => complaint.suggest(format!("one of: {all}")),
            };
            self.findings.add(&self.path("provider"), complaint);
        }
        kind
    }

    fn base_url(&mut self, written: Option<&str>, kind: Option<ProviderKind>, private_network: bool) -> Option<Url> {
        if let Some(written) = written.or_else(|| defaults(kind?).base_url) {
            return self.findings.take(&self.path("base_url"), base_url(written, kind, private_network));
        }
        // Without a known provider it is not known either whether it has to be there.
        if kind.is_some() {
            let complaint = Complaint::new("is missing: every directory has its own host");
            self.missing("base_url", complaint.suggest("base_url = \"https://www.example.com\""));
        }
        None
    }

    fn key(&mut self, shape: &file::Source, enabled: bool, around: &Around<'_>) -> Option<(SecretString, KeyOrigin)> {
        const NAMES: [&str; 3] = ["api_key", "api_key_env", "api_key_file"];
        let written = [shape.api_key.is_some(), shape.api_key_env.is_some(), shape.api_key_file.is_some()];
        let given: Vec<&str> = NAMES.into_iter().zip(written).filter(|(_, is)| *is).map(|(name, _)| name).collect();
        if let [_, second, ..] = given.as_slice() {
            let complaint = Complaint::new(format!("only one of {} may be there", given.join(", ")));
            self.findings.add(&self.path(second), complaint.suggest("keep the one that counts"));
            return None;
        }
        if !enabled || around.secrets != Secrets::All {
            return Some((SecretString::from(""), KeyOrigin::Unread));
        }
        if let Some(inline) = &shape.api_key {
            let key = self.findings.take(&self.path("api_key"), secret::key(inline.expose_secret()))?;
            return Some((key, KeyOrigin::Inline));
        }
        if let Some(name) = &shape.api_key_env {
            let key = self.findings.take(&self.path("api_key_env"), secret::from_env(name, around.env))?;
            return Some((key, KeyOrigin::Env(name.clone())));
        }
        if let Some(file) = &shape.api_key_file {
            let read = secret::from_file(file, around.folder, around.env);
            let (key, path) = self.findings.take(&self.path("api_key_file"), read)?;
            return Some((key, KeyOrigin::File(path)));
        }
        if !NAMES.iter().any(|name| self.findings.has(&self.path(name))) {
            let complaint = Complaint::new("is missing, and so are api_key_env and api_key_file");
            self.missing("api_key", complaint.suggest("set exactly one of them, or enabled = false"));
        }
        None
    }

    /// What only one provider has. Keys of other providers were taken out before.
    fn settings(&mut self, shape: &file::Source, kind: Option<ProviderKind>) -> Option<ProviderSettings> {
        // All of them are looked at even when the provider is not known.
        let timezone = self.value("timezone", shape.timezone.as_deref(), Some(None), |text| timezone(text).map(Some));
        let auth_prefix = self.value("auth_prefix", shape.auth_prefix.as_deref(), Some(String::new()), auth_prefix);
        let pagination = self.value("pagination", shape.pagination.as_deref(), Some(Pagination::Auto), pagination);
        let api = self.value("api", shape.api.as_deref(), Some(SitegptApi::V0), sitegpt_api);
        let chatbots = self.value("chatbots", shape.chatbots.as_deref(), Some(Vec::new()), chatbots);
        Some(match kind? {
            ProviderKind::BrilliantDirectories => ProviderSettings::BrilliantDirectories { timezone: timezone? },
            ProviderKind::Zaia => ProviderSettings::Zaia { auth_prefix: auth_prefix?, pagination: pagination? },
            ProviderKind::Sitegpt => ProviderSettings::Sitegpt { api: api?, chatbots: chatbots? },
        })
    }
}

fn timeout(text: &str) -> Result<Duration, Complaint> {
    let timeout = duration(text, Duration::from_secs(1))?;
    if timeout > MAX_TIMEOUT {
        return Err(Complaint::new(format!("{} is too long: at most 1 hour", shown(text))));
    }
    Ok(timeout)
}

fn positive(number: i64) -> Result<i64, Complaint> {
    if number < 1 {
        return Err(Complaint::new(format!("{number} must be at least 1")));
    }
    Ok(number)
}

fn concurrency(number: i64) -> Result<u32, Complaint> {
    match u32::try_from(number) {
        Ok(fine) if (1..=MAX_CONCURRENCY).contains(&number) => Ok(fine),
        _ => Err(Complaint::new(format!("{number} must be from 1 to {MAX_CONCURRENCY}"))),
    }
}
