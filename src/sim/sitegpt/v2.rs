//! `/api/v2`.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::data::{Chatbot, SitegptData, Thread};
use super::serve::{Told, v2_error};
use super::{CursorPlace, V2Order};
use crate::sim::wire::{Answer, RequestInfo};

/// How many of the newest messages one conversation shows.
const RECENT: usize = 20;

fn refused<T>(status: u16, code: &str, message: &str) -> Result<T, Box<Answer>> {
    Err(Box::new(v2_error(status, code, message, None)))
}

/// A place in a list: the sorting key and the id of the last item shown.
fn cursor(key: i64, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("c1|{key}|{id}"))
}

fn read_cursor(text: &str) -> Option<(i64, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (key, id) = text.strip_prefix("c1|")?.split_once('|')?;
    Some((key.parse().ok()?, id.to_owned()))
}

/// What the request's `cursor` and `limit` come to.
struct Paging {
    after: Option<(i64, String)>,
    limit: usize,
}

impl Paging {
    fn of(request: &RequestInfo) -> Result<Self, Box<Answer>> {
        let limit = request.first("limit").map_or(Some(50), |limit| limit.parse().ok());
        let Some(limit @ 1..=100) = limit else {
            return refused(400, "REQUEST_VALIDATION_FAILED", "limit must be from 1 to 100");
        };
        let after = request.first("cursor").filter(|text| !text.is_empty()).map(read_cursor);
        match after {
            Some(None) => refused(400, "REQUEST_VALIDATION_FAILED", "cursor is not valid"),
            after => Ok(Self { after: after.flatten(), limit }),
        }
    }
}

impl SitegptData {
    pub(super) fn v2(&self, rest: &[&str], request: &RequestInfo) -> Told {
        match rest {
            ["chatbots"] => {
                let show = |chatbot: &Chatbot| json!({"id": chatbot.id, "title": chatbot.title});
                let chatbots: Vec<Value> = self.chatbots.iter().map(show).collect();
                Ok(self.paged("chatbots", &chatbots, 50, None))
            }
            ["chatbots", id] => {
                let chatbot = self.v2_chatbot(id)?;
                Ok(success(&json!({"chatbot": {"id": chatbot.id, "title": chatbot.title}}), &json!({})))
            }
            ["chatbots", id, "conversations"] => self.v2_list(self.v2_chatbot(id)?, request),
            ["chatbots", id, "conversations", thread] => {
                let thread = self.v2_thread(self.v2_chatbot(id)?, thread)?;
                let skipped = thread.messages.len().saturating_sub(RECENT);
                let recent = thread.messages.get(skipped..).unwrap_or_default();
                Ok(success(&json!({"conversation": self.v2_conversation(thread, Some(recent))}), &json!({})))
            }
            ["chatbots", id, "conversations", thread, "messages"] => {
                self.v2_messages(self.v2_thread(self.v2_chatbot(id)?, thread)?, request)
            }
            _ => refused(404, "NOT_FOUND", "Not found"),
        }
    }

    fn v2_chatbot(&self, id: &str) -> Result<&Chatbot, Box<Answer>> {
        self.chatbot(id).map_or_else(|| refused(404, "CHATBOT_NOT_FOUND", "Chatbot not found"), Ok)
    }

    fn v2_thread<'a>(&'a self, chatbot: &'a Chatbot, id: &str) -> Result<&'a Thread, Box<Answer>> {
        let found = self.threads_of(&chatbot.id).find(|thread| thread.id == id);
        found.map_or_else(|| refused(404, "CONVERSATION_NOT_FOUND", "Conversation not found"), Ok)
    }

    fn sorting_key(&self, thread: &Thread) -> i64 {
        match self.quirks.v2_order {
            V2Order::Activity => thread.updated_ms,
            V2Order::Started => thread.started_ms,
        }
    }

    /// Conversations newest first. A place is kept by key and id, so what moves to the front while a reader pages
    /// is not shown to that reader again.
    fn v2_list(&self, chatbot: &Chatbot, request: &RequestInfo) -> Told {
        let paging = Paging::of(request)?;
        let flag = |name: &str, set: bool| request.first(name).is_none_or(|wanted| (wanted == "true") == set);
        let status = request.first("status").unwrap_or("all");
        let mut threads: Vec<&Thread> = self
            .threads_of(&chatbot.id)
            .filter(|thread| !thread.messages.is_empty() || request.first("includeEmpty") == Some("true"))
            .filter(|thread| status == "all" || (status == "resolved") == thread.resolved)
            .filter(|thread| flag("important", thread.important) && flag("escalated", thread.escalated))
            .filter(|thread| request.first("mode").is_none_or(|mode| (mode == "AGENT") == thread.agent_mode))
            .collect();
        threads.sort_by_key(|thread| Reverse((self.sorting_key(thread), thread.id.as_str())));
        if let Some((key, id)) = &paging.after {
            threads.retain(|thread| (self.sorting_key(thread), &thread.id) < (*key, id));
        }
        let limit = if self.quirks.v2_short_pages { paging.limit.div_ceil(2) } else { paging.limit };
        let more = threads.len() > limit;
        threads.truncate(limit);
        let next = threads.last().filter(|_| more).map(|last| cursor(self.sorting_key(last), &last.id));
        let shown: Vec<Value> = threads.into_iter().map(|thread| self.v2_conversation(thread, None)).collect();
        Ok(self.paged("conversations", &shown, paging.limit, next.as_deref()))
    }

    /// Messages oldest first, from the place after the cursor's message.
    fn v2_messages(&self, thread: &Thread, request: &RequestInfo) -> Told {
        let paging = Paging::of(request)?;
        let after = |id: &str| paging.after.as_ref().is_none_or(|(_, last)| id > last.as_str());
        // Ids have one length and rise with every message, so they are the order.
        let mut messages: Vec<_> = thread.messages.iter().filter(|message| after(&message.id)).collect();
        let more = messages.len() > paging.limit;
        messages.truncate(paging.limit);
        let next = messages.last().filter(|_| more).map(|last| cursor(last.created_ms, &last.id));
        let shown: Vec<Value> = messages
            .into_iter()
            .map(|message| Value::Object(self.message_json(thread, message, super::shape::Api::V2)))
            .collect();
        Ok(self.paged("messages", &shown, paging.limit, next.as_deref()))
    }

    fn paged(&self, name: &str, items: &[Value], limit: usize, next: Option<&str>) -> Answer {
        match self.quirks.cursor {
            CursorPlace::Data => {
                let pagination = json!({"limit": limit, "hasNextPage": next.is_some(), "nextCursor": next});
                success(&json!({name: items, "pagination": pagination}), &json!({}))
            }
            CursorPlace::Meta => success(&json!({name: items}), &json!({"nextCursor": next})),
        }
    }
}

fn success(data: &Value, meta: &Value) -> Answer {
    let mut meta = meta.clone();
    if let Value::Object(meta) = &mut meta {
        meta.insert("requestId".to_owned(), json!("req_sim"));
    }
    Answer::json(200, &json!({"ok": true, "data": data, "meta": meta}))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::{CursorPlace, SitegptData};
    use super::{cursor, read_cursor};
    use crate::sim::World;
    use crate::sim::probe;

    const AT: i64 = 1_767_323_045_678;

    fn ask(world: &mut World<SitegptData>, target: &str) -> (u16, Value) {
        probe::ask(world, &format!("/api/v2/{target}"), ("authorization", "Bearer sgpt_test"))
    }

    fn account(threads: i64) -> (World<SitegptData>, String) {
        let mut data = SitegptData::new();
        let bot = data.add_chatbot("Helper");
        for n in 0..threads {
            let thread = data.add_thread(&bot, AT + n * 60_000);
            data.add_user(&thread, "Hello", AT + n * 60_000);
        }
        (World::new(data), bot)
    }

    fn ids(body: &Value, list: &str, id: &str) -> Vec<String> {
        let items = body["data"][list].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| Some(item[id].as_str()?.to_owned())).collect()
    }

    #[test]
    fn cursors_lead_through_every_conversation_newest_first() {
        let (mut world, bot) = account(25);
        let list = format!("chatbots/{bot}/conversations?limit=10");
        let mut seen = Vec::new();
        let mut next = String::new();
        loop {
            let (_, body) = ask(&mut world, &format!("{list}&cursor={next}"));
            seen.extend(ids(&body, "conversations", "threadId"));
            match body["data"]["pagination"]["nextCursor"].as_str() {
                Some(cursor) => next = cursor.to_owned(),
                None => break,
            }
        }
        let expected: Vec<String> = world.data.threads.iter().rev().map(|thread| thread.id.clone()).collect();
        assert_eq!(seen, expected);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 25);
        assert_eq!(ask(&mut world, &format!("{list}&cursor=!!")).0, 400);
        assert_eq!(ask(&mut world, &format!("chatbots/{bot}/conversations?limit=101")).0, 400);
    }

    #[test]
    fn messages_run_oldest_first_and_the_conversation_shows_only_the_recent_ones() {
        let (mut world, bot) = account(1);
        let thread = world.data.threads[0].id.clone();
        for n in 1..30 {
            world.data.add_user(&thread, &n.to_string(), AT + n);
        }
        world.data.quirks.cursor = CursorPlace::Meta;
        let target = format!("chatbots/{bot}/conversations/{thread}");
        let (_, first) = ask(&mut world, &format!("{target}/messages?limit=25"));
        let next = first["meta"]["nextCursor"].as_str().unwrap_or_default();
        let (_, second) = ask(&mut world, &format!("{target}/messages?limit=25&cursor={next}"));
        assert_eq!(second["meta"]["nextCursor"], Value::Null);
        let mut seen = ids(&first, "messages", "messageId");
        seen.extend(ids(&second, "messages", "messageId"));
        let expected: Vec<_> = world.data.threads[0].messages.iter().map(|message| message.id.clone()).collect();
        assert_eq!(seen, expected);
        let (_, one) = ask(&mut world, &target);
        assert_eq!(one["data"]["conversation"]["messages"].as_array().map(Vec::len), Some(20));
        assert_eq!(one["data"]["conversation"]["totalMessages"], json!(30));
    }

    #[test]
    fn empty_conversations_are_hidden_unless_asked_for() {
        let (mut world, bot) = account(1);
        world.data.add_thread(&bot, AT);
        let list = format!("chatbots/{bot}/conversations");
        assert_eq!(ids(&ask(&mut world, &list).1, "conversations", "threadId").len(), 1);
        let all = ask(&mut world, &format!("{list}?includeEmpty=true")).1;
        assert_eq!(ids(&all, "conversations", "threadId").len(), 2);
    }

    #[test]
    fn the_v0_key_is_no_v2_token() {
        let (mut world, _) = account(0);
        let wrong = probe::ask(&mut world, "/api/v2/chatbots", ("authorization", "Bearer sitegpt-key"));
        assert_eq!((wrong.0, wrong.1["error"]["code"].clone()), (401, json!("TOKEN_NOT_VALID")));
        let none = probe::ask(&mut world, "/api/v2/chatbots", ("accept", "*/*"));
        assert_eq!(none.1["error"]["code"], json!("AUTHORIZATION_HEADER_REQUIRED"));
        assert_eq!(read_cursor(&cursor(-5, "a|b")), Some((-5, "a|b".to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn cursors_come_back_and_rubbish_does_no_harm(key: i64, id in ".*", rubbish in ".*") {
            proptest::prop_assert_eq!(read_cursor(&cursor(key, &id)), Some((key, id)));
            let _nothing = read_cursor(&rubbish);
        }
    }
}
