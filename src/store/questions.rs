//! What those who sync ask of the writing connection besides commits: sources, runs, cursors, facts, and what is to be
//! fetched. Each is one statement or one transaction between two batches.

use std::collections::BTreeMap;

use super::batch::UsageNow;
use super::replay::{self, Replay, Replayed};
use super::run::{self, Finish, LastReads, MessageList, RunMode, RunStatus, SourceRow};
use super::work::{self, StaleConversation, UnknownIds};
use super::{Store, StoreError, access, letters};
use crate::model::{ProviderKind, RawRecord, Reject, Row, StreamKey};

impl Store {
    /// Normalises stored records again, in one transaction. `normalise` gets the stream that a record is kept under;
    /// where `stopped` says so, nothing is changed.
    ///
    /// # Errors
    /// SQLite failed; nothing is changed.
    pub async fn replay(
        &self,
        asked: Replay,
        normalise: impl Fn(&str, &RawRecord) -> Result<Vec<Row>, Reject> + Send + 'static,
        stopped: impl Fn() -> bool + Send + 'static,
    ) -> Result<Replayed, StoreError> {
        self.on_writer("normalising stored records again", move |conn| {
            Ok(replay::replay(conn, &asked, &(Box::new(normalise) as _), &(Box::new(stopped) as _)))
        })
        .await?
    }

    /// Finds or makes a source.
    ///
    /// # Errors
    /// Its name belongs to another provider's history, or SQLite failed.
    pub async fn source(
        &self,
        name: &str,
        provider: ProviderKind,
        base_url: &str,
        timezone: Option<&str>,
    ) -> Result<SourceRow, StoreError> {
        let (owned_name, base_url, timezone) = (name.to_owned(), base_url.to_owned(), timezone.map(str::to_owned));
        self.on_writer("looking up a source", move |conn| {
            run::source(conn, &owned_name, provider, &base_url, timezone.as_deref())
        })
        .await?
        .map_err(|stored| run::provider_changed(name, &stored, provider))
    }

    /// The id of a source, if the store has it.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn known_source(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let name = name.to_owned();
        self.on_writer("looking up a source", move |conn| run::known(conn, &name)).await
    }

    /// Gives a source another name; its history, cursors and runs stay with it.
    ///
    /// # Errors
    /// There is no source of the old name, or one of the new name already, or SQLite failed.
    pub async fn rename_source(&self, old: &str, new: &str) -> Result<(), StoreError> {
        let (from, to) = (old.to_owned(), new.to_owned());
        let refused = self.on_writer("renaming a source", move |conn| run::rename(conn, &from, &to)).await?;
        match refused {
            None => Ok(()),
            Some(run::NotRenamed::Unknown(known)) => {
                Err(StoreError::NoSuchSource { name: old.to_owned(), known: known.join(", ") })
            }
            Some(run::NotRenamed::Taken(conversations)) => {
                Err(StoreError::NameTaken { name: new.to_owned(), conversations })
            }
        }
    }

    /// Whether the last run of a source did not come to its end.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn was_cut_short(&self, source_id: i64) -> Result<bool, StoreError> {
        self.on_writer("looking up the last run", move |conn| run::was_cut_short(conn, source_id)).await
    }

    /// Open dead letters of a source, by what [`super::Record::letter`] tells them apart.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn open_letters(&self, source_id: i64) -> Result<Vec<(String, i64)>, StoreError> {
        self.on_writer("looking up dead letters", move |conn| letters::open_ones(conn, source_id)).await
    }

    /// When a source was last read, and last read whole, as far as that is not later than now.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn last_reads(&self, name: &str, now_ms: i64) -> Result<LastReads, StoreError> {
        let name = name.to_owned();
        self.on_writer("looking up the last runs", move |conn| run::last_reads(conn, &name, now_ms)).await
    }

    /// Closes what is left of a source's runs after one ended badly.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn abandon_runs(&self, name: &str, why: &str, now_ms: i64) -> Result<(), StoreError> {
        let (name, why) = (name.to_owned(), why.to_owned());
        self.on_writer("closing a run that ended badly", move |conn| match run::known(conn, &name)? {
            Some(id) => run::abandon(conn, id, &why, now_ms),
            None => Ok(()),
        })
        .await
    }

    /// Begins a run: its id, and the change counter at its start.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn start_run(&self, source_id: i64, mode: RunMode, now_ms: i64) -> Result<(i64, i64), StoreError> {
        self.on_writer("beginning a run", move |conn| run::start(conn, source_id, mode, now_ms)).await
    }

    /// Ends a run. `reached_end`: every stream was read to its end.
    ///
    /// # Errors
    /// SQLite failed.
    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    pub async fn finish_run(
        &self,
        run_id: i64,
        source_id: i64,
        status: RunStatus,
        error: Option<String>,
        usage: UsageNow,
        reached_end: bool,
        messages: MessageList,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let end = Finish { run_id, source_id, status, error, usage, now_ms, reached_end, messages };
        self.on_writer("ending a run", move |conn| run::finish(conn, &end)).await
    }

    /// Makes conversations stale that were not looked at for long; returns how many.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn mark_due(&self, source_id: i64, now_ms: i64) -> Result<usize, StoreError> {
        self.on_writer("choosing conversations to look at again", move |conn| work::mark_due(conn, source_id, now_ms))
            .await
    }

    /// When that stream of a source was last put to the proof which waits longest, among those read to their end since a
    /// time; both in milliseconds.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn oldest_probe(&self, source_id: i64, finished_since: i64) -> Result<Option<i64>, StoreError> {
        self.on_writer("reading when lists were put to the proof", move |conn| {
            work::oldest_probe(conn, source_id, finished_since)
        })
        .await
    }

    /// The newest modification time of a source's conversations, in milliseconds.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn newest_update(&self, source_id: i64) -> Result<Option<i64>, StoreError> {
        self.on_writer("reading the newest change", move |conn| work::newest_update(conn, source_id)).await
    }

    /// The greatest id of a stream's stored records that is no greater than a bound.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn greatest_id(
        &self,
        source_id: i64,
        stream: &'static str,
        up_to: i64,
    ) -> Result<Option<i64>, StoreError> {
        self.on_writer("reading the greatest id", move |conn| work::greatest_id(conn, source_id, stream, up_to)).await
    }

    /// Where a stream stands, as JSON.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn cursor(&self, source_id: i64, key: StreamKey) -> Result<Option<String>, StoreError> {
        self.on_writer("reading a cursor", move |conn| work::cursor(conn, source_id, &key)).await
    }

    /// What was found out about a source's API before.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn facts(&self, source_id: i64) -> Result<BTreeMap<String, String>, StoreError> {
        self.on_writer("reading what is known of the provider's API", move |conn| work::facts(conn, source_id)).await
    }

    /// Stale conversations behind a place in the queue.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn stale(
        &self,
        source_id: i64,
        after: work::Place,
        limit: u32,
    ) -> Result<Vec<StaleConversation>, StoreError> {
        self.on_writer("looking for stale conversations", move |conn| work::stale(conn, source_id, after, limit)).await
    }

    /// How many conversations are stale.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn stale_count(&self, source_id: i64) -> Result<u64, StoreError> {
        self.on_writer("counting stale conversations", move |conn| work::stale_count(conn, source_id)).await
    }

    /// Takes back the word that a list may not be read, for lists that are read no more: all but those of these scopes.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn forget_forbidden_lists(&self, source_id: i64, scopes: Vec<String>) -> Result<(), StoreError> {
        self.on_writer("looking at lists that may not be read", move |conn| {
            access::forget_forbidden_lists(conn, source_id, &scopes)
        })
        .await
    }

    /// Channels that the key may not read, as far as conversations of them are stored.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn forbidden_channels(&self, source_id: i64) -> Result<Vec<String>, StoreError> {
        self.on_writer("looking for channels that may not be read", move |conn| {
            access::forbidden_channels(conn, source_id)
        })
        .await
    }

    /// Ids that no record has described, those looked up in vain after `retry_before_ms` left out.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn unknown(&self, source_id: i64, retry_before_ms: i64) -> Result<UnknownIds, StoreError> {
        self.on_writer("looking for undescribed ids", move |conn| work::unknown(conn, source_id, retry_before_ms)).await
    }
}
