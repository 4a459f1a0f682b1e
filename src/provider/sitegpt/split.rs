//! One SiteGPT message holds an exchange: a question, an answer, or both. They become messages of their own,
//! `messageId:q` and `messageId:a`.
//!
//! Which sides are there decides what is emitted; the type only says who wrote it. Vote, sources and model belong
//! to the answer.

use super::json::{self, Fields};
use super::records::MESSAGE_ID;
use crate::model::{
    AuthorKind, Citation, MessageKind, MessageRow, ParticipantKind, ParticipantRow, Patch, RawRecord, Reject, Row,
};

/// A side that was sent.
#[derive(Debug)]
struct Side {
    text: String,
    at_ms: Option<i64>,
}

/// Which half of the exchange a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Question,
    Answer,
}

/// How many messages a raw message comes to. An event with neither side comes to one; an exchange of which neither
/// side is there yet comes to none, and is counted as one that was sent.
pub(super) fn halves(fields: &Fields<'_>) -> i64 {
    let sides = i64::from(fields.some("question").is_some()) + i64::from(fields.some("answer").is_some());
    sides.max(1)
}

fn is_event(fields: &Fields<'_>) -> bool {
    fields.scalar("messageType").as_deref() == Some("SYSTEM_MESSAGE")
}

/// The rows of one raw message.
///
/// # Errors
/// It has no id or no conversation, or a side is of a shape that is not documented.
pub(super) fn rows(raw: &RawRecord) -> Result<Vec<Row>, Reject> {
    let fields = Fields::of(&raw.json).ok_or_else(|| Reject::decode("$", "not an object"))?;
    let message_id = fields.id(MESSAGE_ID).ok_or_else(|| Reject::normalise("$.messageId", "the message has no id"))?;
    let conversation =
        raw.parent.as_deref().ok_or_else(|| Reject::normalise("$", "the message's conversation is not known"))?;
    let question = side(&fields, "question")?;
    let answer = side(&fields, "answer")?;
    let created_ms = time(&fields, "createdAt", "$")?;
    let exchange = Exchange { raw, fields: &fields, message_id: &message_id, conversation };
    let (asked_ms, answered_ms) =
        (question.as_ref().and_then(|side| side.at_ms), answer.as_ref().and_then(|side| side.at_ms));
    let mut rows = Vec::new();
    if answer.is_none() && question.is_none() && is_event(&fields) {
        rows.extend(exchange.half(Half::Answer, String::new(), created_ms));
    }
    if let Some(side) = question {
        rows.extend(exchange.half(Half::Question, side.text, asked_ms.or(answered_ms).or(created_ms)));
    }
    if let Some(side) = answer {
        rows.extend(exchange.half(Half::Answer, side.text, answered_ms.or(asked_ms).or(created_ms)));
    }
    Ok(rows)
}

/// `{text, timestamp}`, or a plain text as the webhook documents show it. `None` when the side was not sent.
fn side(fields: &Fields<'_>, name: &str) -> Result<Option<Side>, Reject> {
    let Some(raw) = fields.some(name) else { return Ok(None) };
    if let Some(text) = json::text(raw) {
        return Ok(Some(Side { text, at_ms: None }));
    }
    let path = format!("$.{name}");
    let Some(inner) = Fields::of(raw) else { return Err(Reject::decode(path, "neither an object nor a text")) };
    let text = match inner.some("text") {
        None => String::new(),
        Some(raw) => json::scalar(raw).ok_or_else(|| Reject::decode(format!("{path}.text"), "not a text"))?,
    };
    Ok(Some(Side { text, at_ms: time(&inner, "timestamp", &path)? }))
}

fn time(fields: &Fields<'_>, name: &str, path: &str) -> Result<Option<i64>, Reject> {
    fields.time(name).map_err(|fault| Reject::normalise(format!("{path}.{name}"), fault.to_string()))
}

/// What both halves of a message share.
struct Exchange<'a> {
    raw: &'a RawRecord,
    fields: &'a Fields<'a>,
    message_id: &'a str,
    conversation: &'a str,
}

impl Exchange<'_> {
    /// The message that one half makes, after its author where the record names one.
    fn half(&self, half: Half, text: String, sent_at_ms: Option<i64>) -> Vec<Row> {
        let suffix = match half {
            Half::Question => "q",
            Half::Answer => "a",
        };
        let mut row = MessageRow::new(self.conversation, format!("{}:{suffix}", self.message_id));
        row.body_text = text;
        row.sent_at_ms = sent_at_ms;
        row.seq = self.raw.seq.saturating_mul(2).saturating_add(i64::from(half == Half::Answer));
        row.version = self.fields.time("updatedAt").unwrap_or_default();
        let mut rows = Vec::new();
        let kind = self.fields.scalar("messageType");
        match (kind.as_deref(), half) {
            (Some("SYSTEM_MESSAGE"), _) => {
                row.kind = MessageKind::Event;
                // On other types the key is set too, without meaning.
                row.event = self.fields.words("systemMessageType");
                row.author_kind = Some(AuthorKind::System);
            }
            (_, Half::Question) => row.author_kind = Some(AuthorKind::Contact),
            (Some("AGENT_MESSAGE"), Half::Answer) => {
                row.author_kind = Some(AuthorKind::Agent);
                let agent = self.agent();
                row.author = agent.as_ref().map(|agent| agent.external_id.clone());
                rows.extend(agent.map(Row::Participant));
            }
            (_, Half::Answer) => row.author_kind = Some(AuthorKind::Bot),
        }
        if half == Half::Answer {
            row.reaction = reaction(self.fields);
            row.citations = citations(self.fields);
            row.model = self.fields.words("gptModel");
        }
        rows.push(Row::Message(row));
        rows
    }

    /// The human who answered. Only a name is documented; it is told apart per chatbot.
    fn agent(&self) -> Option<ParticipantRow> {
        let name = self.fields.words("agentName")?;
        let chatbot = self.conversation.split('/').next().unwrap_or_default();
        Some(ParticipantRow {
            external_id: format!("{chatbot}/agent:{name}"),
            kind: Patch::Set(ParticipantKind::Agent),
            name: Patch::Set(name),
            ..Default::default()
        })
    }
}

/// The visitor's vote; `NEUTRAL`, unknown and missing are none.
fn reaction(fields: &Fields<'_>) -> i64 {
    match fields.scalar("reaction").as_deref() {
        Some("POSITIVE") => 1,
        Some("NEGATIVE") => -1,
        _ => 0,
    }
}

/// Sources as v2 types them (texts) and as an object may name them; the documents show no filled one in v0.
fn citations(fields: &Fields<'_>) -> Vec<Citation> {
    let Some(raw) = fields.some("sources") else { return Vec::new() };
    let items = json::array(raw).unwrap_or_else(|| vec![raw]);
    let cite = |url: Option<String>, title: Option<String>| {
        (url.is_some() || title.is_some()).then_some(Citation { url, title })
    };
    items
        .into_iter()
        .filter_map(|item| match Fields::of(item) {
            Some(item) => {
                let first = |names: &[&str]| names.iter().find_map(|name| item.words(name));
                cite(first(&["url", "link", "source"]), first(&["title", "name"]))
            }
            None => cite(json::text(item).filter(|url| !url.trim().is_empty()), None),
        })
        .collect()
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
