//! What a perfect copy of a directory site holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::data::{BdData, BdMessage, BdThread};
use crate::model::AuthorKind;
use crate::sim::truth::{TrueConversation, TrueMessage, Truth};

impl BdData {
    /// What a perfect copy holds, of what is there and of what was removed through the builders.
    ///
    /// Times carry what the wire can: whole seconds, and the earlier one of a wall-clock time that happens twice.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let zone = TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC);
        let mut truth = Truth::default();
        let threads: BTreeMap<&str, &BdThread> =
            self.removed_threads.iter().chain(&self.threads).map(|thread| (thread.token.as_str(), thread)).collect();
        let removed = self.removed_threads.iter().map(|thread| (thread, true));
        for (thread, removed) in self.threads.iter().map(|thread| (thread, false)).chain(removed) {
            let deleted = removed || thread.deleted_ms.is_some();
            truth
                .conversations
                .insert(thread.token.clone(), TrueConversation { deleted, escalated: None, title: None });
        }
        let removed = self.removed_messages.iter().map(|message| (message, true));
        for (message, deleted) in self.messages.iter().map(|message| (message, false)).chain(removed) {
            truth.conversations.entry(message.thread_token.clone()).or_default();
            let told = TrueMessage {
                text: message.text.clone(),
                sent_at_ms: Some(over_the_wire(message.created_ms, &zone, self.quirks.iso_times)),
                author_kind: threads
                    .get(message.thread_token.as_str())
                    .map_or(AuthorKind::Unknown, |of| author(of, message)),
                reaction: 0,
                deleted,
            };
            truth.put(&message.thread_token, message.id.to_string(), told);
        }
        truth
    }
}

fn author(thread: &BdThread, message: &BdMessage) -> AuthorKind {
    let named_in = |list: &str| list.split(',').any(|one| one.trim() == message.owner);
    match () {
        () if named_in(&thread.owner) => AuthorKind::Contact,
        () if named_in(&thread.responders) => AuthorKind::Agent,
        () => AuthorKind::Unknown,
    }
}

/// What is left of a time after it was written as wall-clock time of a zone.
fn over_the_wire(ms: i64, zone: &TimeZone, iso: bool) -> i64 {
    let whole = ms.div_euclid(1000) * 1000;
    let Ok(at) = Timestamp::from_millisecond(whole) else { return whole };
    if iso {
        return whole;
    }
    let wall = at.to_zoned_datetime(zone.clone()).datetime();
    zone.to_ambiguous_timestamp(wall).earlier().map_or(whole, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::over_the_wire;
    use jiff::tz::TimeZone;

    #[test]
    fn an_hour_that_happens_twice_is_the_earlier_one() {
        let zone = TimeZone::get("America/New_York").unwrap();
        // 2025-11-02 01:30 EST, an hour after 01:30 EDT.
        let later: i64 = 1_762_065_000_123;
        assert_eq!(over_the_wire(later, &zone, false), 1_762_065_000_000 - 3_600_000);
        assert_eq!(over_the_wire(later, &zone, true), 1_762_065_000_000);
    }
}
