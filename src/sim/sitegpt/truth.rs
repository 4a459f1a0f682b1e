//! What a perfect copy of a SiteGPT account holds.

use super::data::{Exchange, MessageType, Side, SitegptData, Thread};
use crate::model::AuthorKind;
use crate::sim::truth::{TrueConversation, TrueMessage, Truth};

impl SitegptData {
    /// What a perfect copy holds, of what is there and of what was removed through the builders; the same for v0
    /// and v2.
    ///
    /// Threads without messages are conversations too. A row without a side has no time (v2 would have one).
    #[must_use]
    pub fn truth(&self) -> Truth {
        let mut truth = Truth::default();
        let removed = self.removed_threads.iter().map(|thread| (thread, true));
        for (thread, deleted) in self.threads.iter().map(|thread| (thread, false)).chain(removed) {
            let told = TrueConversation { deleted, escalated: Some(thread.escalated), title: thread.title.clone() };
            truth.conversations.insert(external_id(thread), told);
            for message in &thread.messages {
                put(&mut truth, thread, message, false);
            }
        }
        for (thread, message) in &self.removed_messages {
            put(&mut truth, thread, message, true);
        }
        truth
    }
}

fn external_id(thread: &Thread) -> String {
    format!("{}/{}", thread.chatbot, thread.id)
}

fn put(truth: &mut Truth, thread: &Thread, row: &Exchange, deleted: bool) {
    let (asker, answerer) = match row.kind {
        MessageType::Normal | MessageType::User => (AuthorKind::Contact, AuthorKind::Bot),
        MessageType::Agent => (AuthorKind::Contact, AuthorKind::Agent),
        MessageType::System => (AuthorKind::System, AuthorKind::System),
    };
    let told = |side: Option<&Side>, author_kind, reaction| TrueMessage {
        text: side.map(|side| side.text.clone()).unwrap_or_default(),
        sent_at_ms: side.map(|side| side.at_ms),
        author_kind,
        reaction,
        deleted,
    };
    let conversation = external_id(thread);
    if let Some(side) = &row.question {
        truth.put(&conversation, format!("{}:q", row.id), told(Some(side), asker, 0));
    }
    let nothing_said = row.question.is_none() && row.answer.is_none();
    if row.answer.is_some() || (nothing_said && row.kind == MessageType::System) {
        truth.put(&conversation, format!("{}:a", row.id), told(row.answer.as_ref(), answerer, row.reaction));
    }
}
