//! A simulated Zaia workspace (`/api/v1`): its data, how tests build it, and how it may behave.

mod data;
mod params;
mod serve;
mod shape;
mod truth;

pub use data::{ZaiaChannel, ZaiaChat, ZaiaData, ZaiaIdentity, ZaiaMessage, ZaiaThread};

/// The order of `/chats`, which no page tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListOrder {
    Insertion,
    ById,
    LastMessageAsc,
    /// Rows move while a reader pages: the hardest case, hence the default.
    #[default]
    LastMessageDesc,
}

/// How the `pagination` object of `/chat-messages` is written in the query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaginationEncoding {
    /// `pagination[limit]=1000`
    #[default]
    Brackets,
    /// `pagination={"limit":1000}`
    Json,
    /// `limit=1000`
    Plain,
    /// There is no such parameter in this revision.
    None,
}

/// What comes of a `pagination` in another encoding, or of an unknown join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsupported {
    #[default]
    Ignored,
    /// Status 400.
    Rejected,
}

/// Which end of a chat a limited list keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeps {
    #[default]
    Newest,
    Oldest,
}

/// Behaviour that the pages leave open.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, set one by one in tests")]
pub struct ZaiaQuirks {
    /// The key must come as `Bearer <key>`; otherwise it must come raw.
    pub bearer: bool,
    pub order: ListOrder,
    /// The most rows a page of a list has, whatever is asked for; 0 means what was asked for.
    pub page_cap: usize,
    /// Window bounds are exclusive.
    pub window_exclusive: bool,
    /// The window parameters do nothing.
    pub ignore_window: bool,
    /// `/chats` and details list removed chats.
    pub list_removed: bool,
    /// `GET /chats/{id}` answers 404 for a removed chat.
    pub removed_is_404: bool,
    /// `/chats` leaves out chats without a channel.
    pub hide_channelless: bool,
    pub pagination: PaginationEncoding,
    pub unsupported: Unsupported,
    pub keeps: Keeps,
    /// A smaller limit of messages is raised to this without a word; 0 and 1 mean that none is.
    pub least_limit: usize,
    /// Messages newest first.
    pub newest_first: bool,
    /// Messages of side threads are left out unless asked for by `chatThreadId`.
    pub hide_threaded: bool,
    /// `joins=senders` does what [`Unsupported`] says.
    pub no_joins: bool,
    /// Details and responder lists name super identity ids where else they name the entity's own id.
    pub details_name_super_identities: bool,
    /// The channel's type stands in `detail` instead of beside it.
    pub channel_type_in_detail: bool,
    /// Served at `/openapi`; 404 without one.
    pub openapi: Option<serde_json::Value>,
}
