//! Records into rows. Pure.

use super::attachments;
use super::senders::{self, author_of_role};
use super::shapes::{Channel, Chat, Details, ExternalUser, Message, Responder};
use super::wire::millis;
use crate::model::{
    AuthorKind, ChannelKind, ChannelRow, ContactHint, ConversationRow, Hasher, MessageRow, ParticipantRow, Patch,
    RawRecord, Reject, Row,
};
use crate::normalise::lenient::text_of;
use crate::normalise::{Identifier, classify_identifier, decode, parse_timestamp};

/// The rows of one record of a stream.
pub(super) fn normalise(stream: &str, raw: &RawRecord) -> Result<Vec<Row>, Reject> {
    let json = raw.json.get();
    Ok(match stream {
        "chats" => chat(decode(json)?),
        "details" => details(decode(json)?),
        "channels" => vec![Row::Channel(channel(&decode(json)?))],
        "responders" => vec![Row::Participant(responder(decode(json)?)?)],
        "external_users" => vec![Row::Participant(external_user(decode(json)?))],
        "messages" => vec![Row::Message(message(decode(json)?, raw)?)],
        senders::STREAM => vec![Row::Participant(sender(raw)?)],
        _ => return Err(Reject::normalise("$", "no such stream")),
    })
}

/// A time: `Clear` where the provider says that there is none, `Keep` where it cannot be read.
fn time(text: Option<&str>) -> Patch<i64> {
    text.map_or(Patch::Clear, |text| Patch::keep_unless(millis(text)))
}

fn chat(chat: Chat) -> Vec<Row> {
    let at = |text: &Option<String>| text.as_deref().and_then(millis);
    let (created, updated, last) = (at(&chat.created_at), at(&chat.updated_at), at(&chat.last_chat_message_created_at));
    let fingerprint = Hasher::new()
        .text(chat.last_chat_message_created_at.as_deref())
        .text(chat.updated_at.as_deref())
        .text(chat.title.as_deref())
        .number(chat.is_removed.map(i64::from))
        .finish();
    let deleted = match chat.is_removed {
        // When it was removed is not said; the removal is the last change known.
        Some(true) => Patch::Set(updated.or(created).or(last).unwrap_or(0)),
        Some(false) => Patch::Clear,
        None => Patch::Keep,
    };
    let mut rows = vec![Row::Conversation(ConversationRow {
        external_id: chat.id,
        channel: Patch::from_option(chat.channel_id),
        contact: Patch::keep_unless(chat.owner_id),
        title: Patch::from_option(chat.title),
        started_at_ms: Patch::keep_unless(created),
        updated_at_ms: Patch::keep_unless(updated),
        last_message_at_ms: time(chat.last_chat_message_created_at.as_deref()),
        deleted_at_ms: deleted,
        fingerprint: Some(fingerprint),
        version: updated,
        ..ConversationRow::default()
    })];
    // The owner needs no row of its own: a platform user may own a chat here and be the agent of another, so being
    // a contact is a role in this conversation, not a kind. A responder is documented to be an agent or a squad.
    rows.extend(chat.responder_id.map(|id| {
        Row::Participant(ParticipantRow {
            external_id: id,
            kind: Patch::Set(AuthorKind::Bot),
            ..ParticipantRow::default()
        })
    }));
    rows
}

fn details(details: Details) -> Vec<Row> {
    let mut rows = Vec::new();
    let kind = details.channel_type.as_deref().map(channel_kind);
    if let Some(id) = &details.channel_id {
        rows.push(Row::Channel(ChannelRow {
            external_id: id.clone(),
            kind: Patch::keep_unless(kind),
            name: Patch::keep_unless(details.channel_name),
        }));
    }
    rows.push(Row::Conversation(ConversationRow {
        external_id: details.id.clone(),
        channel: Patch::keep_unless(details.channel_id),
        escalated: details.ticket_id.map_or(Patch::Keep, |ticket| Patch::Set(ticket.is_some())),
        // A chat that only this list names is fetched all the same.
        first_fingerprint: Some(0),
        ..ConversationRow::default()
    }));
    let address = details.owner_identifier.map_or(Address::default(), |text| Address::of(&text, kind));
    rows.push(Row::Contact(ContactHint {
        conversation: details.id,
        name: details.owner_name,
        email: details.owner_email.map(|email| email.trim().to_owned()).or(address.email),
        phone: address.phone,
    }));
    rows
}

fn channel(channel: &Channel<'_>) -> ChannelRow {
    ChannelRow {
        external_id: channel.id.clone(),
        kind: Patch::keep_unless(channel.type_word().as_deref().map(channel_kind)),
        name: Patch::keep_unless(channel.name.clone()),
    }
}

/// The five documented channel types; `waha` is WhatsApp over an unofficial bridge.
fn channel_kind(word: &str) -> ChannelKind {
    match word.trim().to_ascii_lowercase().as_str() {
        "widget" => ChannelKind::Widget,
        "waha" | "whatsapp" => ChannelKind::Whatsapp,
        "instagram" => ChannelKind::Instagram,
        "api" => ChannelKind::Api,
        _ => ChannelKind::Other,
    }
}

fn responder(responder: Responder) -> Result<ParticipantRow, Reject> {
    let id = responder.super_identity_id.or(responder.id);
    Ok(ParticipantRow {
        external_id: id.ok_or_else(|| Reject::normalise("$.id", "a responder without an id"))?,
        kind: Patch::Set(AuthorKind::Bot),
        name: Patch::keep_unless(responder.name),
        ..ParticipantRow::default()
    })
}

fn external_user(user: ExternalUser) -> ParticipantRow {
    let address = user.identifier.map_or(Address::default(), |text| Address::of(&text, None));
    ParticipantRow {
        external_id: user.super_identity_id,
        kind: Patch::Set(AuthorKind::Contact),
        // What another record filled in stays where this one has nothing.
        name: Patch::keep_unless(user.name),
        email: Patch::keep_unless(address.email),
        phone: Patch::keep_unless(address.phone),
        provider_user_id: Patch::keep_unless(user.id),
    }
}

fn sender(raw: &RawRecord) -> Result<ParticipantRow, Reject> {
    let told = senders::read(&raw.json);
    Ok(ParticipantRow {
        external_id: raw.id.clone().ok_or_else(|| Reject::normalise("$", "a sender without an id"))?,
        kind: Patch::keep_unless(told.kind),
        name: Patch::keep_unless(told.name),
        email: Patch::keep_unless(told.email),
        ..ParticipantRow::default()
    })
}

fn message(message: Message<'_>, raw: &RawRecord) -> Result<MessageRow, Reject> {
    let role = message.role.and_then(|role| text_of(role).ok().flatten());
    let conversation = raw.parent.clone().or(message.chat_id);
    let conversation = conversation.ok_or_else(|| Reject::normalise("$.chatId", "a message without a chat"))?;
    // Without a time it would lose its place among the others for good: better put aside until it can be read.
    let sent_at_ms = message.created_at.as_deref().map(|text| parse_timestamp(text, None)).transpose();
    let sent_at_ms = sent_at_ms.map_err(|fault| Reject::normalise("$.createdAt", fault.to_string()))?.flatten();
    Ok(MessageRow {
        author: message.sender_id,
        author_kind: author_of_role(role.as_deref()),
        seq: raw.seq,
        sent_at_ms,
        body_text: message.content,
        thread: message.chat_thread_id,
        attachments: attachments::read([message.attachments, message.files, message.media]),
        version: message.updated_at.as_deref().and_then(millis),
        kind_follows_participant: true,
        ..MessageRow::new(conversation, message.id)
    })
}

/// What an identifier is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Address {
    email: Option<String>,
    phone: Option<String>,
}

impl Address {
    /// Sorts an identifier by its look, and by its channel where that is known.
    fn of(text: &str, channel: Option<ChannelKind>) -> Self {
        /// Longer runs of bare digits are ids of other systems far more often than numbers.
        const PHONE_DIGITS: usize = 13;
        let text = text.trim();
        let phone = |number: &str| Self { email: None, phone: Some(number.to_owned()) };
        // WhatsApp's own addresses look like e-mail: `number@c.us`, `number:device@s.whatsapp.net`, groups, aliases.
        for host in ["@c.us", "@s.whatsapp.net"] {
            if let Some(number) = text.strip_suffix(host) {
                return phone(number.split(':').next().unwrap_or(number));
            }
        }
        if ["@g.us", "@lid", "@broadcast", "@newsletter"].iter().any(|host| text.ends_with(host)) {
            return Self::default();
        }
        let bare = text.bytes().all(|byte| byte.is_ascii_digit());
        match classify_identifier(text) {
            Identifier::Email(email) => Self { email: Some(email), phone: None },
            Identifier::Phone(number) => match channel {
                Some(ChannelKind::Whatsapp) => phone(&number),
                // Numeric ids of accounts.
                Some(ChannelKind::Instagram) => Self::default(),
                _ if bare && number.len() > PHONE_DIGITS => Self::default(),
                _ => phone(&number),
            },
            Identifier::Other => Self::default(),
        }
    }
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
