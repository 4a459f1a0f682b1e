//! A simulated Brilliant Directories site (`/api/v2`): its data, how tests build it, and how it may behave.

mod data;
mod query;
mod serve;
mod table;
mod truth;

pub(in crate::sim) use data::escape;
pub use data::{BdData, BdMessage, BdThread, BdUser, Overrides};
pub use query::{page_token, read_page_token};

/// What an empty result looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyShape {
    /// `message: []`, `total: 0` as a number, `current_page` 1.
    #[default]
    Array,
    /// The same with `current_page` 0.
    ArrayPageZero,
    /// `{"status":"error","message":"<table> not found"}` with status 200.
    NotFoundError,
    /// `message: null`.
    NullMessage,
    /// `message: false`.
    FalseMessage,
}

/// What comes of asking for a user by `token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenLookup {
    /// The user is found (the row does not show the token).
    Works,
    /// An unknown column: success without rows.
    #[default]
    NoColumn,
    /// The filter is ignored: every user comes back.
    Ignored,
}

/// Behaviour that differs between sites and builds, or that the pages leave open.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, set one by one in tests")]
pub struct BdQuirks {
    pub empty: EmptyShape,
    /// A last page without a token. Off by default: `next_page` is filled on the last page too.
    pub next_page_ends: bool,
    /// Filters are accepted and do nothing.
    pub ignore_filters: bool,
    /// Operators of older builds that do nothing (`gt`): every row comes back.
    pub dead_operators: Vec<&'static str>,
    /// Operators that no row matches.
    pub blind_operators: Vec<&'static str>,
    /// Sorting is accepted and does nothing.
    pub ignore_order: bool,
    /// An unknown `order_column` gives unsorted rows instead of an error.
    pub bad_order_is_ignored: bool,
    /// `property[]` filters work. Off by default: they do nothing.
    pub compound_filters: bool,
    /// Limits below this are raised to it (one client documents a floor of 20).
    pub limit_floor: u64,
    /// Primary keys and totals as JSON numbers.
    pub numbers: bool,
    pub token_lookup: TokenLookup,
    /// User rows carry password hash, token and cookie.
    pub leak_secrets: bool,
    /// `site_info/get` wraps its object into an array.
    pub site_info_in_array: bool,
    /// Times as ISO with `+00:00` instead of 14 digits.
    pub iso_times: bool,
}
