//! The records that Zaia documents (docs.zaia.app, api-reference-alpha), as far as chatloom uses them.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::normalise::lenient::{self, boolean, some_text, text, text_of};

/// `GET /chats`, `GET /chats/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat {
    #[serde(deserialize_with = "some_text")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) created_at: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) updated_at: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) last_chat_message_created_at: Option<String>,
    /// Soft removal.
    #[serde(default, deserialize_with = "boolean")]
    pub(super) is_removed: Option<bool>,
    #[serde(default, deserialize_with = "text")]
    pub(super) channel_id: Option<String>,
    /// Super identity id of a platform user or an external user.
    #[serde(default, deserialize_with = "text")]
    pub(super) owner_id: Option<String>,
    /// Super identity id of an agent or a squad.
    #[serde(default, deserialize_with = "text")]
    pub(super) responder_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) title: Option<String>,
}

/// `GET /chats/details`, `GET /chats/{id}/details`.
///
/// Its `ownerId` is described as the external user's id, not the super identity id of [`Chat::owner_id`], and the id
/// space of its `responderId` is open: neither is read. Only `id` joins it to a chat.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    #[serde(deserialize_with = "some_text")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) channel_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) channel_name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) channel_type: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) owner_name: Option<String>,
    /// Of an external user: what the channel knows it by.
    #[serde(default, deserialize_with = "text")]
    pub(super) owner_identifier: Option<String>,
    /// Of a platform user.
    #[serde(default, deserialize_with = "text")]
    pub(super) owner_email: Option<String>,
    /// `None`: the record has no such field; `Some(None)`: no ticket is linked.
    #[serde(default, deserialize_with = "stated")]
    pub(super) ticket_id: Option<Option<String>>,
}

/// `GET /channels`. Where the type stands is not documented.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Channel<'a> {
    #[serde(deserialize_with = "some_text")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    #[serde(default, borrow, rename = "type")]
    pub(super) kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) channel_type: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) detail: Option<&'a RawValue>,
}

impl Channel<'_> {
    /// The channel's type, wherever it stands.
    pub(super) fn type_word(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Detail<'a> {
            #[serde(default, borrow, rename = "type")]
            kind: Option<&'a RawValue>,
            #[serde(default, borrow)]
            channel_type: Option<&'a RawValue>,
        }
        let detail = self.detail.and_then(|raw| serde_json::from_str::<Detail<'_>>(raw.get()).ok());
        let inner = detail.map(|detail| [detail.kind, detail.channel_type]).into_iter().flatten();
        let words = [self.kind, self.channel_type].into_iter().chain(inner);
        words.flatten().find_map(|raw| text_of(raw).ok().flatten())
    }
}

/// `GET /super-identities/responders`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Responder {
    #[serde(default, deserialize_with = "text")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) super_identity_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
}

/// `GET /external-users`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalUser {
    #[serde(default, deserialize_with = "text")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "some_text")]
    pub(super) super_identity_id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    /// User name, e-mail address or phone number, whichever the channel uses.
    #[serde(default, deserialize_with = "text")]
    pub(super) identifier: Option<String>,
}

/// `GET /chat-messages`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(deserialize_with = "some_text")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) chat_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) chat_thread_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) created_at: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) updated_at: Option<String>,
    #[serde(default, deserialize_with = "verbatim")]
    pub(super) content: String,
    #[serde(default, borrow)]
    pub(super) role: Option<&'a RawValue>,
    /// Super identity id.
    #[serde(default, deserialize_with = "text")]
    pub(super) sender_id: Option<String>,
    /// How media are represented is not documented: these are guesses, read leniently.
    #[serde(default, borrow)]
    pub(super) attachments: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) files: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) media: Option<&'a RawValue>,
}

fn stated<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    text(from).map(Some)
}

fn verbatim<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    lenient::any_text(from)
}
