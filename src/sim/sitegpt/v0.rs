//! `/api/v0`.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::V0List;
use super::data::{Chatbot, SitegptData, Thread};
use super::serve::{Told, v0_error};
use crate::sim::wire::{Answer, RequestInfo};

fn success(message: &str, data: &Value) -> Answer {
    Answer::json(200, &json!({"success": true, "message": message, "data": data}))
}

fn invalid(what: &str) -> Box<Answer> {
    Box::new(v0_error(400, "REQUEST_VALIDATION_FAILED", &format!("{what} is not valid")))
}

fn chatbot_json(chatbot: &Chatbot) -> Value {
    json!({
        "id": chatbot.id, "title": chatbot.title, "description": "", "settings": {"localization": {}},
        "createdById": "1", "createdByEmail": "owner@example.test", "suggestions": [], "nextSuggestions": [],
        "prompts": [],
    })
}

impl SitegptData {
    pub(super) fn v0(&self, rest: &[&str], request: &RequestInfo) -> Told {
        match rest {
            ["chatbots"] => {
                let chatbots: Vec<Value> = self.chatbots.iter().map(chatbot_json).collect();
                Ok(success("Fetched all the chatbots successfully", &json!({"chatbots": chatbots})))
            }
            ["chatbots", id] => {
                let chatbot = chatbot_json(self.v0_chatbot(id)?);
                Ok(success("Fetched the chatbot successfully", &json!({"chatbot": chatbot})))
            }
            ["chatbots", id, "threads"] => {
                let threads = self.v0_list(self.v0_chatbot(id)?, request)?;
                let threads: Vec<Value> = threads.into_iter().map(|thread| self.v0_item(thread)).collect();
                Ok(success("Fetched all the threads successfully", &json!({"threads": threads})))
            }
            ["chatbots", id, "threads", thread] => {
                let chatbot = self.v0_chatbot(id)?;
                let Some(thread) = self.threads_of(&chatbot.id).find(|one| one.id == *thread) else {
                    return Err(Box::new(v0_error(404, "THREAD_NOT_FOUND", "Thread not found")));
                };
                let with_user = self.quirks.v0_user_always || request.first("includeChatUser") == Some("true");
                let with_messages = request.first("skipMessages") != Some("true");
                let thread = self.v0_thread(thread, with_user, with_messages);
                Ok(success("Fetched the thread successfully", &json!({"thread": thread})))
            }
            _ => Err(Box::new(v0_error(404, "NOT_FOUND", "Not found"))),
        }
    }

    fn v0_chatbot(&self, id: &str) -> Result<&Chatbot, Box<Answer>> {
        self.chatbot(id).ok_or_else(|| Box::new(v0_error(404, "CHATBOT_NOT_FOUND", "Chatbot not found")))
    }

    fn v0_list<'a>(&'a self, chatbot: &'a Chatbot, request: &RequestInfo) -> Result<Vec<&'a Thread>, Box<Answer>> {
        let mut threads: Vec<&Thread> = self.threads_of(&chatbot.id).collect();
        if self.quirks.v0_newest_first {
            threads.sort_by_key(|thread| Reverse(thread.started_ms));
        } else {
            threads.sort_by_key(|thread| thread.started_ms);
        }
        let number = |name: &str, default: usize| {
            request.first(name).map_or(Some(default), |text| text.parse().ok()).filter(|number| *number > 0)
        };
        Ok(match self.quirks.v0_list {
            V0List::All => threads,
            V0List::Capped => threads.into_iter().take(20).collect(),
            V0List::Paged => {
                let page = number("page", 1).ok_or_else(|| invalid("page"))?;
                let limit = number("limit", 20).filter(|limit| *limit <= 100).ok_or_else(|| invalid("limit"))?;
                threads.into_iter().skip((page - 1).saturating_mul(limit)).take(limit).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{SitegptData, V0List};
    use crate::model::AuthorKind;
    use crate::sim::World;
    use crate::sim::probe;

    const AT: i64 = 1_767_323_045_678;

    fn ask(world: &mut World<SitegptData>, target: &str) -> (u16, Value) {
        probe::ask(world, &format!("/api/v0/{target}"), ("authorization", "Bearer sitegpt-key"))
    }

    fn account(threads: i64) -> (World<SitegptData>, String) {
        let mut data = SitegptData::new();
        let bot = data.add_chatbot("Helper");
        for n in 0..threads {
            let thread = data.add_thread(&bot, AT + n * 60_000);
            data.add_normal(&thread, ("Price?", AT + n * 60_000), ("Ten", AT + n * 60_000 + 900));
        }
        (World::new(data), bot)
    }

    fn threads(body: &Value) -> usize {
        body["data"]["threads"].as_array().map_or(0, Vec::len)
    }

    #[test]
    fn the_list_has_three_faces() {
        let (mut world, bot) = account(45);
        let list = format!("chatbots/{bot}/threads");
        assert_eq!(threads(&ask(&mut world, &list).1), 20);
        assert_eq!(threads(&ask(&mut world, &format!("{list}?page=2&limit=40")).1), 5);
        assert_eq!(ask(&mut world, &format!("{list}?limit=101")).0, 400);
        world.data.quirks.v0_list = V0List::All;
        assert_eq!(threads(&ask(&mut world, &format!("{list}?page=2&limit=40")).1), 45);
        world.data.quirks.v0_list = V0List::Capped;
        assert_eq!(threads(&ask(&mut world, &format!("{list}?limit=100")).1), 20);
    }

    #[test]
    fn times_stand_still_while_messages_arrive() {
        let (mut world, bot) = account(1);
        let thread = world.data.threads[0].id.clone();
        world.data.add_user(&thread, "Hello?", AT + 86_400_000);
        let (_, body) = ask(&mut world, &format!("chatbots/{bot}/threads"));
        let item = &body["data"]["threads"][0];
        assert_eq!(item["startedAt"], item["updatedAt"]);
        assert_eq!(item["startedAt"], item["endedAt"]);
        assert_eq!(item["totalMessages"], json!(2));
        let text = item["lastMessage"]["question"]["timestamp"].as_str().unwrap_or_default();
        assert!(text.starts_with("2026-01-03T03:04:05.678") && text.len() == 27, "{text}");
    }

    #[test]
    fn one_thread_is_whole_and_its_user_comes_on_request() {
        let (mut world, bot) = account(1);
        let thread = world.data.threads[0].id.clone();
        world.data.identify(&thread, Some("Ada Quill"), None, Some("+1 202 555 0143"));
        let target = format!("chatbots/{bot}/threads/{thread}");
        let (_, plain) = ask(&mut world, &target);
        assert_eq!(plain["data"]["thread"]["chatUser"], Value::Null);
        assert!(plain["data"]["thread"]["webhookToken"].is_string());
        assert_eq!(plain["data"]["thread"]["messages"][0]["messageId"].as_str().map(str::len), Some(18));
        let (_, full) = ask(&mut world, &format!("{target}?includeChatUser=true"));
        assert_eq!(full["data"]["thread"]["chatUser"]["phoneNumber"], json!("+1 202 555 0143"));
        assert_eq!(world.count("/api/v0/chatbots/{id}/threads/{id}"), 2);
    }

    #[test]
    fn refusals_carry_the_documented_codes() {
        let (mut world, bot) = account(1);
        let code = |answer: (u16, Value)| (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default().to_owned());
        let wrong = probe::ask(&mut world, "/api/v0/chatbots", ("authorization", "sitegpt-key"));
        assert_eq!(code(wrong), (401, "API_KEY_NOT_VALID".to_owned()));
        assert_eq!(code(ask(&mut world, "chatbots/9/threads")), (404, "CHATBOT_NOT_FOUND".to_owned()));
        world.forbid(&format!("/api/v0/chatbots/{bot}"));
        assert_eq!(
            code(ask(&mut world, &format!("chatbots/{bot}/threads"))),
            (403, "CHATBOT_FETCH_FORBIDDEN".to_owned())
        );
    }

    #[test]
    fn the_truth_splits_rows_into_halves() {
        let (mut world, bot) = account(1);
        let thread = world.data.threads[0].id.clone();
        let event = world.data.add_system(&thread, "CONVERSATION_ESCALATED", "A human was called", AT + 5);
        let said = world.data.add_agent(&thread, "Noor", "Hello", AT + 6);
        let truth = world.data.truth();
        let conversation = format!("{bot}/{thread}");
        let kind = |id: String| truth.messages.get(&(conversation.clone(), id)).map(|message| message.author_kind);
        assert_eq!(truth.messages.len(), 4);
        assert_eq!(kind(format!("{event}:a")), Some(AuthorKind::System));
        assert_eq!(kind(format!("{said}:a")), Some(AuthorKind::Agent));
        assert_eq!(kind(format!("{said}:q")), None);
        assert_eq!(truth.conversations[&conversation].escalated, Some(true));
    }
}
