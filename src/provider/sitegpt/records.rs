//! From elements of SiteGPT's arrays to raw records: ids, parents, and no secrets.

use serde_json::value::RawValue;

use super::json::{Fields, without_member};
use crate::http::FetchError;
use crate::model::RawRecord;
use crate::normalise::{is_secret_key, scrub};

/// Keys under which a thread's id is looked for. `threadId` is the documented one in both generations; generic
/// `id` rows stand in examples of v2.
pub(super) const THREAD_ID: &[&str] = &["threadId", "id"];
/// Keys under which a message's id is looked for: the answer of `send-message` calls it `id`.
pub(super) const MESSAGE_ID: &[&str] = &["messageId", "id"];
/// Keys under which a chatbot's id is looked for.
pub(super) const CHATBOT_ID: &[&str] = &["id", "chatbotId"];

/// A conversation's external id taken apart: `chatbotId/threadId`. A thread id may hold any characters, slashes
/// included, since creators may choose it; chatbot ids are digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConversationId<'a> {
    pub(super) chatbot: &'a str,
    pub(super) thread: &'a str,
}

impl<'a> ConversationId<'a> {
    /// # Errors
    /// The text is no `chatbotId/threadId`.
    pub(super) fn parse(external_id: &'a str) -> Result<Self, FetchError> {
        match external_id.split_once('/') {
            Some((chatbot, thread)) if !chatbot.is_empty() && !thread.is_empty() => Ok(Self { chatbot, thread }),
            _ => Err(FetchError::Rejected {
                endpoint: "chatbots".to_owned(),
                status: 400,
                detail: "a conversation's id is not `chatbotId/threadId`".to_owned(),
            }),
        }
    }
}

/// The one place where raw records are made.
fn record(id: Option<String>, parent: Option<&str>, seq: i64, json: Box<RawValue>) -> RawRecord {
    RawRecord { id, key: None, parent: parent.map(str::to_owned), seq, json }
}

/// A chatbot of the list. An id with a slash could not be told from a thread's and is none.
pub(super) fn chatbot(raw: &RawValue) -> RawRecord {
    let id = Fields::of(raw).and_then(|fields| fields.id(CHATBOT_ID)).filter(|id| !id.contains('/'));
    record(id, None, 0, clean(raw, is_secret))
}

/// A thread as a list row, or as the head of a fetched one: without its messages, which are records of their own.
pub(super) fn thread(chatbot: &str, raw: &RawValue) -> RawRecord {
    let id = Fields::of(raw).and_then(|fields| fields.id(THREAD_ID)).map(|thread| format!("{chatbot}/{thread}"));
    record(id, Some(chatbot), 0, clean(&without_member(raw, "messages"), is_secret))
}

/// Message number `seq` of a conversation, counted from 0 over all of its pages.
pub(super) fn message(conversation: &str, seq: i64, raw: &RawValue) -> RawRecord {
    let id = Fields::of(raw).and_then(|fields| fields.id(MESSAGE_ID)).map(|id| format!("{conversation}/{id}"));
    record(id, Some(conversation), seq, clean(raw, is_webhook_token))
}

fn clean(raw: &RawValue, is_secret: fn(&str) -> bool) -> Box<RawValue> {
    scrub(raw, is_secret).unwrap_or_else(|| raw.to_owned())
}

/// Threads and chatbots carry secrets of the account (`webhookToken`, settings of integrations). A visitor's
/// `sessionId` is none of them.
fn is_secret(key: &str) -> bool {
    is_secret_key(key) && !key.eq_ignore_ascii_case("sessionId")
}

/// In messages only the documented secret goes: a count of tokens is content.
fn is_webhook_token(key: &str) -> bool {
    key.eq_ignore_ascii_case("webhookToken")
}

#[cfg(test)]
mod tests {
    use super::super::testing::raw;
    use super::*;

    #[test]
    fn a_thread_id_may_hold_slashes() {
        let id = ConversationId::parse("399/a/b c?d").unwrap();
        assert_eq!((id.chatbot, id.thread), ("399", "a/b c?d"));
        for bad in ["", "399", "399/", "/a"] {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_threads_secrets_never_reach_a_record() {
        let sent = raw(concat!(
            r#"{"threadId":"t1","webhookUrl":"https://hook.example.test/","webhookToken":"hush","#,
            r#""chatUser":{"id":"5","otpSecret":"hush"},"messages":[{"messageId":"1","webhookToken":"hush"}]}"#
        ));
        let record = thread("399", &sent);
        assert_eq!(record.id.as_deref(), Some("399/t1"));
        assert_eq!(record.parent.as_deref(), Some("399"));
        let json = record.json.get();
        assert!(!json.contains("hush") && !json.contains("messages") && json.contains("webhookUrl"), "{json}");
        let message =
            message("399/t1", 4, &raw(r#"{"messageId":361628903185318481,"webhookToken":"hush","tokens":7}"#));
        assert_eq!(message.id.as_deref(), Some("399/t1/361628903185318481"));
        assert_eq!((message.parent.as_deref(), message.seq), (Some("399/t1"), 4));
        assert_eq!(message.json.get(), r#"{"messageId":361628903185318481,"tokens":7}"#);
        assert!(
            !chatbot(&raw(r#"{"id":"399","settings":{"crm":{"accessToken":"hush"}}}"#)).json.get().contains("hush")
        );
    }

    #[test]
    fn a_record_without_an_id_says_so() {
        assert_eq!(thread("399", &raw("[]")).id, None);
        assert_eq!(message("399/t", 0, &raw(r#"{"messageId":null}"#)).id, None);
        assert_eq!(chatbot(&raw(r#"{"id":"1/2"}"#)).id, None);
    }
}
