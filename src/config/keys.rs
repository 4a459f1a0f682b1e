//! The table of known keys: which tables there are, what they hold, and for whom.

use crate::model::ProviderKind;

/// What a key's value must look like in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Text that must never be repeated in a message.
    Secret,
    /// Text that stands for a time (`"30s"`).
    Time,
    Flag,
    Number,
    Texts,
}

/// A known key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The one provider that has it; `None`: all of them.
    pub(super) only: Option<ProviderKind>,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, only: None }
}

const fn only(provider: ProviderKind, name: &'static str, kind: Kind) -> Key {
    Key { name, kind, only: Some(provider) }
}

/// The keys of a `[[sources]]` entry.
pub(super) const SOURCE: &[Key] = &[
    key("name", Kind::Text),
    key("provider", Kind::Text),
    key("base_url", Kind::Text),
    key("api_key", Kind::Secret),
    key("api_key_env", Kind::Secret),
    key("api_key_file", Kind::Secret),
    key("enabled", Kind::Flag),
    key("poll", Kind::Time),
    key("sweep", Kind::Time),
    key("requests_per_minute", Kind::Number),
    key("concurrency", Kind::Number),
    key("timeout", Kind::Time),
    key("lookback", Kind::Time),
    key("ca_file", Kind::Text),
    key("private_network", Kind::Flag),
    only(ProviderKind::BrilliantDirectories, "timezone", Kind::Text),
    only(ProviderKind::Zaia, "auth_prefix", Kind::Text),
    only(ProviderKind::Zaia, "pagination", Kind::Text),
    only(ProviderKind::Sitegpt, "api", Kind::Text),
    only(ProviderKind::Sitegpt, "chatbots", Kind::Texts),
];

/// The tables beside `[[sources]]`, and their keys.
pub(super) const TABLES: &[(&str, &[Key])] = &[
    (
        "store",
        &[
            key("path", Kind::Text),
            key("backup_path", Kind::Text),
            key("backup_keep", Kind::Number),
            key("maintain", Kind::Time),
            key("raw_retention", Kind::Time),
            key("message_retention", Kind::Time),
        ],
    ),
    ("http", &[key("listen", Kind::Text), key("token_file", Kind::Secret)]),
    ("reporting", &[key("timezone", Kind::Text)]),
    ("log", &[key("format", Kind::Text), key("level", Kind::Text)]),
];

/// The keys of a table.
pub(super) fn table(name: &str) -> Option<&'static [Key]> {
    TABLES.iter().find(|(known, _)| *known == name).map(|(_, keys)| *keys)
}

/// The heading under which a key of this name may stand, looked for in all tables.
pub(super) fn home_of(name: &str) -> Option<String> {
    if let Some((table, _)) = TABLES.iter().find(|(_, keys)| keys.iter().any(|key| key.name == name)) {
        return Some(format!("[{table}]"));
    }
    SOURCE.iter().any(|key| key.name == name).then(|| "[[sources]]".to_owned())
}
