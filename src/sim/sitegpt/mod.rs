//! A simulated SiteGPT account, served as `/api/v0` and `/api/v2` over one set of data.

mod data;
mod serve;
mod shape;
mod truth;
mod v0;
mod v2;

pub use data::{ChatUser, Chatbot, Exchange, MessageType, Side, SitegptData, Thread};

/// How the v0 thread list treats `page` and `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum V0List {
    /// Parameters do nothing: every thread in one answer.
    All,
    /// `page` (default 1) and `limit` (default 20, at most 100) work.
    #[default]
    Paged,
    /// Parameters do nothing and only the first 20 threads come.
    Capped,
}

/// Where v2 tells the next cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CursorPlace {
    /// `data.pagination {limit,hasNextPage,nextCursor}`
    #[default]
    Data,
    /// `meta.nextCursor`
    Meta,
}

/// By what v2 sorts conversations, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum V2Order {
    /// Conversations with news move to the front while a reader pages.
    #[default]
    Activity,
    Started,
}

/// Behaviour that the pages leave open.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, set one by one in tests")]
pub struct SitegptQuirks {
    pub v0_list: V0List,
    /// The v0 list runs newest first instead of oldest first.
    pub v0_newest_first: bool,
    /// v0 times are truthful. Off by default: `startedAt`, `updatedAt` and `endedAt` are all the start, for ever.
    pub v0_true_times: bool,
    /// v0 names a user's number `phone` instead of `phoneNumber`.
    pub v0_phone_key: bool,
    /// One thread shows its user without `includeChatUser=true`.
    pub v0_user_always: bool,
    /// v0 messages carry `agentName`.
    pub v0_agent_names: bool,
    /// `systemMessageType` is null outside system messages, instead of noise.
    pub clean_system_type: bool,
    /// Keys whose value is null are left out.
    pub omit_nulls: bool,
    pub cursor: CursorPlace,
    pub v2_order: V2Order,
    /// v2 answers pages shorter than the limit although more follows.
    pub v2_short_pages: bool,
}
