//! Chats, messages and identities of a simulated Zaia workspace, and the builders that tests use.

use super::ZaiaQuirks;
use crate::sim::rng::uuid;

/// Somebody or something with a super identity: external users, platform users, agents, squads, workflows.
#[derive(Debug, Clone)]
pub struct ZaiaIdentity {
    /// The entity's own id.
    pub id: String,
    pub super_identity_id: String,
    /// `externalUsers`, `users`, `agents`, `squads` or `workflows`.
    pub entity: String,
    pub name: Option<String>,
    /// External users: a user name, an e-mail address or a phone number, as the channel has it.
    pub identifier: Option<String>,
    /// Platform users.
    pub email: Option<String>,
    /// External users: their channel.
    pub channel: Option<String>,
    pub blocked: bool,
    pub created_ms: i64,
}

/// A channel.
#[derive(Debug, Clone)]
pub struct ZaiaChannel {
    pub id: String,
    /// `widget`, `waha`, `whatsapp`, `instagram` or `api`.
    pub kind: String,
    pub name: String,
    pub created_ms: i64,
}

/// A chat.
#[derive(Debug, Clone)]
pub struct ZaiaChat {
    pub id: String,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub removed: bool,
    pub channel: Option<String>,
    /// Super identity id.
    pub owner: String,
    /// Super identity id.
    pub responder: String,
    pub current_responder: Option<String>,
    pub title: Option<String>,
    /// Served as it stands; [`ZaiaData::add_message`] moves it forward.
    pub last_message_ms: Option<i64>,
}

/// A message.
#[derive(Debug, Clone)]
pub struct ZaiaMessage {
    pub id: String,
    pub chat: String,
    pub thread: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub content: String,
    pub external_id: Option<String>,
    /// The raw assistant text, where it differs.
    pub raw_content: Option<String>,
    /// The enum's values are not documented: any text.
    pub role: String,
    /// Super identity id.
    pub sender: Option<String>,
}

/// A side thread below a message.
#[derive(Debug, Clone)]
pub struct ZaiaThread {
    pub id: String,
    pub chat: String,
    pub message: String,
    pub created_ms: i64,
}

/// Everything that one simulated workspace holds.
#[derive(Debug, Clone)]
pub struct ZaiaData {
    pub key: String,
    pub workspace: String,
    pub channels: Vec<ZaiaChannel>,
    pub identities: Vec<ZaiaIdentity>,
    pub chats: Vec<ZaiaChat>,
    pub messages: Vec<ZaiaMessage>,
    pub threads: Vec<ZaiaThread>,
    pub quirks: ZaiaQuirks,
    /// What was removed for good, kept for `truth()` alone.
    pub gone_chats: Vec<ZaiaChat>,
    /// See `gone_chats`.
    pub gone_messages: Vec<ZaiaMessage>,
    next: u64,
}

impl Default for ZaiaData {
    fn default() -> Self {
        Self::new()
    }
}

impl ZaiaData {
    /// An empty workspace with the key `zaia-key`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: "zaia-key".to_owned(),
            workspace: uuid(0x3A1A),
            channels: Vec::new(),
            identities: Vec::new(),
            chats: Vec::new(),
            messages: Vec::new(),
            threads: Vec::new(),
            quirks: ZaiaQuirks::default(),
            gone_chats: Vec::new(),
            gone_messages: Vec::new(),
            next: 1,
        }
    }

    fn id(&mut self) -> String {
        self.next += 1;
        uuid(0x3A1A_0000_0000 ^ self.next)
    }

    /// Adds a channel and gives its id.
    pub fn add_channel(&mut self, kind: &str, name: &str) -> String {
        let id = self.id();
        let channel = ZaiaChannel { id: id.clone(), kind: kind.to_owned(), name: name.to_owned(), created_ms: 0 };
        self.channels.push(channel);
        id
    }

    /// Adds an identity of any entity and gives its super identity id.
    pub fn add_identity(&mut self, entity: &str, name: Option<&str>) -> String {
        let (id, super_identity_id) = (self.id(), self.id());
        self.identities.push(ZaiaIdentity {
            id,
            super_identity_id: super_identity_id.clone(),
            entity: entity.to_owned(),
            name: name.map(str::to_owned),
            identifier: None,
            email: None,
            channel: None,
            blocked: false,
            created_ms: 0,
        });
        super_identity_id
    }

    /// Adds an agent (software) and gives its super identity id.
    pub fn add_agent(&mut self, name: &str) -> String {
        self.add_identity("agents", Some(name))
    }

    /// Adds a platform user (a human who answers) and gives the super identity id.
    pub fn add_user(&mut self, name: &str, email: &str) -> String {
        let id = self.add_identity("users", Some(name));
        self.change_identity(&id, |identity| identity.email = Some(email.to_owned()));
        id
    }

    /// Adds an external user and gives the super identity id.
    pub fn add_external_user(&mut self, channel: &str, identifier: Option<&str>, name: Option<&str>) -> String {
        let id = self.add_identity("externalUsers", name);
        self.change_identity(&id, |identity| {
            identity.identifier = identifier.map(str::to_owned);
            identity.channel = Some(channel.to_owned());
        });
        id
    }

    /// Changes an identity, found by its super identity id.
    pub fn change_identity(&mut self, super_identity_id: &str, change: impl FnOnce(&mut ZaiaIdentity)) {
        if let Some(found) = self.identities.iter_mut().rfind(|one| one.super_identity_id == super_identity_id) {
            change(found);
        }
    }

    /// Adds a chat without messages and gives its id.
    pub fn add_chat(&mut self, channel: Option<&str>, owner: &str, responder: &str, at_ms: i64) -> String {
        let id = self.id();
        self.chats.push(ZaiaChat {
            id: id.clone(),
            created_ms: at_ms,
            updated_ms: at_ms,
            removed: false,
            channel: channel.map(str::to_owned),
            owner: owner.to_owned(),
            responder: responder.to_owned(),
            current_responder: None,
            title: None,
            last_message_ms: None,
        });
        id
    }

    /// Changes a chat in any way.
    pub fn change_chat(&mut self, id: &str, change: impl FnOnce(&mut ZaiaChat)) {
        if let Some(chat) = self.chats.iter_mut().rfind(|chat| chat.id == id) {
            change(chat);
        }
    }

    /// Adds a message and moves its chat's times forward. Gives its id.
    pub fn add_message(&mut self, chat: &str, role: &str, sender: Option<&str>, at_ms: i64, content: &str) -> String {
        let id = self.id();
        self.messages.push(ZaiaMessage {
            id: id.clone(),
            chat: chat.to_owned(),
            thread: None,
            created_ms: at_ms,
            updated_ms: at_ms,
            content: content.to_owned(),
            external_id: None,
            raw_content: None,
            role: role.to_owned(),
            sender: sender.map(str::to_owned),
        });
        self.change_chat(chat, |chat| {
            chat.last_message_ms = chat.last_message_ms.max(Some(at_ms));
            chat.updated_ms = chat.updated_ms.max(at_ms);
        });
        id
    }

    /// Adds a side thread below a message and gives its id.
    pub fn add_thread(&mut self, chat: &str, message: &str, at_ms: i64) -> String {
        let id = self.id();
        let (chat, message) = (chat.to_owned(), message.to_owned());
        self.threads.push(ZaiaThread { id: id.clone(), chat, message, created_ms: at_ms });
        id
    }

    /// Changes a message in any way.
    pub fn change_message(&mut self, id: &str, change: impl FnOnce(&mut ZaiaMessage)) {
        if let Some(message) = self.messages.iter_mut().rfind(|message| message.id == id) {
            change(message);
        }
    }

    /// Changes what a message says; its `updatedAt` moves, its chat's times do not.
    pub fn edit_message(&mut self, id: &str, at_ms: i64, content: &str) {
        self.change_message(id, |message| {
            content.clone_into(&mut message.content);
            message.updated_ms = at_ms;
        });
    }

    /// Flags a chat as removed.
    pub fn remove_chat(&mut self, id: &str, at_ms: i64) {
        self.change_chat(id, |chat| {
            chat.removed = true;
            chat.updated_ms = at_ms;
        });
    }

    /// Takes a chat and its messages away for good: 404 everywhere.
    pub fn purge_chat(&mut self, id: &str) {
        if let Some(index) = self.chats.iter().position(|chat| chat.id == id) {
            self.gone_chats.push(self.chats.remove(index));
        }
        let (gone, kept) = std::mem::take(&mut self.messages).into_iter().partition(|message| message.chat == id);
        self.messages = kept;
        self.gone_messages.extend::<Vec<_>>(gone);
    }

    /// Takes one message away for good.
    pub fn purge_message(&mut self, id: &str) {
        if let Some(index) = self.messages.iter().position(|message| message.id == id) {
            self.gone_messages.push(self.messages.remove(index));
        }
    }
}
