//! Threads and messages as rows. Pure.

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::model::{
    Attachment, ChannelKind, ChannelRow, ConversationRow, ConversationStatus, MessageRow, Patch, RawRecord, Reject, Row,
};
use crate::normalise::{decode, lenient, parse_timestamp, read_html};

/// External id of the one channel that a site has.
const CHANNEL: &str = "live_chat";

/// A row of `chat_message_threads` (spec: chat threads). Every value comes as text or as a number.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Thread {
    #[serde(deserialize_with = "lenient::text")]
    thread_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    thread_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    thread_token: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    thread_owner: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    created_at: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    updated_at: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    thread_responders: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    deleted_at: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    request_uri: Option<String>,
}

/// A row of `chat_message_items` (spec: chat messages).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "lenient::text")]
    message_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    thread_token: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message_owner: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message_content: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    created_at: Option<String>,
}

/// Reads a record that must be an object (serde would take an array for one).
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a RawRecord) -> Result<T, Reject> {
    if !raw.json.get().starts_with('{') {
        return Err(Reject::decode("$", format!("expected an object, found {}", lenient::found(&raw.json))));
    }
    decode(raw.json.get())
}

/// A thread: its channel, its people and itself.
///
/// It carries no version: any client of the site's API may set `updated_at`, backwards too, and the latest record
/// is the right one all the same.
pub(super) fn thread(raw: &RawRecord, zone: &TimeZone) -> Result<Vec<Row>, Reject> {
    let wire: Thread = object(raw)?;
    number_needed(wire.thread_id.as_deref(), "$.thread_id")?;
    let token = needed(wire.thread_token.as_deref(), "$.thread_token")?;
    let started = time(wire.created_at.as_deref(), zone, "$.created_at")?;
    let updated = time(wire.updated_at.as_deref(), zone, "$.updated_at")?;
    let mut owners = people(wire.thread_owner.as_deref()).into_iter();
    let responders = people(wire.thread_responders.as_deref());

    let mut rows = vec![Row::Channel(ChannelRow {
        external_id: CHANNEL.to_owned(),
        kind: Patch::Set(ChannelKind::LiveChat),
        name: Patch::Set("Live chat".to_owned()),
    })];
    rows.push(Row::Conversation(ConversationRow {
        external_id: token.to_owned(),
        channel: Patch::Set(CHANNEL.to_owned()),
        contact: Patch::from_option(owners.next()),
        other_contacts: owners.collect(),
        agents: Patch::Set(responders),
        status: Patch::Set(match trimmed(wire.thread_status.as_deref()) {
            Some("1") => ConversationStatus::Open,
            Some("0") => ConversationStatus::Closed,
            _ => ConversationStatus::Unknown,
        }),
        page_url: Patch::from_option(wire.request_uri.filter(|uri| !uri.trim().is_empty())),
        started_at_ms: Patch::from_option(started),
        updated_at_ms: Patch::from_option(updated),
        deleted_at_ms: Patch::from_option(deletion(wire.deleted_at.as_deref(), zone, updated.or(started))?),
        ..ConversationRow::default()
    }));
    Ok(rows)
}

/// A message.
pub(super) fn message(raw: &RawRecord, zone: &TimeZone) -> Result<Vec<Row>, Reject> {
    let wire: Message = object(raw)?;
    let id = number_needed(wire.message_id.as_deref(), "$.message_id")?;
    let number = id.parse::<i64>().ok();
    let token = needed(wire.thread_token.as_deref(), "$.thread_token")?;
    let sent_at_ms = time(wire.created_at.as_deref(), zone, "$.created_at")?;
    let html = wire.message_content.as_deref().map(read_html);
    let (text, images) = html.map(|html| (html.text, html.images)).unwrap_or_default();

    Ok(vec![Row::Message(MessageRow {
        author: trimmed(wire.message_owner.as_deref()).map(str::to_owned),
        seq: number.unwrap_or(0),
        sent_at_ms,
        body_text: text,
        body_html: wire.message_content,
        read: match trimmed(wire.message_status.as_deref()) {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => None,
        },
        // Pictures that stand inside the message (`data:`) have no address and stay in the HTML.
        attachments: images
            .into_iter()
            .filter(|image| image.url.is_some())
            .map(|image| Attachment { kind: "image".to_owned(), url: image.url, name: image.name })
            .collect(),
        ..MessageRow::new(token, number.map_or_else(|| id.to_owned(), |number| number.to_string()))
    })])
}

fn trimmed(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn needed<'a>(text: Option<&'a str>, path: &str) -> Result<&'a str, Reject> {
    trimmed(text).ok_or_else(|| Reject::normalise(path, "missing or empty"))
}

/// An id of a table, of any length. What is no number is no id of one: no question could be asked about it, and no
/// reading of the list would ever show that it is gone.
fn number_needed<'a>(text: Option<&'a str>, path: &str) -> Result<&'a str, Reject> {
    let id = needed(text, path)?;
    if id.bytes().all(|byte| byte.is_ascii_digit()) { Ok(id) } else { Err(Reject::normalise(path, "not a number")) }
}

fn time(text: Option<&str>, zone: &TimeZone, path: &str) -> Result<Option<i64>, Reject> {
    parse_timestamp(text.unwrap_or_default(), Some(zone)).map_err(|fault| Reject::normalise(path, fault.to_string()))
}

/// When the thread was deleted. Anything that is not empty says that it was, and an unreadable time must not bring
/// it back: then the thread's last known time stands in.
fn deletion(text: Option<&str>, zone: &TimeZone, otherwise: Option<i64>) -> Result<Option<i64>, Reject> {
    match time(text, zone, "$.deleted_at") {
        Err(reject) => otherwise.map(Some).ok_or(reject),
        read => read,
    }
}

/// The people that a column names: one token as a rule, sometimes several with commas between them.
fn people(text: Option<&str>) -> Vec<String> {
    let mut people: Vec<String> = Vec::new();
    for one in text.unwrap_or_default().split(',').map(str::trim).filter(|one| !one.is_empty()) {
        if !people.iter().any(|known| known == one) {
            people.push(one.to_owned());
        }
    }
    people
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
