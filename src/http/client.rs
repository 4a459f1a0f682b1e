//! The client of one source.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::pace::NoTurn;
use super::retry::{Delays, Policy};
use super::usage::Counters;
use super::verdict::{Judge, Pause, Setback, Verdict};
use super::wire::{Outcome, Wire};
use super::words::Words;
use super::{FetchError, Pacer, Pulse, Unfit, Usage, address};
use crate::telemetry::Subject;
use crate::telemetry::events::{self, Request, Retry};

/// Redirects within the origin that are followed in one try.
const HOPS: u32 = 3;

/// How requests of a source are made.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Scheme, host, port and path prefix; everything asked for stands below it.
    pub base_url: Url,
    /// Name of the header that carries the key (`X-Api-Key`, `authorization`).
    pub auth_header: &'static str,
    /// The header's whole value, prefix included.
    pub auth_value: SecretString,
    /// Whether the host may lie in a private network, or be another name of this machine.
    pub private_network: bool,
    /// Certificates that are trusted beside this machine's own, as PEM; empty for none.
    pub roots: Vec<u8>,
    /// Total time for one try, from connecting to the last byte.
    pub timeout: Duration,
    /// Cap on the decompressed body.
    pub max_body_bytes: u64,
    /// Whose requests they are, for logs and metrics.
    pub subject: Subject,
}

/// Sends the GET requests of one source. Clones share pace, counters and connections.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

struct Inner {
    base_url: Url,
    timeout: Duration,
    wire: Wire,
    words: Words,
    pacer: Arc<Pacer>,
    cancel: CancellationToken,
    policy: Policy,
    counters: Counters,
    /// The last answer was a refusal that may pass. The first one is told of.
    refusing: AtomicBool,
    subject: Subject,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base_url", &self.inner.base_url.as_str()).finish_non_exhaustive()
    }
}

impl Http {
    /// Makes the client. `pacer` is shared by all sources with the same credential; `cancel` ends waits and requests.
    ///
    /// # Errors
    /// `base_url` is not one that a key may be sent to, the key does not fit into a header, or the TLS set-up of
    /// this machine is unusable.
    pub fn new(settings: HttpSettings, pacer: Arc<Pacer>, cancel: CancellationToken) -> Result<Self, String> {
        Self::with_policy(settings, pacer, cancel, Policy::default())
    }

    /// The same for a world in which time runs `haste` times faster (tests): waits before a further try are so many
    /// times shorter. What is waited out at all is decided on the times as they were told.
    ///
    /// # Errors
    /// See [`Http::new`].
    pub fn hasty(
        settings: HttpSettings,
        pacer: Arc<Pacer>,
        cancel: CancellationToken,
        haste: u32,
    ) -> Result<Self, String> {
        Self::with_policy(settings, pacer, cancel, Policy::default().hastened(haste))
    }

    /// A client that sends nothing: every question ends with [`FetchError::Cancelled`]. For adapters that only
    /// normalise what is stored.
    ///
    /// # Errors
    /// The TLS set-up of this machine is unusable.
    pub fn offline() -> Result<Self, String> {
        let settings = HttpSettings {
            base_url: Url::parse("https://offline.invalid").map_err(|error| error.to_string())?,
            auth_header: "authorization",
            auth_value: SecretString::from("none"),
            private_network: false,
            roots: Vec::new(),
            timeout: Duration::from_secs(1),
            max_body_bytes: 1,
            subject: Subject::nobody(),
        };
        let cancel = CancellationToken::new();
        cancel.cancel();
        Self::new(settings, Arc::new(Pacer::new(1)), cancel)
    }

    pub(super) fn with_policy(
        settings: HttpSettings,
        pacer: Arc<Pacer>,
        cancel: CancellationToken,
        policy: Policy,
    ) -> Result<Self, String> {
        address::check(&settings.base_url, settings.private_network)?;
        if settings.auth_value.expose_secret().trim().is_empty() {
            return Err("the key is empty".to_owned());
        }
        let wire = Wire::new(&settings, &policy)?;
        let words = Words::new(settings.auth_value.expose_secret());
        let counters = Counters::default();
        let (base_url, timeout, subject) = (settings.base_url, settings.timeout, settings.subject);
        events::source_known(&subject);
        Ok(Self {
            inner: Arc::new(Inner {
                base_url,
                timeout,
                wire,
                words,
                pacer,
                cancel,
                policy,
                counters,
                refusing: AtomicBool::new(false),
                subject,
            }),
        })
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
        let path = address::path(segments);
        let endpoint = self.inner.words.clean(&path);
        if let Some(segment) = segments.iter().find(|segment| !address::can_be_sent(segment)) {
            let detail = format!("not asked: \"{segment}\" cannot be a part of an address");
            return Err(FetchError::Rejected { endpoint, status: 400, detail });
        }
        let url = address::build(&self.inner.base_url, &path, query);
        self.inner.ask(&endpoint, url, read).await
    }

    /// What was sent so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.inner.counters.usage()
    }

    /// Whether its requests move.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.inner.counters.pulse()
    }

    /// How long the provider still wants no requests with this credential, for a display of progress.
    #[must_use]
    pub fn waiting(&self) -> Option<Duration> {
        self.inner.pacer.closed_for()
    }
}

impl Inner {
    /// Tries until there is a value, a reason to stop, or no patience left.
    async fn ask<T>(
        &self,
        endpoint: &str,
        url: Url,
        read: impl Fn(&[u8]) -> Result<T, Unfit> + Send + Sync,
    ) -> Result<T, FetchError> {
        let judge = Judge { endpoint, words: &self.words, policy: &self.policy };
        let mut delays = Delays::new(&self.policy);
        let (mut tries, mut answered) = (0, false);
        loop {
            tries += 1;
            let (outcome, headers) = self.once(endpoint, url.clone(), tries).await?;
            answered |= headers;
            let setback = match outcome {
                Outcome::Answer(answer) => match judge.judge(&answer, &read) {
                    Verdict::Good(value) => {
                        self.refusing.store(false, Ordering::Relaxed);
                        return Ok(value);
                    }
                    Verdict::Final(error) => return Err(error),
                    Verdict::Again(setback) => setback,
                },
                Outcome::Failed { cause, .. } => Setback::network(self.words.clean(&cause)),
                Outcome::TooLarge => return Err(self.wire.too_large(endpoint)),
                Outcome::Elsewhere(target) => return Err(self.redirected(endpoint, &target)),
                Outcome::Hop(url) => return Err(self.redirected(endpoint, &address::shown(&url))),
            };
            let wait = match setback.pause {
                Pause::Asked(wait) => {
                    self.pacer.close_for(wait / self.policy.haste);
                    if wait > self.policy.patience {
                        events::put_off(&self.subject, endpoint, setback.status, wait);
                        return Err(FetchError::Deferred { endpoint: endpoint.to_owned(), wait });
                    }
                    (tries < self.policy.tries).then_some(wait)
                }
                Pause::Own(least) => (tries < self.policy.tries).then(|| delays.next(least)).flatten(),
            };
            let Some(wait) = wait else { return Err(setback.give_up(endpoint.to_owned(), tries, answered)) };
            let status = setback.status;
            let first = status.is_some() && !self.refusing.swap(true, Ordering::Relaxed);
            let trouble = setback.trouble();
            events::request_retried(&self.subject, &Retry { endpoint, status, tries, wait, trouble, first });
            if let Pause::Own(_) = setback.pause {
                let _waiting = self.counters.wait();
                self.unless_cancelled(tokio::time::sleep(wait)).await?;
            }
            // Waits that the provider asked for happen at the pacer, where all streams of the credential wait.
        }
    }

    /// One try: a request, and those that follow from redirects within the origin. Also says whether any of them
    /// got response headers.
    async fn once(&self, endpoint: &str, mut url: Url, tries: u32) -> Result<(Outcome, bool), FetchError> {
        let mut left = self.timeout;
        let mut answered = false;
        let mut hops = 0;
        loop {
            self.turn(endpoint).await?;
            self.counters.request();
            if tries > 1 && hops == 0 {
                self.counters.retry();
            }
            let started = Instant::now();
            let outcome = self.unless_cancelled(self.wire.send(&url, left)).await?;
            self.counters.ended();
            let took = started.elapsed();
            left = left.saturating_sub(took);
            answered |= !matches!(outcome, Outcome::Failed { answered: false, .. });
            events::request_made(&self.subject, &Request { endpoint, class: outcome.class(), tries, hops, took });
            match outcome {
                Outcome::Hop(to) if hops < HOPS => {
                    url = to;
                    hops += 1;
                }
                outcome => return Ok((outcome, answered)),
            }
        }
    }

    async fn turn(&self, endpoint: &str) -> Result<(), FetchError> {
        let begin = self.pacer.now();
        let _waiting = self.counters.wait();
        let turn = self.pacer.turn(self.policy.patience, &self.cancel).await;
        events::throttled(&self.subject, self.counters.waited(begin, self.pacer.now(), self.pacer.quiet()));
        turn.map_err(|reason| match reason {
            NoTurn::Closed(wait) => FetchError::Deferred { endpoint: endpoint.to_owned(), wait },
            NoTurn::Cancelled => FetchError::Cancelled,
        })
    }

    async fn unless_cancelled<T>(&self, future: impl Future<Output = T>) -> Result<T, FetchError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(FetchError::Cancelled),
            value = future => Ok(value),
        }
    }

    fn redirected(&self, endpoint: &str, target: &str) -> FetchError {
        FetchError::Redirected { endpoint: endpoint.to_owned(), target: self.words.clean(target) }
    }
}
