//! What a perfect copy of a simulated provider holds.
//!
//! Each provider's `truth()` is written from the contract and from the data as the builders were given them, never
//! from chatloom's own normaliser: the two must agree by being right.

use std::collections::BTreeMap;

use crate::model::AuthorKind;

/// Every conversation and message that a perfect copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// By external conversation id.
    pub conversations: BTreeMap<String, TrueConversation>,
    /// By external conversation id and external message id.
    pub messages: BTreeMap<(String, String), TrueMessage>,
}

/// A conversation as it should be held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrueConversation {
    /// The provider deleted it. Its messages carry no flag of their own for that.
    pub deleted: bool,
    /// The provider says that a human was called in; `None` where it has no such notion.
    pub escalated: Option<bool>,
    /// As the provider has it (SiteGPT shows it in v2 only).
    pub title: Option<String>,
}

/// A message as it should be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueMessage {
    /// Plain text.
    pub text: String,
    /// Milliseconds since 1970 UTC; `None` where the provider gives the message no time.
    pub sent_at_ms: Option<i64>,
    pub author_kind: AuthorKind,
    /// The visitor's vote: -1, 0 or 1.
    pub reaction: i64,
    /// The provider removed this message (while the conversation may live on).
    pub deleted: bool,
}

impl Truth {
    /// How many messages are not deleted.
    #[must_use]
    pub fn live_messages(&self) -> usize {
        self.messages.values().filter(|message| !message.deleted).count()
    }

    /// How many conversations are not deleted.
    #[must_use]
    pub fn live_conversations(&self) -> usize {
        self.conversations.values().filter(|conversation| !conversation.deleted).count()
    }

    /// Adds a message.
    pub(super) fn put(&mut self, conversation: &str, message: impl Into<String>, told: TrueMessage) {
        self.messages.insert((conversation.to_owned(), message.into()), told);
    }
}
