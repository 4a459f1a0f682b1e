//! What health and metrics have to know of the configuration.

use crate::config::Config;
use crate::web::Watched;

/// Every configured source, with the longest time between two of its polls.
#[must_use]
pub fn watched(config: &Config) -> Vec<Watched> {
    config
        .sources
        .iter()
        .map(|source| Watched {
            name: source.name.clone(),
            provider: source.kind().as_str(),
            enabled: source.enabled,
            interval: source.poll.longest_gap(),
        })
        .collect()
}
