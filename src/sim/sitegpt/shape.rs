//! The JSON objects of both generations.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::data::{ChatUser, Exchange, MessageType, Side, SitegptData, Thread};

/// Which generation an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    V0,
    V2,
}

/// ISO-8601 UTC with microseconds; the digits below the millisecond are noise.
pub(super) fn date(ms: i64) -> Value {
    let micros = ms.saturating_mul(1000).saturating_add(ms.rem_euclid(983));
    Timestamp::from_microsecond(micros)
        .map_or(Value::Null, |at| json!(at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
}

fn side(side: Option<&Side>) -> Value {
    side.map_or(Value::Null, |side| json!({"text": side.text, "timestamp": date(side.at_ms)}))
}

impl SitegptData {
    fn object(&self, pairs: Vec<(&str, Value)>) -> Map<String, Value> {
        let keep = |value: &Value| !(self.quirks.omit_nulls && value.is_null());
        pairs.into_iter().filter(|(_, value)| keep(value)).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub(super) fn user_json(&self, user: Option<&ChatUser>, api: Api) -> Value {
        let Some(user) = user else { return Value::Null };
        let phone = if api == Api::V0 && !self.quirks.v0_phone_key { "phoneNumber" } else { "phone" };
        Value::Object(self.object(vec![
            ("id", json!(user.id)),
            ("name", json!(user.name)),
            ("email", json!(user.email)),
            (phone, json!(user.phone)),
            ("verified", json!(user.verified)),
            ("createdAt", date(user.created_ms)),
            ("updatedAt", date(user.created_ms)),
        ]))
    }

    pub(super) fn message_json(&self, thread: &Thread, message: &Exchange, api: Api) -> Map<String, Value> {
        let reaction = match message.reaction {
            1 => "POSITIVE",
            -1 => "NEGATIVE",
            _ => "NEUTRAL",
        };
        let is_system = message.kind == MessageType::System;
        let system_type = match &message.system_type {
            Some(what) => json!(what),
            // The documentation's own example sets a value on every type.
            None if !is_system && !self.quirks.clean_system_type => json!("CONVERSATION_ESCALATED"),
            None => Value::Null,
        };
        let mut pairs = vec![
            ("messageId", json!(message.id)),
            ("messageType", json!(message.kind.as_str())),
            ("systemMessageType", system_type),
            ("question", side(message.question.as_ref())),
            ("answer", side(message.answer.as_ref())),
            ("reaction", json!(reaction)),
            ("sources", json!(message.sources)),
            ("prompts", json!([])),
            ("iconUrl", Value::Null),
            ("gptModel", json!(message.model)),
        ];
        if api == Api::V2 {
            pairs.extend([
                ("threadId", json!(thread.id)),
                ("chatbotId", json!(thread.chatbot)),
                ("agentId", Value::Null),
                ("agentName", json!(message.agent_name)),
                ("pageUrl", json!(thread.page_url)),
                ("createdAt", date(message.created_ms)),
                ("updatedAt", date(message.updated_ms)),
            ]);
        } else if self.quirks.v0_agent_names {
            pairs.push(("agentName", json!(message.agent_name)));
        }
        self.object(pairs)
    }

    fn last_message(&self, thread: &Thread, api: Api) -> Value {
        let Some(message) = thread.messages.last() else { return Value::Null };
        let mut out = self.message_json(thread, message, api);
        out.insert("threadId".to_owned(), json!(thread.id));
        out.insert("chatbotId".to_owned(), json!(thread.chatbot));
        Value::Object(out)
    }

    fn v0_times(&self, thread: &Thread) -> [(&'static str, Value); 3] {
        if self.quirks.v0_true_times {
            return [
                ("startedAt", date(thread.started_ms)),
                ("updatedAt", date(thread.updated_ms)),
                ("endedAt", thread.ended_ms.map_or(Value::Null, date)),
            ];
        }
        ["startedAt", "updatedAt", "endedAt"].map(|name| (name, date(thread.started_ms)))
    }

    /// An item of the v0 list.
    pub(super) fn v0_item(&self, thread: &Thread) -> Value {
        let count = |reaction| thread.messages.iter().filter(|message| message.reaction == reaction).count();
        let gpt4 = thread.messages.iter().filter(|m| m.model.as_deref().is_some_and(|model| model == "gpt-4"));
        let mut pairs = vec![
            ("threadId", json!(thread.id)),
            ("mode", json!(if thread.agent_mode { "AGENT" } else { "AI" })),
            ("chatUser", self.user_json(thread.user.as_ref(), Api::V0)),
            ("escalated", json!(thread.escalated)),
            ("important", json!(thread.important)),
            ("resolved", json!(thread.resolved)),
            ("totalMessagesRead", json!(thread.messages_read)),
            ("totalMessages", json!(thread.messages.len())),
            ("totalPositiveMessages", json!(count(1))),
            ("totalNegativeMessages", json!(count(-1))),
            ("totalGpt4MessagesCount", json!(gpt4.count())),
            ("lastMessage", self.last_message(thread, Api::V0)),
        ];
        pairs.extend(self.v0_times(thread));
        Value::Object(self.object(pairs))
    }

    /// The v0 answer for one thread.
    pub(super) fn v0_thread(&self, thread: &Thread, with_user: bool, with_messages: bool) -> Value {
        let user = thread.user.as_ref().filter(|_| with_user);
        let messages = thread.messages.iter().filter(|_| with_messages);
        let messages: Vec<_> = messages.map(|message| self.message_json(thread, message, Api::V0)).collect();
        let mut pairs = vec![
            ("threadId", json!(thread.id)),
            ("mode", json!(if thread.agent_mode { "AGENT" } else { "AI" })),
            ("chatbotId", json!(thread.chatbot)),
            ("chatUserId", json!(thread.user.as_ref().map(|user| &user.id))),
            ("chatUser", self.user_json(user, Api::V0)),
            ("escalated", json!(thread.escalated)),
            ("totalMessagesRead", json!(thread.messages_read)),
            ("webhookUrl", json!("https://hooks.example.test/sitegpt")),
            ("webhookToken", json!(format!("hook-secret-{}", thread.id))),
            ("messages", json!(messages)),
        ];
        pairs.extend(self.v0_times(thread));
        Value::Object(self.object(pairs))
    }

    /// A v2 conversation; `messages` only where the endpoint shows them.
    pub(super) fn v2_conversation(&self, thread: &Thread, messages: Option<&[Exchange]>) -> Value {
        let unread = u64::try_from(thread.messages.len()).unwrap_or_default().saturating_sub(thread.messages_read);
        let mut pairs = vec![
            ("threadId", json!(thread.id)),
            ("chatbotId", json!(thread.chatbot)),
            ("mode", json!(if thread.agent_mode { "AGENT" } else { "AI" })),
            ("startedAt", date(thread.started_ms)),
            ("updatedAt", date(thread.updated_ms)),
            ("endedAt", thread.ended_ms.map_or(Value::Null, date)),
            ("escalated", json!(thread.escalated)),
            ("important", json!(thread.important)),
            ("resolved", json!(thread.resolved)),
            ("title", json!(thread.title)),
            ("tagIds", json!([])),
            ("sessionId", Value::Null),
            ("pageUrl", json!(thread.page_url)),
            ("chatUserId", json!(thread.user.as_ref().map(|user| &user.id))),
            ("chatUser", self.user_json(thread.user.as_ref(), Api::V2)),
            ("lead", Value::Null),
            ("totalMessages", json!(thread.messages.len())),
            ("unreadMessages", json!(unread)),
            ("lastMessage", self.last_message(thread, Api::V2)),
        ];
        if let Some(messages) = messages {
            let shown: Vec<_> = messages.iter().map(|message| self.message_json(thread, message, Api::V2)).collect();
            pairs.push(("messages", json!(shown)));
        }
        Value::Object(self.object(pairs))
    }
}
