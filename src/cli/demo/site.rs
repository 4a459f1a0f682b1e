//! The simulated providers, and the sources that read them.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::config::{KeyOrigin, Pagination, ProviderSettings, Schedule, SitegptApi, SourceConfig};
use crate::sim::{BdSim, SitegptSim, ZaiaSim, demo};

/// One demonstration is like another, but for the time at which it is given.
const SEED: u64 = 20;
const HOUR: Duration = Duration::from_secs(3_600);

/// Three providers that answer on the loopback interface until they are dropped.
pub(in crate::cli) struct Sites {
    pub(in crate::cli) directory: BdSim,
    pub(in crate::cli) agents: ZaiaSim,
    bots: SitegptSim,
}

impl Sites {
    /// Makes sixty days of conversations before `now_ms` and serves them.
    ///
    /// # Errors
    /// No port could be opened.
    pub(in crate::cli) async fn start(now_ms: i64) -> std::io::Result<Self> {
        let worlds = demo::worlds(SEED, now_ms);
        Ok(Self {
            directory: BdSim::start(worlds.bd).await?,
            agents: ZaiaSim::start(worlds.zaia).await?,
            bots: SitegptSim::start(worlds.sitegpt).await?,
        })
    }

    /// New messages, edits, votes and deletions at every provider, as the minutes before `now_ms` would bring them.
    pub(in crate::cli) fn let_time_pass(&self, now_ms: i64) {
        demo::evolve_bd(&mut self.directory.world().data, SEED, now_ms);
        demo::evolve_zaia(&mut self.agents.world().data, SEED, now_ms);
        demo::evolve_sitegpt(&mut self.bots.world().data, SEED, now_ms);
    }

    /// The configuration that reads them.
    ///
    /// # Errors
    /// An address is no URL, which does not happen.
    pub(in crate::cli) fn sources(&self) -> Result<Vec<SourceConfig>, url::ParseError> {
        let directory = ProviderSettings::BrilliantDirectories { timezone: None };
        let agents = ProviderSettings::Zaia { auth_prefix: String::new(), pagination: Pagination::Auto };
        let bots = ProviderSettings::Sitegpt { api: SitegptApi::V0, chatbots: Vec::new() };
        let key = |key: &String| SecretString::from(key.as_str());
        Ok(vec![
            source(
                "directory",
                directory,
                &self.directory.base_url(),
                key(&self.directory.world().data.key),
                HOUR * 2,
            )?,
            source("agents", agents, &self.agents.base_url(), key(&self.agents.world().data.key), HOUR)?,
            source("bots", bots, &self.bots.base_url(), key(&self.bots.world().data.key), Duration::ZERO)?,
        ])
    }
}

fn source(
    name: &str,
    settings: ProviderSettings,
    base_url: &str,
    api_key: SecretString,
    lookback: Duration,
) -> Result<SourceConfig, url::ParseError> {
    Ok(SourceConfig {
        name: name.to_owned(),
        settings,
        base_url: Url::parse(base_url)?,
        api_key,
        key_origin: KeyOrigin::Inline,
        enabled: true,
        poll: Schedule::Every(HOUR),
        sweep: Schedule::Every(HOUR * 24),
        // A provider inside this process need not be spared.
        requests_per_minute: u32::MAX,
        concurrency: 4,
        timeout: Duration::from_secs(30),
        lookback,
        roots: Vec::new(),
        private_network: false,
    })
}
