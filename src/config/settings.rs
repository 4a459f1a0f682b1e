//! What a configuration means once it is checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::model::ProviderKind;

/// A whole configuration without a problem in it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was read. `None` only for configurations made in memory (demonstrations, tests).
    pub file: Option<PathBuf>,
    /// The SQLite file.
    pub store_path: PathBuf,
    /// How the store is kept in order, and for how long what is kept.
    pub keeping: Keeping,
    /// Where the web page is served; `None` serves nothing.
    pub http: Option<HttpListen>,
    /// How logs are written.
    pub log: Log,
    /// How analytics are cut.
    pub reporting: Reporting,
    /// In the order in which they are written, disabled ones included.
    pub sources: Vec<SourceConfig>,
}

/// The keys of `[store]` beside `path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// The folder that backups are written to.
    pub backup_path: PathBuf,
    /// Newest backups that are kept, at least one.
    pub backup_keep: usize,
    /// When the running daemon tidies the store up.
    pub maintain: Schedule,
    /// Raw records older than this are dropped; `None` keeps them.
    pub raw_retention: Option<Duration>,
    /// Texts of messages older than this are dropped; `None` keeps them.
    pub message_retention: Option<Duration>,
}

/// The `[http]` table.
#[derive(Debug, Clone)]
pub struct HttpListen {
    /// Address and port. Port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// What a reader must present. Always there when `listen` is not loopback.
    pub token: Option<SecretString>,
}

/// The `[log]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    pub format: LogFormat,
    /// The least of chatloom's own lines that is written; `None`: what suits the command.
    pub level: Option<LogLevel>,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// How much a log line asks of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// Its spelling, in configurations and in filters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The `[reporting]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporting {
    /// IANA name of the zone in which weekdays and hours are counted.
    pub timezone: String,
}

/// One account that conversations are copied from.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Unique among the sources, `[a-z0-9_-]+`.
    pub name: String,
    /// What only this provider has.
    pub settings: ProviderSettings,
    /// Scheme, host, port and path prefix, without a slash at the end of the prefix; no user, query or fragment.
    pub base_url: Url,
    /// The provider's key. Empty when the source is disabled: its key is not read then.
    pub api_key: SecretString,
    /// Where the key came from.
    pub key_origin: KeyOrigin,
    /// Whether the source is synced.
    pub enabled: bool,
    /// When news are looked for.
    pub poll: Schedule,
    /// When everything is read again.
    pub sweep: Schedule,
    /// Most requests in any sliding minute, for everything that shares the credential.
    pub requests_per_minute: u32,
    /// Most requests in flight at once, 1 to 64.
    pub concurrency: u32,
    /// Total time for one try of a request.
    pub timeout: Duration,
    /// How far before the watermark reading starts again. Zero: exactly at it.
    pub lookback: Duration,
    /// Certificates that are trusted beside this machine's own, as PEM; empty for none.
    pub roots: Vec<u8>,
    /// Whether the provider may lie in a private network.
    pub private_network: bool,
}

impl SourceConfig {
    /// Which provider it is.
    #[must_use]
    pub fn kind(&self) -> ProviderKind {
        self.settings.kind()
    }

    /// Whether another source is set up in just the same way, its key included.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        // Every field is named, so that a new one is not forgotten here.
        fn plain(source: &SourceConfig) -> impl PartialEq {
            let SourceConfig {
                name,
                settings,
                base_url,
                api_key,
                key_origin,
                enabled,
                poll,
                sweep,
                requests_per_minute,
                concurrency,
                timeout,
                lookback,
                roots,
                private_network,
            } = source;
            let key = api_key.expose_secret();
            let limits = (*requests_per_minute, *concurrency, *timeout, *lookback);
            let way = (base_url, roots, *private_network);
            ((name, settings, way, key, key_origin), (*enabled, poll, sweep), limits)
        }
        plain(self) == plain(other)
    }

    /// The lookback in milliseconds, as streams count it.
    #[must_use]
    pub fn lookback_ms(&self) -> i64 {
        i64::try_from(self.lookback.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Where a source's key came from; never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Written as `api_key`.
    Inline,
    /// The environment variable of this name.
    Env(String),
    /// The file that was read.
    File(PathBuf),
    /// Nowhere: the source is disabled.
    Unread,
}

/// Settings that only one provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderSettings {
    BrilliantDirectories {
        /// IANA name of the site's zone; `None`: the site is asked.
        timezone: Option<String>,
    },
    Zaia {
        /// What stands directly before the key in the authorization header, its trailing space included. May be empty.
        auth_prefix: String,
        pagination: Pagination,
    },
    Sitegpt {
        api: SitegptApi,
        /// Only these chatbots; empty: every chatbot that the key can see.
        chatbots: Vec<String>,
    },
}

impl ProviderSettings {
    /// Which provider it is.
    #[must_use]
    pub fn kind(&self) -> ProviderKind {
        match self {
            Self::BrilliantDirectories { .. } => ProviderKind::BrilliantDirectories,
            Self::Zaia { .. } => ProviderKind::Zaia,
            Self::Sitegpt { .. } => ProviderKind::Sitegpt,
        }
    }
}

/// How Zaia's `pagination` object is written in a query. Its documentation does not say (provider page, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pagination {
    /// Found out at run time.
    #[default]
    Auto,
    /// `pagination[limit]=1000`
    Brackets,
    /// `pagination={"limit":1000}`
    Json,
    /// `limit=1000`
    Plain,
}

/// Which generation of SiteGPT's API the key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SitegptApi {
    #[default]
    V0,
    V2,
}

/// When something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Again and again after this time, at least one second.
    Every(Duration),
    /// A cron expression of 5 fields, or of 6 with seconds first; fields and ranges are already looked at.
    Cron(String),
}
