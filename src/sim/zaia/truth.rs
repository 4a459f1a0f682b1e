//! What a perfect copy of a Zaia workspace holds.

use std::collections::BTreeMap;

use super::data::{ZaiaChat, ZaiaData, ZaiaMessage};
use crate::model::AuthorKind;
use crate::sim::truth::{TrueConversation, TrueMessage, Truth};

impl ZaiaData {
    /// What a perfect copy holds, of what is there and of what was removed through the builders.
    ///
    /// Messages beyond the newest or oldest 1,000 of a chat stand here too, although no request reaches them.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let mut truth = Truth::default();
        let chats: BTreeMap<&str, &ZaiaChat> =
            self.gone_chats.iter().chain(&self.chats).map(|chat| (chat.id.as_str(), chat)).collect();
        let bots: BTreeMap<&str, &str> = self
            .identities
            .iter()
            .map(|identity| (identity.super_identity_id.as_str(), identity.entity.as_str()))
            .collect();
        let gone = self.gone_chats.iter().map(|chat| (chat, true));
        for (chat, gone) in self.chats.iter().map(|chat| (chat, false)).chain(gone) {
            let told = TrueConversation { deleted: gone || chat.removed, escalated: None, title: chat.title.clone() };
            truth.conversations.insert(chat.id.clone(), told);
        }
        let gone = self.gone_messages.iter().map(|message| (message, true));
        for (message, deleted) in self.messages.iter().map(|message| (message, false)).chain(gone) {
            let told = TrueMessage {
                text: message.content.clone(),
                sent_at_ms: Some(message.created_ms),
                author_kind: author(message, chats.get(message.chat.as_str()).copied(), &bots),
                reaction: 0,
                deleted,
            };
            truth.put(&message.chat, message.id.clone(), told);
        }
        truth
    }
}

/// By role first, then by sender.
fn author(message: &ZaiaMessage, chat: Option<&ZaiaChat>, entities: &BTreeMap<&str, &str>) -> AuthorKind {
    match message.role.as_str() {
        "user" => return AuthorKind::Contact,
        "assistant" => return AuthorKind::Bot,
        _ => {}
    }
    let Some(sender) = message.sender.as_deref() else { return AuthorKind::Unknown };
    if chat.is_some_and(|chat| chat.owner == sender) {
        return AuthorKind::Contact;
    }
    match entities.get(sender).copied() {
        Some("agents" | "squads" | "workflows") => AuthorKind::Bot,
        Some("users") => AuthorKind::Agent,
        _ => AuthorKind::Unknown,
    }
}
