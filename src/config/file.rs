//! The shapes of a configuration, exactly as written. Everything is optional here: what must be there, and what it
//! means, is for `check`. Unknown keys and wrong types were reported and taken out by `walk` before.

use secrecy::SecretString;
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) store: Store,
    pub(super) http: Option<Http>,
    pub(super) reporting: Reporting,
    pub(super) log: Log,
    pub(super) sources: Vec<Source>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) path: Option<String>,
    pub(super) backup_path: Option<String>,
    pub(super) backup_keep: Option<i64>,
    pub(super) maintain: Option<String>,
    pub(super) raw_retention: Option<String>,
    pub(super) message_retention: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<String>,
    pub(super) token_file: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reporting {
    pub(super) timezone: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Source {
    pub(super) name: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) api_key: Option<SecretString>,
    pub(super) api_key_env: Option<String>,
    pub(super) api_key_file: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) poll: Option<String>,
    pub(super) sweep: Option<String>,
    pub(super) requests_per_minute: Option<i64>,
    pub(super) concurrency: Option<i64>,
    pub(super) timeout: Option<String>,
    pub(super) lookback: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) private_network: Option<bool>,
    pub(super) timezone: Option<String>,
    pub(super) auth_prefix: Option<String>,
    pub(super) pagination: Option<String>,
    pub(super) api: Option<String>,
    pub(super) chatbots: Option<Vec<String>>,
}
