//! The endpoints of `/api/v1`.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::data::{ZaiaChat, ZaiaData, ZaiaMessage};
use super::params::{Told, bad, date_time, error, is_uuid, not_found, page, required_uuid, uuids, wanted};
use super::shape::thread_json;
use super::{Keeps, ListOrder, Unsupported};
use crate::sim::wire::{Answer, RequestInfo};
use crate::sim::world::Site;

impl Site for ZaiaData {
    fn endpoint(&self, request: &RequestInfo) -> String {
        let parts = request.segments.iter().map(|part| if is_uuid(part) { "{id}" } else { part });
        parts.fold(String::new(), |path, part| path + "/" + part)
    }

    fn refuse(&self, request: &RequestInfo) -> Option<Answer> {
        let sent = request.header("authorization").unwrap_or_default();
        let key = if self.quirks.bearer { sent.strip_prefix("Bearer ") } else { Some(sent) };
        let public = request.parts().as_slice() == ["openapi"];
        (!public && key != Some(self.key.as_str())).then(|| error(401, "unauthorized", "Unauthorized"))
    }

    fn forbidden(&self, _: &RequestInfo) -> Answer {
        error(403, "forbidden", "Forbidden")
    }

    fn too_many(&self, _: &RequestInfo) -> Answer {
        error(429, "too-many-requests", "Too many requests")
    }

    fn answer(&self, request: &RequestInfo) -> Answer {
        if request.method != "GET" {
            return error(405, "method-not-allowed", "Method not allowed");
        }
        let parts = request.parts();
        let answer = match parts.as_slice() {
            ["openapi"] => self.quirks.openapi.as_ref().map_or_else(not_found, |spec| Ok(json!(spec))),
            ["api", "v1", rest @ ..] => self.endpoints(rest, request),
            _ => not_found(),
        };
        match answer {
            Ok(body) => Answer::json(200, &body),
            Err(answer) => *answer,
        }
    }
}

impl ZaiaData {
    fn endpoints(&self, rest: &[&str], request: &RequestInfo) -> Told {
        let identities = |entity: &'static str| self.identities.iter().filter(move |one| one.entity == entity);
        match rest {
            ["chats"] => self.chats(request),
            ["chats", "details"] => self.details(request),
            ["chats", id] => self.chat(id).map(|chat| self.chat_json(chat)),
            ["chats", id, "details"] => self.chat(id).map(|chat| self.details_json(chat)),
            ["chat-messages"] => self.messages(request),
            ["chat-threads"] => {
                let chat = self.chat(required_uuid(request, "chatId")?)?;
                page(
                    request,
                    self.quirks.page_cap,
                    self.threads.iter().filter(|thread| thread.chat == chat.id),
                    thread_json,
                )
            }
            ["chat-message-follow-ups"] => {
                page(request, self.quirks.page_cap, std::iter::empty::<()>(), |()| Value::Null)
            }
            ["channels"] => {
                page(request, self.quirks.page_cap, self.channels.iter(), |channel| self.channel_json(channel))
            }
            ["external-users"] => {
                let channels = uuids(request, "channelIds")?;
                let ids = uuids(request, "superIdentityIds")?;
                let users = identities("externalUsers")
                    .filter(|user| wanted(&channels, user.channel.as_deref()))
                    .filter(|user| wanted(&ids, Some(&user.super_identity_id)));
                page(request, self.quirks.page_cap, users, |user| self.external_user_json(user))
            }
            ["super-identities", "responders"] => {
                let entities = request.all("responderEntities");
                let all = self.identities.iter().filter(|one| {
                    matches!(one.entity.as_str(), "agents" | "squads" | "workflows")
                        && wanted(&entities, Some(&one.entity))
                });
                page(request, self.quirks.page_cap, all, |one| self.responder_json(one))
            }
            ["agents"] => page(request, self.quirks.page_cap, identities("agents"), |one| self.entity_json(one)),
            ["squads"] => page(request, self.quirks.page_cap, identities("squads"), |one| self.entity_json(one)),
            _ => not_found(),
        }
    }

    fn chat(&self, id: &str) -> Result<&ZaiaChat, Box<Answer>> {
        if !is_uuid(id) {
            return bad("id must be a uuid");
        }
        let found = self.chats.iter().find(|chat| chat.id == id && !(chat.removed && self.quirks.removed_is_404));
        found.ok_or_else(|| Box::new(error(404, "chat-not-found", "Chat not found")))
    }

    fn chats(&self, request: &RequestInfo) -> Told {
        let kinds = request.all("channelTypes");
        if kinds.iter().any(|kind| !matches!(*kind, "widget" | "waha" | "whatsapp" | "instagram" | "api")) {
            return bad("channelTypes");
        }
        let owners = uuids(request, "ownerIds")?;
        let from = date_time(request, "lastChatMessageCreatedAtStart")?;
        let to = date_time(request, "lastChatMessageCreatedAtEnd")?;
        let kind_of = |chat: &ZaiaChat| {
            let id = chat.channel.as_ref()?;
            self.channels.iter().find(|channel| channel.id == *id).map(|channel| channel.kind.as_str())
        };
        let in_window = |chat: &ZaiaChat| {
            if self.quirks.ignore_window || (from.is_none() && to.is_none()) {
                return true;
            }
            let exclusive = self.quirks.window_exclusive;
            chat.last_message_ms.is_some_and(|at| {
                from.is_none_or(|from| if exclusive { at > from } else { at >= from })
                    && to.is_none_or(|to| if exclusive { at < to } else { at <= to })
            })
        };
        let mut chats = self.listed(request)?;
        chats.retain(|chat| {
            (chat.channel.is_some() || !self.quirks.hide_channelless)
                && (kinds.is_empty() || wanted(&kinds, kind_of(chat)))
                && wanted(&owners, Some(&chat.owner))
                && in_window(chat)
        });
        page(request, self.quirks.page_cap, chats.into_iter(), |chat| self.chat_json(chat))
    }

    fn details(&self, request: &RequestInfo) -> Told {
        // No window, no owners and no channel types here: unknown parameters do nothing.
        page(request, self.quirks.page_cap, self.listed(request)?.into_iter(), |chat| self.details_json(chat))
    }

    /// Chats in the list's order, with the filters that both lists share.
    fn listed(&self, request: &RequestInfo) -> Result<Vec<&ZaiaChat>, Box<Answer>> {
        let channels = uuids(request, "channelIds")?;
        let responders = uuids(request, "responderIds")?;
        let search = request.first("search").unwrap_or_default().to_lowercase();
        let found = |chat: &ZaiaChat| {
            let owner = self.identity(&chat.owner).and_then(|owner| owner.name.as_deref());
            [chat.title.as_deref(), owner].into_iter().flatten().any(|text| text.to_lowercase().contains(&search))
        };
        let mut chats: Vec<&ZaiaChat> = self
            .chats
            .iter()
            .filter(|chat| !chat.removed || self.quirks.list_removed)
            .filter(|chat| wanted(&channels, chat.channel.as_deref()))
            .filter(|chat| wanted(&responders, Some(&chat.responder)))
            .filter(|chat| search.is_empty() || found(chat))
            .collect();
        match self.quirks.order {
            ListOrder::Insertion => {}
            ListOrder::ById => chats.sort_by(|a, b| a.id.cmp(&b.id)),
            ListOrder::LastMessageAsc => chats.sort_by_key(|chat| chat.last_message_ms),
            ListOrder::LastMessageDesc => chats.sort_by_key(|chat| Reverse(chat.last_message_ms)),
        }
        Ok(chats)
    }

    fn messages(&self, request: &RequestInfo) -> Told {
        let id = required_uuid(request, "chatId")?;
        let thread = uuids(request, "chatThreadId")?;
        let limit = self.limit(request)?;
        let mut with_sender = false;
        for join in request.all("joins").into_iter().chain(request.all("joins[]")) {
            match join {
                "senders" | "chat-message-follow-ups" if !self.quirks.no_joins => with_sender |= join == "senders",
                _ if self.quirks.unsupported == Unsupported::Ignored && self.quirks.no_joins => {}
                _ => return bad("joins"),
            }
        }
        let chat = self.chat(id)?;
        let mut messages: Vec<&ZaiaMessage> = self
            .messages
            .iter()
            .filter(|message| message.chat == chat.id)
            .filter(|message| {
                let plain = message.thread.is_none() || !self.quirks.hide_threaded;
                if thread.is_empty() { plain } else { wanted(&thread, message.thread.as_deref()) }
            })
            .collect();
        messages.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        match self.quirks.keeps {
            Keeps::Newest => drop(messages.drain(..messages.len().saturating_sub(limit))),
            Keeps::Oldest => messages.truncate(limit),
        }
        if self.quirks.newest_first {
            messages.reverse();
        }
        Ok(messages.into_iter().map(|message| self.message_json(message, with_sender)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Keeps, PaginationEncoding, Unsupported, ZaiaData};
    use crate::model::AuthorKind;
    use crate::sim::World;
    use crate::sim::probe;

    const AT: i64 = 1_767_323_045_000; // 2026-01-02T03:04:05Z

    fn ask(world: &mut World<ZaiaData>, target: &str) -> (u16, Value) {
        probe::ask(world, &format!("/api/v1/{target}"), ("authorization", "zaia-key"))
    }

    fn len(answer: &(u16, Value)) -> usize {
        answer.1.as_array().map_or(0, Vec::len)
    }

    /// A workspace with one chat of so many messages.
    fn workspace(messages: i64) -> (World<ZaiaData>, String) {
        let mut data = ZaiaData::new();
        let channel = data.add_channel("whatsapp", "Front desk");
        let (agent, owner) = (data.add_agent("Iris"), data.add_external_user(&channel, Some("12025550143"), None));
        let chat = data.add_chat(Some(&channel), &owner, &agent, AT);
        for n in 0..messages {
            data.add_message(&chat, "user", Some(&owner), AT + n * 1000, &n.to_string());
        }
        (World::new(data), chat)
    }

    #[test]
    fn lists_are_bare_arrays_of_ten_and_pages_have_limits() {
        let (mut world, _) = workspace(0);
        for n in 0..14 {
            let owner = world.data.chats[0].owner.clone();
            world.data.add_chat(None, &owner, &owner, AT + n);
        }
        assert_eq!(len(&ask(&mut world, "chats")), 10);
        assert_eq!(len(&ask(&mut world, "chats?pageNumber=2")), 5);
        assert_eq!(len(&ask(&mut world, "chats?pageSize=100")), 15);
        assert_eq!(ask(&mut world, "chats?pageSize=101").0, 400);
        assert_eq!(ask(&mut world, "chats?pageNumber=0").0, 400);
        assert_eq!(len(&ask(&mut world, "chats?channelTypes=whatsapp&channelTypes=widget")), 1);
    }

    #[test]
    fn the_window_includes_its_bounds_and_leaves_out_chats_without_messages() {
        let (mut world, _) = workspace(1);
        let owner = world.data.chats[0].owner.clone();
        world.data.add_chat(None, &owner, &owner, AT);
        let window = "chats?lastChatMessageCreatedAtStart=2026-01-02T03:04:05.000Z\
                      &lastChatMessageCreatedAtEnd=2026-01-02T03:04:05.000Z";
        assert_eq!(len(&ask(&mut world, window)), 1);
        assert_eq!(len(&ask(&mut world, "chats")), 2);
        world.data.quirks.window_exclusive = true;
        assert_eq!(len(&ask(&mut world, window)), 0);
        world.data.quirks.ignore_window = true;
        assert_eq!(len(&ask(&mut world, window)), 2);
        assert_eq!(ask(&mut world, "chats?lastChatMessageCreatedAtStart=yesterday").0, 400);
    }

    #[test]
    fn a_message_list_is_limited_by_the_one_encoding_that_works() {
        let (mut world, chat) = workspace(1_200);
        let plain = format!("chat-messages?chatId={chat}");
        assert_eq!(len(&ask(&mut world, &plain)), 250);
        let encodings = [
            (PaginationEncoding::Brackets, "pagination%5Blimit%5D=1000"),
            (PaginationEncoding::Json, "pagination=%7B%22limit%22%3A1000%7D"),
            (PaginationEncoding::Plain, "limit=1000"),
        ];
        for (encoding, query) in encodings {
            world.data.quirks.pagination = encoding;
            assert_eq!(len(&ask(&mut world, &format!("{plain}&{query}"))), 1000);
            assert_eq!(ask(&mut world, &format!("{plain}&{query}").replace("1000", "1001")).0, 400);
            world.data.quirks.pagination = PaginationEncoding::None;
            assert_eq!(len(&ask(&mut world, &format!("{plain}&{query}"))), 250);
            world.data.quirks.unsupported = Unsupported::Rejected;
            assert_eq!(ask(&mut world, &format!("{plain}&{query}")).0, 400);
            world.data.quirks.unsupported = Unsupported::Ignored;
        }
    }

    #[test]
    fn which_end_is_kept_and_in_which_order_are_separate_questions() {
        let (mut world, chat) = workspace(300);
        let target = format!("chat-messages?chatId={chat}");
        let ends = |world: &mut World<ZaiaData>| {
            let (_, list) = ask(world, &target);
            (list[0]["content"].clone(), list[249]["content"].clone())
        };
        assert_eq!(ends(&mut world), (json!("50"), json!("299")));
        world.data.quirks.newest_first = true;
        assert_eq!(ends(&mut world), (json!("299"), json!("50")));
        world.data.quirks.keeps = Keeps::Oldest;
        assert_eq!(ends(&mut world), (json!("249"), json!("0")));
    }

    #[test]
    fn side_threads_are_listed_and_may_be_hidden_from_the_plain_list() {
        let (mut world, chat) = workspace(2);
        let hung_on = world.data.messages[0].id.clone();
        let thread = world.data.add_thread(&chat, &hung_on, AT);
        let inner = world.data.add_message(&chat, "assistant", None, AT + 9000, "aside");
        world.data.change_message(&inner, |message| message.thread = Some(thread.clone()));
        let plain = format!("chat-messages?chatId={chat}");
        assert_eq!(len(&ask(&mut world, &plain)), 3);
        world.data.quirks.hide_threaded = true;
        assert_eq!(len(&ask(&mut world, &plain)), 2);
        assert_eq!(len(&ask(&mut world, &format!("{plain}&chatThreadId={thread}"))), 1);
        assert_eq!(len(&ask(&mut world, &format!("chat-threads?chatId={chat}"))), 1);
    }

    #[test]
    fn a_removed_chat_is_hidden_and_shown_by_its_id_or_not() {
        let (mut world, chat) = workspace(1);
        world.data.remove_chat(&chat, AT + 5);
        assert_eq!(len(&ask(&mut world, "chats")), 0);
        assert_eq!(ask(&mut world, &format!("chats/{chat}")).1["isRemoved"], json!(true));
        world.data.quirks.removed_is_404 = true;
        assert_eq!(ask(&mut world, &format!("chats/{chat}")).0, 404);
        assert_eq!(ask(&mut world, &format!("chat-messages?chatId={chat}")).0, 404);
        world.data.quirks.list_removed = true;
        assert_eq!(len(&ask(&mut world, "chats")), 1);
        assert!(world.data.truth().conversations[&chat].deleted);
    }

    #[test]
    fn the_key_comes_raw_unless_the_workspace_wants_bearer() {
        let (mut world, _) = workspace(0);
        let bearer = ("authorization", "Bearer zaia-key");
        let (status, body) = probe::ask(&mut world, "/api/v1/chats", bearer);
        assert_eq!((status, body["code"].clone()), (401, json!("unauthorized")));
        world.data.quirks.bearer = true;
        assert_eq!(probe::ask(&mut world, "/api/v1/chats", bearer).0, 200);
        assert_eq!(ask(&mut world, "chats").0, 401);
    }

    #[test]
    fn senders_are_joined_and_the_truth_knows_who_is_who() {
        let (mut world, chat) = workspace(1);
        let human = world.data.add_user("Noor Vale", "noor@example.test");
        let said = world.data.add_message(&chat, "attendant", Some(&human), AT + 1, "I take over");
        let (_, list) = ask(&mut world, &format!("chat-messages?chatId={chat}&joins=senders"));
        assert_eq!(list[1]["sender"]["name"], json!("Noor Vale"));
        assert_eq!(world.data.truth().messages[&(chat.clone(), said)].author_kind, AuthorKind::Agent);
        let (_, details) = ask(&mut world, "chats/details");
        assert_ne!(
            details[0]["ownerId"],
            json!(world.data.chats[0].owner),
            "details name the entity, not the identity"
        );
        assert_eq!(world.count("/api/v1/chats/details"), 1);
    }
}
