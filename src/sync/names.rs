//! Finding out who is who, after the feeds: names never hold up messages.

use super::error::PassError;
use super::outbox::Outbox;
use super::runner::Runner;
use crate::http::FetchError;
use crate::provider::{Unknown, UnknownParticipant};
use crate::store::failpoint::failpoint;

/// A participant or channel looked for in vain is looked for again after this long.
const ASK_AGAIN_MS: i64 = 7 * 24 * 3_600_000;

impl Runner {
    /// Looks up ids that no record described. A pass that changed nothing makes no request here (and so writes nothing),
    /// unless the one before it was cut short: that one may have brought messages and never come to their names.
    pub(crate) async fn resolve_names(&self) -> Result<(), PassError> {
        if !self.after_cut && !self.counted().changed_anything() {
            return Ok(());
        }
        self.progress.doing("names");
        // Names take a while where the provider has limits, and bring no messages.
        if self.is_bulk() {
            self.store.fill_search().await?;
        }
        let ids = self.store.unknown(self.source_id, self.now().saturating_sub(ASK_AGAIN_MS)).await?;
        let unknown = Unknown {
            participants: ids
                .participants
                .into_iter()
                .map(|(external_id, contact_of)| UnknownParticipant { external_id, contact_of })
                .collect(),
            channels: ids.channels,
            list_pages: ids.conversations.div_ceil(100) + ids.messages.div_ceil(100),
            looked_up: ids.looked_up,
        };
        if unknown.participants.is_empty() && unknown.channels.is_empty() {
            return Ok(());
        }
        let resolution = self.source.provider.resolve(&unknown, &self.pass);
        let directories_read = !resolution.feeds.is_empty();
        for feed in &resolution.feeds {
            if let Err(error) = self.feed(feed).await {
                if error.ends_source() {
                    return Err(error);
                }
                self.warn(&feed.key.to_string(), &error);
            }
        }
        if directories_read {
            let mut batch = self.batch();
            batch.misses = unknown.participants.iter().map(|participant| participant.external_id.clone()).collect();
            batch.channel_misses.clone_from(&unknown.channels);
            self.commit(batch).await?;
        }
        if let Some(conclusion) = resolution.by_exclusion {
            let whole = {
                let read = self.read_whole.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                conclusion.directories.iter().all(|directory| read.contains(directory))
            };
            if whole && !conclusion.participants.is_empty() {
                let mut batch = self.batch();
                batch.by_exclusion = Some((conclusion.kind, conclusion.participants));
                self.commit(batch).await?;
            }
        }
        self.look_up(&resolution.lookups, resolution.misses_in_a_row).await
    }

    async fn look_up(&self, participants: &[UnknownParticipant], misses_in_a_row: u32) -> Result<(), PassError> {
        let mut outbox = Outbox::default();
        let looked_up = self.look_up_each(&mut outbox, participants, misses_in_a_row).await;
        // As with feeds: that something could not be stored is the worse news.
        self.settle(&mut outbox).await?;
        looked_up
    }

    async fn look_up_each(
        &self,
        outbox: &mut Outbox,
        participants: &[UnknownParticipant],
        misses_in_a_row: u32,
    ) -> Result<(), PassError> {
        let mut misses = 0;
        for participant in participants {
            failpoint!("fetch.before");
            let found = self.source.provider.lookup(participant).await;
            failpoint!("fetch.after");
            let record = match found {
                Ok(Some(found)) => {
                    misses = 0;
                    Some(self.record(found.stream, found.record))
                }
                Ok(None) | Err(FetchError::NotFound { .. }) => {
                    misses += 1;
                    None
                }
                Err(error) => {
                    let error = PassError::from(error);
                    if error.ends_source() {
                        return Err(error);
                    }
                    self.warn("names", &error);
                    if error.is_deferred() || error.is_forbidden() {
                        return Ok(());
                    }
                    // One that cannot be asked for must not stand in front of all others in every pass.
                    let mut batch = self.batch();
                    batch.misses.push(participant.external_id.clone());
                    return Ok(self.post(outbox, batch).await?);
                }
            };
            let mut batch = self.batch();
            match record {
                Some(record) => {
                    // The same goes for one whose record makes no sense.
                    if record.outcome.is_err() {
                        batch.misses.push(participant.external_id.clone());
                    }
                    batch.records.push(record);
                }
                None => batch.misses.push(participant.external_id.clone()),
            }
            self.post(outbox, batch).await?;
            if misses_in_a_row > 0 && misses >= misses_in_a_row {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Names are a help, not the job: what they lack is said and passed over.
    pub(crate) fn warn(&self, stream: &str, error: &PassError) {
        if self.told_before {
            tracing::debug!(source = %self.source.name, stream, %error, "names could still not be read");
        } else {
            tracing::warn!(source = %self.source.name, event = "names_failed", stream, %error, "names could not be read; messages are not affected");
        }
    }
}
