//! From raw records to rows: chatbots are channels, threads are conversations. Messages: see [`super::split`].

use super::json::{self, Fields};
use super::records::{CHATBOT_ID, THREAD_ID};
use super::split;
use crate::model::{
    ChannelKind, ChannelRow, ContactHint, ConversationRow, ConversationStatus, Hasher, ParticipantKind, ParticipantRow,
    Patch, RawRecord, Reject, Row,
};

/// The rows of one raw record.
///
/// # Errors
/// The record has no id, or is not of the documented shape.
pub(super) fn rows(stream: &str, raw: &RawRecord) -> Result<Vec<Row>, Reject> {
    match stream {
        super::CHATBOTS => channel(raw),
        super::THREADS => conversation(raw, Seen::InList),
        super::THREAD => conversation(raw, Seen::Fetched),
        super::MESSAGES => split::rows(raw),
        _ => Err(Reject::normalise("$", "SiteGPT has no such stream")),
    }
}

/// Where a thread object comes from: only the list has the counters that tell whether it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    InList,
    Fetched,
}

fn open(raw: &RawRecord) -> Result<Fields<'_>, Reject> {
    Fields::of(&raw.json).ok_or_else(|| Reject::decode("$", "not an object"))
}

fn channel(raw: &RawRecord) -> Result<Vec<Row>, Reject> {
    let fields = open(raw)?;
    let id = fields
        .id(CHATBOT_ID)
        .filter(|id| !id.contains('/'))
        .ok_or_else(|| Reject::normalise("$.id", "the chatbot has no usable id"))?;
    Ok(vec![Row::Channel(ChannelRow {
        external_id: id,
        kind: Patch::Set(ChannelKind::Widget),
        name: Patch::keep_unless(fields.words("title")),
    })])
}

fn conversation(raw: &RawRecord, seen: Seen) -> Result<Vec<Row>, Reject> {
    let fields = open(raw)?;
    let chatbot = raw
        .parent
        .clone()
        .or_else(|| fields.id(&["chatbotId"]))
        .ok_or_else(|| Reject::normalise("$.chatbotId", "the thread's chatbot is not known"))?;
    // The record's own id first: for a fetched thread it is the one that was asked for, as the list spells it.
    let external_id = raw
        .id
        .clone()
        .or_else(|| fields.id(THREAD_ID).map(|thread| format!("{chatbot}/{thread}")))
        .ok_or_else(|| Reject::normalise("$.threadId", "the thread has no id"))?;

    // A chatbot that the configuration names is never listed: this makes its channel a widget all the same.
    let mut rows = vec![Row::Channel(ChannelRow {
        external_id: chatbot.clone(),
        kind: Patch::Set(ChannelKind::Widget),
        name: Patch::Keep,
    })];
    let (contact, described) = contact(&fields, &chatbot, &external_id);
    rows.extend(described);
    let in_list = seen == Seen::InList;
    rows.push(Row::Conversation(ConversationRow {
        external_id,
        channel: Patch::Set(chatbot),
        contact,
        agents: Patch::Keep,
        status: match fields.flag("resolved") {
            Some(true) => Patch::Set(ConversationStatus::Closed),
            Some(false) => Patch::Set(ConversationStatus::Open),
            None => Patch::Keep,
        },
        title: nullable(&fields, "title"),
        page_url: nullable(&fields, "pageUrl"),
        started_at_ms: Patch::keep_unless(lenient_time(&fields, "startedAt")),
        updated_at_ms: Patch::keep_unless(lenient_time(&fields, "updatedAt")),
        last_message_at_ms: if in_list { Patch::keep_unless(last_message_ms(&fields)) } else { Patch::Keep },
        escalated: Patch::keep_unless(fields.flag("escalated")),
        deleted_at_ms: Patch::Clear,
        reported_messages: if in_list { Patch::keep_unless(fields.whole("totalMessages")) } else { Patch::Keep },
        fingerprint: in_list.then(|| fingerprint(&fields)),
        // `updatedAt` does not move with every message, so it orders nothing.
        version: None,
        ..ConversationRow::default()
    }));
    Ok(rows)
}

/// A text that v2 knows and may take back; v0 never sends the key and so changes nothing.
fn nullable(fields: &Fields<'_>, name: &str) -> Patch<String> {
    if fields.is_null(name) { Patch::Clear } else { Patch::keep_unless(fields.words(name)) }
}

/// The visitor of a thread, and what is said about them.
fn contact(fields: &Fields<'_>, chatbot: &str, conversation: &str) -> (Patch<String>, Option<Row>) {
    let user = fields.object("chatUser");
    let id = user.as_ref().and_then(|user| user.id(&["id"])).or_else(|| fields.id(&["chatUserId"]));
    let external_id = id.map(|id| format!("{chatbot}/{id}"));
    let Some(user) = user else {
        // Both keys must say so: a v0 list without `chatUserId` may just not carry the user.
        let anonymous = fields.is_null("chatUser") && fields.is_null("chatUserId");
        let patch = if anonymous { Patch::Clear } else { Patch::keep_unless(external_id) };
        return (patch, None);
    };
    let address = |name| user.words(name).map(|text| text.trim().to_owned());
    let (name, email) = (user.words("name"), address("email"));
    // The request documents say `phoneNumber`, the vendor's types `phone`.
    let phone = address("phone").or_else(|| address("phoneNumber"));
    let Some(external_id) = external_id else {
        let says_something = name.is_some() || email.is_some() || phone.is_some();
        let hint = ContactHint { conversation: conversation.to_owned(), name, email, phone };
        return (Patch::Keep, says_something.then_some(Row::Contact(hint)));
    };
    let participant = ParticipantRow {
        external_id: external_id.clone(),
        kind: Patch::Set(ParticipantKind::Contact),
        name: Patch::keep_unless(name),
        email: Patch::keep_unless(email),
        phone: Patch::keep_unless(phone),
        provider_user_id: Patch::Keep,
    };
    (Patch::Set(external_id), Some(Row::Participant(participant)))
}

/// A time of the conversation itself. A bad one is left out: it must not keep the messages from being fetched.
fn lenient_time(fields: &Fields<'_>, name: &str) -> Option<i64> {
    fields.time(name).ok().flatten()
}

/// The later side of the newest message.
fn last_message_ms(fields: &Fields<'_>) -> Option<i64> {
    let last = fields.object("lastMessage")?;
    ["question", "answer"].into_iter().filter_map(|side| lenient_time(&last.object(side)?, "timestamp")).max()
}

/// A hash of everything in a list row by which its messages may have changed. `updatedAt` alone will not do: the
/// documents' own examples have messages long after it. What somebody has read is no change.
fn fingerprint(fields: &Fields<'_>) -> i64 {
    let mut hash = Hasher::new();
    for name in [
        "totalMessages",
        "totalPositiveMessages",
        "totalNegativeMessages",
        "totalGpt4MessagesCount",
        "escalated",
        "important",
        "resolved",
        "mode",
        "updatedAt",
        "endedAt",
    ] {
        hash.text(fields.scalar(name).as_deref());
    }
    let last = fields.object("lastMessage").unwrap_or_default();
    hash.text(last.id(super::records::MESSAGE_ID).as_deref());
    for name in ["messageType", "reaction"] {
        hash.text(last.scalar(name).as_deref());
    }
    for side in ["question", "answer"] {
        let inner = last.object(side).unwrap_or_default();
        hash.text(inner.scalar("timestamp").as_deref());
        hash.text(inner.scalar("text").or_else(|| last.some(side).and_then(json::text)).as_deref());
    }
    let user = fields.object("chatUser").unwrap_or_default();
    for name in ["id", "name", "email", "phone", "phoneNumber"] {
        hash.text(user.scalar(name).as_deref());
    }
    hash.finish()
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
