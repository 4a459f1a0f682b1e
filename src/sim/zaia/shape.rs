//! The JSON objects of the API.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::data::{ZaiaChannel, ZaiaChat, ZaiaData, ZaiaIdentity, ZaiaMessage, ZaiaThread};

/// `2026-01-02T10:00:00.000Z`
pub(super) fn date(ms: i64) -> Value {
    Timestamp::from_millisecond(ms).map_or(Value::Null, |at| json!(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()))
}

impl ZaiaData {
    pub(super) fn identity(&self, super_identity_id: &str) -> Option<&ZaiaIdentity> {
        self.identities.iter().find(|one| one.super_identity_id == super_identity_id)
    }

    fn shown_id<'a>(&self, super_identity_id: &'a str, identity: Option<&'a ZaiaIdentity>) -> &'a str {
        match identity {
            Some(identity) if !self.quirks.details_name_super_identities => &identity.id,
            _ => super_identity_id,
        }
    }

    pub(super) fn chat_json(&self, chat: &ZaiaChat) -> Value {
        json!({
            "id": chat.id, "createdAt": date(chat.created_ms), "updatedAt": date(chat.updated_ms),
            "isRemoved": chat.removed, "workspaceId": self.workspace, "channelId": chat.channel,
            "ownerId": chat.owner, "responderId": chat.responder, "currentResponderId": chat.current_responder,
            "lastChatMessageCreatedAt": chat.last_message_ms.map(date), "title": chat.title,
        })
    }

    pub(super) fn details_json(&self, chat: &ZaiaChat) -> Value {
        let mut messages: Vec<&ZaiaMessage> = self.messages.iter().filter(|message| message.chat == chat.id).collect();
        messages.sort_by_key(|message| std::cmp::Reverse(message.created_ms));
        let (last, before) = (messages.first(), messages.get(1));
        let preview = |message: Option<&&ZaiaMessage>| message.map(|m| m.content.chars().take(120).collect::<String>());
        let channel = chat.channel.as_ref().and_then(|id| self.channels.iter().find(|channel| channel.id == *id));
        let (owner, responder) = (self.identity(&chat.owner), self.identity(&chat.responder));
        json!({
            "id": chat.id, "createdAt": date(chat.created_ms), "isRemoved": chat.removed,
            "workspaceId": self.workspace, "title": chat.title, "channelId": chat.channel,
            "channelName": channel.map(|channel| &channel.name), "channelType": channel.map(|channel| &channel.kind),
            // Described as the external user's id, where /chats has the super identity's.
            "ownerId": self.shown_id(&chat.owner, owner),
            "ownerName": owner.and_then(|one| one.name.as_ref()),
            "ownerIdentifier": owner.and_then(|one| one.identifier.as_ref()),
            "ownerEmail": owner.and_then(|one| one.email.as_ref()),
            "isOwnerBlocked": owner.filter(|one| one.entity == "externalUsers").map(|one| one.blocked),
            "responderId": self.shown_id(&chat.responder, responder),
            "responderEntity": responder.map_or("agents", |one| one.entity.as_str()),
            "responderName": responder.and_then(|one| one.name.as_deref()).unwrap_or_default(),
            "responderPicture": null, "responderVersionId": null, "responderVersionNumber": null,
            "lastMessageContent": preview(last), "lastMessageCreatedAt": last.map(|m| date(m.created_ms)),
            "lastMessageRole": last.map(|m| &m.role),
            "penultimateMessageContent": preview(before),
            "penultimateMessageCreatedAt": before.map(|m| date(m.created_ms)),
            "penultimateMessageRole": before.map(|m| &m.role),
            "ticketId": null, "ticketStatus": null,
        })
    }

    pub(super) fn message_json(&self, message: &ZaiaMessage, with_sender: bool) -> Value {
        let mut out = Map::new();
        for (name, value) in [
            ("id", json!(message.id)),
            ("chatId", json!(message.chat)),
            ("chatThreadId", json!(message.thread)),
            ("createdAt", date(message.created_ms)),
            ("updatedAt", date(message.updated_ms)),
            ("content", json!(message.content)),
            ("rawContent", json!(message.raw_content)),
            ("externalId", json!(message.external_id)),
            ("role", json!(message.role)),
            ("senderId", json!(message.sender)),
        ] {
            out.insert(name.to_owned(), value);
        }
        if with_sender {
            let sender = message.sender.as_ref().and_then(|id| self.identity(id)).map(|identity| {
                json!({
                    "id": identity.super_identity_id, "entity": identity.entity, "name": identity.name,
                    "picture": null, "workspaceId": self.workspace,
                })
            });
            out.insert("sender".to_owned(), json!(sender));
        }
        Value::Object(out)
    }

    pub(super) fn channel_json(&self, channel: &ZaiaChannel) -> Value {
        let mut out = json!({
            "id": channel.id, "createdAt": date(channel.created_ms), "updatedAt": date(channel.created_ms),
            "isRemoved": false, "name": channel.name, "description": null, "prompt": null, "delay": 0,
            "detail": {}, "maxAssistantMessagesPerChatOwner": null, "responderId": null, "showSenderName": true,
            "status": "active", "useVoice": "never", "workspaceId": self.workspace,
        });
        let place = if self.quirks.channel_type_in_detail { out.get_mut("detail") } else { Some(&mut out) };
        if let Some(Value::Object(place)) = place {
            place.insert("type".to_owned(), json!(channel.kind));
        }
        out
    }

    pub(super) fn external_user_json(&self, user: &ZaiaIdentity) -> Value {
        json!({
            "id": user.id, "superIdentityId": user.super_identity_id, "channelId": user.channel,
            "identifier": user.identifier, "name": user.name, "externalId": null, "externalUserGroupId": null,
            "tierId": null, "blocked": user.blocked, "workspaceId": self.workspace,
            "createdAt": date(user.created_ms), "updatedAt": date(user.created_ms),
        })
    }

    /// An item of the responders' list, whose other fields are not documented.
    pub(super) fn responder_json(&self, one: &ZaiaIdentity) -> Value {
        json!({
            "entity": one.entity, "id": self.shown_id(&one.super_identity_id, Some(one)),
            "superIdentityId": one.super_identity_id, "name": one.name, "picture": null,
            "workspaceId": self.workspace,
        })
    }

    /// An item of `/agents` or `/squads`.
    pub(super) fn entity_json(&self, one: &ZaiaIdentity) -> Value {
        json!({
            "id": one.id, "superIdentityId": one.super_identity_id, "name": one.name, "workspaceId": self.workspace,
            "createdAt": date(one.created_ms), "updatedAt": date(one.created_ms),
        })
    }
}

pub(super) fn thread_json(thread: &ZaiaThread) -> Value {
    json!({
        "id": thread.id, "createdAt": date(thread.created_ms), "updatedAt": date(thread.created_ms),
        "chatId": thread.chat, "chatMessageId": thread.message,
    })
}
