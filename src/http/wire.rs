//! One request on the wire: sent, its answer read within bounds of size and time.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, Response};
use secrecy::ExposeSecret as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use url::Url;
use zeroize::Zeroizing;

use super::address::{self, Hop};
use super::client::HttpSettings;
use super::resolve::Guarded;
use super::retry::Policy;
use super::{FetchError, cause};
use crate::telemetry::events::Class;

/// Says openly who asks: Cloudflare turns away agents that pose as browsers and those without a name.
const AGENT: &str = concat!("chatloom/", env!("CARGO_PKG_VERSION"), " (+read-only sync)");

/// So much of the body of an error is read to find its reason, and for so long.
const REASON_BYTES: u64 = 64 * 1024;
const REASON_TIME: Duration = Duration::from_secs(5);

/// A body beyond this many bytes is a large one.
const LARGE_BYTES: u64 = 8 * 1024 * 1024;

/// One large body at a time is read in the whole process: many at once, each below the cap, would come to gigabytes.
static LARGE: Semaphore = Semaphore::const_new(1);

/// What came of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Answer),
    /// Redirected within the origin.
    Hop(Url),
    /// Redirected away from it; origin and path of the target.
    Elsewhere(String),
    TooLarge,
    /// Nothing usable arrived, and why. `answered`: response headers had.
    Failed {
        cause: String,
        answered: bool,
        class: Class,
    },
}

impl Outcome {
    /// How it counts. A redirect had a status of its own; a body beyond the cap came with a success.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Answer(answer) => Class::Status(answer.status),
            Self::Hop(_) | Self::Elsewhere(_) => Class::Status(302),
            Self::TooLarge => Class::Status(200),
            Self::Failed { class, .. } => *class,
        }
    }
}

/// A response. Its body is whole when the status is a success, else the beginning of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Held by a large body until it is dropped.
    _large: Option<SemaphorePermit<'static>>,
}

/// The client with its key.
pub(super) struct Wire {
    client: Client,
    max_body_bytes: u64,
    /// The configured time for one try, to name it when it ran out.
    timeout: Duration,
    connect_timeout: Duration,
}

impl Wire {
    /// # Errors
    /// The key does not fit into a header, or this machine's TLS set-up is unusable.
    pub(super) fn new(settings: &HttpSettings, policy: &Policy) -> Result<Self, String> {
        let name = HeaderName::from_bytes(settings.auth_header.as_bytes())
            .map_err(|_| format!("`{}` is no name of a header", settings.auth_header))?;
        // The header borrows from bytes that are wiped with the client; what is written to a connection is a copy.
        let value = Zeroizing::new(settings.auth_value.expose_secret().as_bytes().to_vec());
        let mut key = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
            .map_err(|_| "the key holds characters that a header cannot carry (a line break?)".to_owned())?;
        key.set_sensitive(true);
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json")), (name, key)]);
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only when another thread was quicker, which is as good.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let mut client = Client::builder()
            .user_agent(AGENT)
            .default_headers(headers)
            .connect_timeout(policy.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .dns_resolver(Guarded::new(
                settings.base_url.host_str().unwrap_or_default(),
                settings.private_network,
                policy.look_up,
            ))
            // Every request is paced and counted, so nothing may be repeated behind our back.
            .retry(reqwest::retry::never());
        if address::is_loopback(&settings.base_url) {
            client = client.no_proxy();
        }
        if settings.base_url.scheme() == "http" {
            // Redirects never change the scheme: TLS is not needed, nor are this machine's certificates.
            client = client.tls_certs_only([]);
        } else if !settings.roots.is_empty() {
            client = client.tls_certs_merge(roots(&settings.roots)?);
        }
        let client = client.build().map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("the TLS set-up of this machine is unusable (is the package ca-certificates installed?): {why}")
        })?;
        Ok(Self {
            client,
            max_body_bytes: settings.max_body_bytes,
            timeout: settings.timeout,
            connect_timeout: policy.connect_timeout,
        })
    }

    /// Sends one request and reads what comes, within `time`.
    pub(super) async fn send(&self, url: &Url, time: Duration) -> Outcome {
        let deadline = Instant::now() + time;
        let response = match timeout_at(deadline, self.client.get(url.clone()).send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return self.failed(&error, false),
            Err(_) => return self.late(false),
        };
        let status = response.status();
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
            && let Some(hop) = location(&response).and_then(|location| address::hop(url, location))
        {
            return match hop {
                Hop::Same(url) => Outcome::Hop(url),
                Hop::Elsewhere(target) => Outcome::Elsewhere(target),
            };
        }
        if status.is_success() { self.whole(response, deadline).await } else { beginning(response, deadline).await }
    }

    async fn whole(&self, mut response: Response, mut deadline: Instant) -> Outcome {
        if response.content_length().is_some_and(|length| length > self.max_body_bytes) {
            return Outcome::TooLarge;
        }
        let (mut body, mut large) = (Vec::new(), None);
        loop {
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    let length = size(&body).saturating_add(size(&chunk));
                    if length > self.max_body_bytes {
                        return Outcome::TooLarge;
                    }
                    if length > LARGE_BYTES && large.is_none() {
                        // Waiting for another body is not the provider's doing, so it does not count.
                        let begin = Instant::now();
                        large = LARGE.acquire().await.ok();
                        deadline += begin.elapsed();
                    }
                    body.extend_from_slice(&chunk);
                }
                Ok(Ok(None)) => return answer(&response, body, large),
                Ok(Err(error)) => return self.failed(&error, true),
                Err(_) => return self.late(true),
            }
        }
    }

    fn failed(&self, error: &reqwest::Error, answered: bool) -> Outcome {
        // A connection that takes too long to be made counts as none.
        let class = if error.is_connect() {
            Class::Connect
        } else if error.is_timeout() {
            Class::Timeout
        } else {
            Class::Broken
        };
        Outcome::Failed { cause: cause::plain(error, self.connect_timeout), answered, class }
    }

    fn late(&self, answered: bool) -> Outcome {
        Outcome::Failed {
            cause: format!("timed out after {}", cause::seconds(self.timeout)),
            answered,
            class: Class::Timeout,
        }
    }

    pub(super) fn too_large(&self, endpoint: &str) -> FetchError {
        FetchError::TooLarge { endpoint: endpoint.to_owned(), limit_bytes: self.max_body_bytes }
    }
}

fn roots(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    match Certificate::from_pem_bundle(pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err("ca_file holds no certificate in PEM form that can be read".to_owned()),
    }
}

/// Reads enough of an error to find its reason. The status counts, however the body fares.
async fn beginning(mut response: Response, deadline: Instant) -> Outcome {
    let deadline = deadline.min(Instant::now() + REASON_TIME);
    let mut body = Vec::new();
    while size(&body) < REASON_BYTES
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    answer(&response, body, None)
}

fn answer(response: &Response, body: Vec<u8>, large: Option<SemaphorePermit<'static>>) -> Outcome {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Outcome::Answer(Answer { status, headers, body, _large: large })
}

fn location(response: &Response) -> Option<&str> {
    response.headers().get(LOCATION)?.to_str().ok()
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
