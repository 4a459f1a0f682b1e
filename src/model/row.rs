//! Normalised rows: what a provider's adapter hands to the store.

use super::hash::Hasher;
use super::kinds::{AuthorKind, ChannelKind, ConversationStatus, MessageKind, ParticipantKind};

/// What a record says about one column. Several records (a list row, a fetch, a directory) describe one
/// conversation, and each knows only some of its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The record says nothing: what is stored stays.
    #[default]
    Keep,
    /// The record says that there is no value.
    Clear,
    /// The record says the value.
    Set(T),
}

impl<T> Patch<T> {
    /// `Set` for a value, `Clear` for none.
    pub fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }

    /// `Set` for a value, `Keep` for none.
    pub fn keep_unless(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }

    /// The column after this patch, given what it was before.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// One normalised row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Channel(ChannelRow),
    Participant(ParticipantRow),
    Contact(ContactHint),
    Conversation(ConversationRow),
    Message(MessageRow),
}

/// A place where conversations are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    pub external_id: String,
    pub kind: Patch<ChannelKind>,
    pub name: Patch<String>,
}

/// Somebody who takes part, as a record describes them. A role in a conversation needs no such row: naming a
/// contact or an agent in a [`ConversationRow`] makes the participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParticipantRow {
    pub external_id: String,
    pub kind: Patch<ParticipantKind>,
    pub name: Patch<String>,
    pub email: Patch<String>,
    pub phone: Patch<String>,
    /// The provider's own user id where it differs from `external_id` (Brilliant Directories `user_id`).
    pub provider_user_id: Patch<String>,
}

/// What a record tells about the contact of a conversation without naming the contact's id reliably
/// (Zaia chat details). It only fills columns of the contact that are still empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactHint {
    pub conversation: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// A conversation, as far as one record knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationRow {
    pub external_id: String,
    /// External id of the channel; a channel not seen yet is made with kind `other`.
    pub channel: Patch<String>,
    /// External id of the contact; a participant not seen yet is made with kind `contact`.
    pub contact: Patch<String>,
    /// External ids of the humans who answer (Brilliant Directories responders). `Set` replaces the whole list.
    pub agents: Patch<Vec<String>>,
    /// Further contacts, where a provider names several owners. Replaced together with `agents`.
    pub other_contacts: Vec<String>,
    pub status: Patch<ConversationStatus>,
    pub title: Patch<String>,
    pub page_url: Patch<String>,
    pub started_at_ms: Patch<i64>,
    pub updated_at_ms: Patch<i64>,
    /// When the provider says the last message was sent. The column becomes the later of this and the stored messages.
    pub last_message_at_ms: Patch<i64>,
    /// Whether the provider says that a human was called in. `Keep` where it has no such notion.
    pub escalated: Patch<bool>,
    /// When the provider says it was deleted; `Clear` where it says that it was not.
    pub deleted_at_ms: Patch<i64>,
    /// How many messages the provider says there are, in its own way of counting.
    pub reported_messages: Patch<i64>,
    /// Set by list rows of providers whose messages are fetched per conversation: when it differs from the one
    /// the messages were last fetched for, the conversation is stale and will be fetched.
    pub fingerprint: Option<i64>,
    /// Stands in for `fingerprint` as long as no list row gave one: a conversation that only a directory names is
    /// fetched all the same.
    pub first_fingerprint: Option<i64>,
    /// The provider's modification time. A row with a smaller one than is stored is ignored, unless one of them lies in
    /// the future.
    pub version: Option<i64>,
}

/// One message, or one half of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// External id of the conversation; one not seen yet is made.
    pub conversation: String,
    pub external_id: String,
    /// External id of the author, where the provider gives one.
    pub author: Option<String>,
    /// Who wrote it, where the record itself says so. `None`: decided by the store from the author's role in
    /// the conversation (its contact, one of its agents); else unknown. `Contact` without an `author` means the
    /// conversation's contact, whoever that turns out to be.
    pub author_kind: Option<AuthorKind>,
    /// With `author_kind: None`: whether the participant's own kind counts where it has no role in the conversation.
    pub kind_follows_participant: bool,
    pub kind: MessageKind,
    /// What happened, for `kind` event, in the provider's spelling.
    pub event: Option<String>,
    /// Orders messages that share one time.
    pub seq: i64,
    pub sent_at_ms: Option<i64>,
    pub body_text: String,
    pub body_html: Option<String>,
    /// Whether it was read, where the provider tells.
    pub read: Option<bool>,
    /// The visitor's vote: -1, 0 (none) or 1.
    pub reaction: i64,
    /// Model that wrote it, where the provider tells.
    pub model: Option<String>,
    /// Side thread within the conversation (Zaia `chatThreadId`).
    pub thread: Option<String>,
    pub citations: Vec<Citation>,
    pub attachments: Vec<Attachment>,
    /// The provider's modification time. A row with a smaller one than is stored is ignored.
    pub version: Option<i64>,
}

/// A source that an answer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
}

/// A file that a message names. Nothing is downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `image`, `audio`, `video`, `file`.
    pub kind: String,
    pub url: Option<String>,
    pub name: Option<String>,
}

impl MessageRow {
    /// A text message with nothing but its ids.
    #[must_use]
    pub fn new(conversation: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self {
            conversation: conversation.into(),
            external_id: external_id.into(),
            author: None,
            author_kind: None,
            kind_follows_participant: false,
            kind: MessageKind::Text,
            event: None,
            seq: 0,
            sent_at_ms: None,
            body_text: String::new(),
            body_html: None,
            read: None,
            reaction: 0,
            model: None,
            thread: None,
            citations: Vec::new(),
            attachments: Vec::new(),
            version: None,
        }
    }

    /// A hash over everything that the record says, except `version` (a touched but unchanged row is unchanged) and
    /// `seq` (a message removed before this one moves it without changing it).
    #[must_use]
    pub fn content_hash(&self) -> i64 {
        let mut hash = Hasher::new();
        hash.text(self.author.as_deref())
            .text(self.author_kind.map(AuthorKind::as_str))
            .text(Some(self.kind.as_str()))
            .text(self.event.as_deref())
            .number(self.sent_at_ms)
            .text(Some(&self.body_text))
            .text(self.body_html.as_deref())
            .number(self.read.map(i64::from))
            .number(Some(self.reaction))
            .text(self.model.as_deref())
            .text(self.thread.as_deref());
        for citation in &self.citations {
            hash.text(citation.url.as_deref()).text(citation.title.as_deref());
        }
        hash.number(None);
        for attachment in &self.attachments {
            hash.text(Some(&attachment.kind)).text(attachment.url.as_deref()).text(attachment.name.as_deref());
        }
        hash.finish()
    }
}
