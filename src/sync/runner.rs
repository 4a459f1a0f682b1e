//! What every part of a pass shares: the source's provider, its run, and the one way into the store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::outbox::RowsOf;
use super::progress::Progress;
use crate::http::Http;
use crate::model::RawRecord;
use crate::normalise::read_phone_tables_aside;
use crate::provider::{Facts, Pass, Provider};
use crate::store::{Batch, Chain, Counts, Record, RunMode, Store, StoreError, UsageNow};

/// Milliseconds since 1970 UTC, now. Passed in, so that tests can turn the clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A source that can be read.
pub struct Source {
    pub name: String,
    pub base_url: String,
    pub provider: Arc<dyn Provider>,
    pub facts: Arc<Facts>,
    pub http: Http,
    /// Conversation fetches in flight at once.
    pub concurrency: usize,
}

/// So many dead letters are remembered as told of. A pass with more than that tells of every further one.
const LETTERS_KNOWN: usize = 10_000;

/// One pass under way.
pub(crate) struct Runner {
    pub(crate) source: Arc<Source>,
    pub(crate) source_id: i64,
    pub(crate) run_id: i64,
    pub(crate) run_start_rev: i64,
    pub(crate) started_ms: i64,
    pub(crate) pass: Pass,
    /// The run before this one did not come to its end.
    pub(crate) after_cut: bool,
    /// When the reading of everything began that this pass is or goes on with, where it is one.
    pub(crate) history: std::sync::OnceLock<i64>,
    /// Bounds of a ranged backfill, in milliseconds: from, inclusive, and to, exclusive.
    pub(crate) range: Option<(Option<i64>, Option<i64>)>,
    /// See [`super::Wanted`].
    pub(crate) told_before: bool,
    pub(crate) watched_over: bool,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: Arc<Progress>,
    /// Requests of earlier passes with the same client.
    pub(crate) usage_before: UsageNow,
    pub(crate) counts: Mutex<Counts>,
    chain: Chain,
    /// How often this pass learnt that every conversation is worth fetching again. Marks of fetches are committed
    /// under the read side, so that none made before can pass for one made after.
    pub(crate) refetches: tokio::sync::RwLock<u64>,
    /// Short forms of the ids that a complete reading of a list showed, where one was made in this pass.
    pub(crate) listed: Mutex<Option<std::collections::HashSet<i64>>>,
    /// Scopes whose list could not be read in this pass: their conversations are left alone.
    pub(crate) closed_scopes: Mutex<Vec<String>>,
    /// Feeds that were read whole in this pass.
    pub(crate) read_whole: Mutex<std::collections::HashSet<&'static str>>,
    /// Dead letters that were told of: those of this pass, and of earlier ones where a daemon watches over them.
    told_letters: Mutex<std::collections::HashSet<(String, i64)>>,
    /// An unfiltered question was already spent on doubt in this pass.
    pub(crate) probed: AtomicBool,
    /// The provider brings more than the store takes in: after a long pause, as in a first pass.
    store_behind: AtomicBool,
}

/// What a run is for.
pub(crate) struct Purpose {
    pub(crate) mode: RunMode,
    pub(crate) pass: Pass,
    /// See [`Runner::range`].
    pub(crate) range: Option<(Option<i64>, Option<i64>)>,
    /// See [`super::Wanted`].
    pub(crate) told_before: bool,
    pub(crate) watched_over: bool,
}

impl Runner {
    /// Begins a run of a source.
    pub(crate) async fn start(
        source: Arc<Source>,
        source_id: i64,
        store: Store,
        purpose: Purpose,
        clock: Clock,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, StoreError> {
        let started_ms = clock();
        let after_cut = store.was_cut_short(source_id).await?;
        let (run_id, run_start_rev) = store.start_run(source_id, purpose.mode, started_ms).await?;
        let told_letters = match purpose.watched_over {
            true => store.open_letters(source_id).await?.into_iter().collect(),
            false => std::collections::HashSet::new(),
        };
        let usage = source.http.usage();
        Ok(Arc::new(Self {
            source,
            source_id,
            run_id,
            run_start_rev,
            started_ms,
            pass: purpose.pass,
            after_cut,
            history: std::sync::OnceLock::new(),
            range: purpose.range,
            told_before: purpose.told_before,
            watched_over: purpose.watched_over,
            store,
            clock,
            cancel,
            progress,
            usage_before: UsageNow { requests: usage.requests, retries: usage.retries },
            counts: Mutex::new(Counts::default()),
            chain: Chain::default(),
            listed: Mutex::new(None),
            closed_scopes: Mutex::default(),
            read_whole: Mutex::default(),
            refetches: tokio::sync::RwLock::new(0),
            told_letters: Mutex::new(told_letters),
            probed: AtomicBool::new(false),
            store_behind: AtomicBool::new(false),
        }))
    }

    /// Whether a complete reading of the list did not show a conversation.
    pub(crate) fn is_unlisted(&self, external_id: &str) -> bool {
        let listed = self.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        listed.as_ref().is_some_and(|listed| !listed.contains(&crate::model::Hasher::of_bytes(external_id.as_bytes())))
    }

    /// Whether a conversation belongs to a scope whose list could not be read.
    pub(crate) fn is_closed(&self, external_id: &str) -> bool {
        let closed = self.closed_scopes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        closed.iter().any(|scope| external_id.strip_prefix(scope.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Now, in milliseconds.
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Requests and retries of this pass so far.
    pub(crate) fn usage(&self) -> UsageNow {
        let usage = self.source.http.usage();
        UsageNow {
            requests: usage.requests.saturating_sub(self.usage_before.requests),
            retries: usage.retries.saturating_sub(self.usage_before.retries),
        }
    }

    /// Counts of this pass so far.
    pub(crate) fn counted(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// An empty batch of this pass, carrying what was learnt since the last one.
    pub(crate) fn batch(&self) -> Batch {
        Batch {
            source_id: self.source_id,
            run_id: self.run_id,
            run_start_rev: self.run_start_rev,
            chain: self.chain.clone(),
            bulk: self.is_bulk(),
            now_ms: self.now(),
            facts: self.source.facts.take_fresh(),
            usage: self.usage(),
            ..Batch::default()
        }
    }

    /// Normalises a raw record of a stream.
    pub(crate) fn record(&self, stream: &'static str, mut raw: RawRecord) -> Record {
        let outcome = self.source.provider.normalise(stream, &raw);
        if outcome.is_err() && raw.parent.is_none() {
            raw.parent = self.source.provider.conversation_of(stream, &raw);
        }
        let record = Record::new(self.source.provider.record_stream(stream), raw, outcome);
        if let Err(reject) = &record.outcome {
            let item = record.raw.id.as_deref().unwrap_or("(no id)");
            let mut told = self.told_letters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let letter = record.letter();
            if !told.contains(&letter) && (told.len() >= LETTERS_KNOWN || told.insert(letter)) {
                tracing::warn!(
                    source = %self.source.name, event = "dead_letter", stream, item, reason = %reject,
                    "a record was put to the dead letters"
                );
            } else {
                tracing::debug!(source = %self.source.name, stream, item, reason = %reject, "a dead letter was met again");
            }
        }
        // Most are new there, and the writer is spared work.
        if self.pass.first || self.is_store_behind() { record.made_ready() } else { record }
    }

    /// Whether its batches are of very many.
    pub(crate) fn is_bulk(&self) -> bool {
        self.pass.first || self.pass.full || self.is_store_behind()
    }

    fn is_store_behind(&self) -> bool {
        self.store_behind.load(Ordering::Relaxed)
    }

    /// Takes note that as many pages wait for the store as may: the rest of the pass is done as very many are.
    pub(crate) fn note_store_behind(&self) {
        self.store_behind.store(true, Ordering::Relaxed);
        if self.pass.first {
            // There is time for what the people of this history will need.
            read_phone_tables_aside();
        }
    }

    /// Commits a batch and counts it.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let rows = RowsOf::batch(&batch);
        let committed = self.store.commit(batch).await?;
        self.stored(rows, committed);
        Ok(())
    }
}
