//! The rungs of the ladder: how a list is read so that no row is missed. Every rung is a plain state machine:
//! what to ask next, and what an answer means. No network, no store, no clock.
//!
//! A walk's state is saved with each committed page, so a killed run goes on from its last page.

mod anchored;
mod changes;
mod keyset;
mod overlap;
mod pages;
mod seam;
mod token;
mod window;

pub use anchored::Anchored;
pub use changes::Changes;
pub use keyset::Keyset;
pub use pages::Pages;
pub use token::Tokens;
pub use window::Windows;

use serde::{Deserialize, Serialize};

use crate::provider::{Ask, Page, Shape};

/// A list being read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "rung", rename_all = "snake_case")]
pub enum Walk {
    Keyset(Keyset),
    Changes(Changes),
    Anchored(Anchored),
    Tokens(Tokens),
    Pages(Pages),
    Windows(Windows),
}

/// A promise of the provider that an answer broke. The walk falls to the next rung.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Rows came that the question excludes.
    #[error("the provider ignores the filter")]
    Filter,
    /// Rows came out of order.
    #[error("the provider does not keep the order asked for")]
    Order,
    /// The answer moves nothing on: the same rows, or rows without ids, again.
    #[error("the provider sends the same page again")]
    Stalled,
    /// More went away between two requests than can be followed.
    #[error("the list shrinks faster than it can be read")]
    Shrinking,
}

impl Walk {
    /// Whether a list of this shape is read so.
    #[must_use]
    pub fn is_of(&self, shape: Shape) -> bool {
        match self {
            Self::Keyset(_) => shape == Shape::Ids,
            Self::Changes(_) => shape == Shape::Changes,
            Self::Anchored(_) => matches!(shape, Shape::Ids | Shape::Changes),
            Self::Tokens(_) => matches!(shape, Shape::Ids | Shape::Changes | Shape::Cursor),
            Self::Windows(_) => shape == Shape::Windows,
            Self::Pages(_) => shape == Shape::Pages,
        }
    }

    /// What to ask next; `None` at the end.
    #[must_use]
    pub fn ask(&self, limit: u32) -> Option<Ask> {
        match self {
            Self::Keyset(walk) => walk.ask(limit),
            Self::Changes(walk) => walk.ask(limit),
            Self::Anchored(walk) => walk.ask(limit),
            Self::Tokens(walk) => walk.ask(limit),
            Self::Pages(walk) => walk.ask(limit),
            Self::Windows(walk) => walk.ask(limit),
        }
    }

    /// Takes the answer to [`Walk::ask`] with the same `limit`.
    ///
    /// # Errors
    /// The provider broke a promise that this rung stands on.
    pub fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        match self {
            Self::Keyset(walk) => walk.take(page),
            Self::Changes(walk) => walk.take(page, limit),
            Self::Anchored(walk) => walk.take(page, limit),
            Self::Tokens(walk) => walk.take(page, limit),
            Self::Pages(walk) => walk.take(page, limit),
            Self::Windows(walk) => walk.take(page, limit),
        }
    }

    /// The greatest key read so far.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        match self {
            Self::Keyset(walk) => walk.newest(),
            Self::Changes(walk) => walk.newest(),
            Self::Anchored(walk) => walk.newest(),
            Self::Tokens(walk) => walk.newest(),
            Self::Pages(_) => None,
            Self::Windows(walk) => walk.newest(),
        }
    }

    /// When the walk began, where its keys are times. One that went on after a kill may have begun long ago, and what
    /// it passed by then may have had late company since.
    #[must_use]
    pub fn began_ms(&self) -> Option<i64> {
        match self {
            Self::Changes(walk) => Some(walk.began_ms()),
            Self::Anchored(walk) => walk.began_ms(),
            Self::Tokens(walk) => walk.began_ms(),
            Self::Windows(walk) => Some(walk.began_ms()),
            Self::Keyset(_) | Self::Pages(_) => None,
        }
    }

    /// Whether this rung stands on promises that an answer can break, so that a broken one is worth a second question.
    #[must_use]
    pub fn stands_on_promises(&self) -> bool {
        match self {
            Self::Keyset(_) | Self::Changes(_) | Self::Anchored(_) | Self::Windows(_) => true,
            Self::Tokens(_) | Self::Pages(_) => false,
        }
    }

    /// Forgets a place that the provider no longer knows, and begins anew. False if there is none, or if that was
    /// done before.
    pub fn start_over(&mut self) -> bool {
        match self {
            Self::Changes(walk) => walk.start_over(),
            Self::Anchored(walk) => walk.start_over(),
            Self::Tokens(walk) => walk.start_over(),
            Self::Keyset(_) | Self::Pages(_) | Self::Windows(_) => false,
        }
    }

    /// The name of the rung, as `status` shows it.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Keyset(_) | Self::Changes(_) => "keyset",
            Self::Anchored(_) => "anchored",
            Self::Tokens(walk) => walk.method(),
            Self::Windows(walk) if walk.is_plain_only() => "best_effort",
            Self::Pages(_) => "best_effort",
            Self::Windows(_) => "window",
        }
    }
}

/// The keys of a page in the order sent; rows without a key are dead letters and count for nothing here.
fn keys(page: &Page) -> impl Iterator<Item = i64> + '_ {
    page.records.iter().filter_map(|record| record.key)
}

/// Whether the provider says that nothing follows, and its own count does not contradict it.
fn ends_here(page: &Page) -> bool {
    let rows = page.records.len() as u64;
    page.last == Some(true) && page.total.is_none_or(|total| rows >= total)
}

/// Whether the provider says that more rows answer the question than the page holds.
fn promises_more(page: &Page) -> bool {
    let rows = page.records.len() as u64;
    page.total.map_or(page.last == Some(false), |total| total > rows)
}

/// How many rows the provider says to follow a page's own.
fn left_behind(page: &Page) -> Option<u64> {
    page.total.map(|total| total.saturating_sub(page.records.len() as u64))
}

/// What an answer without rows is worth, given what the page before it promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Promise {
    /// No more rows were promised.
    #[default]
    None,
    /// The page before said that there are more.
    Made,
    /// The answer after it had none: the question is put once more.
    Doubted,
    /// Twice none: an unfiltered question must tell.
    Broken,
}

impl Promise {
    /// Takes a page with rows.
    fn after(page: &Page) -> Self {
        if promises_more(page) { Self::Made } else { Self::None }
    }

    /// Takes an answer without rows. Whether it is to be asked for again.
    fn doubts(&mut self) -> bool {
        *self = match self {
            Self::None => Self::None,
            Self::Made => Self::Doubted,
            Self::Doubted | Self::Broken => Self::Broken,
        };
        *self == Self::Doubted
    }
}

/// A stable 64-bit form of an id or a token, so that sets of them stay small.
fn short(text: &str) -> i64 {
    crate::model::Hasher::of_bytes(text.as_bytes())
}

#[cfg(test)]
pub(crate) mod testing {
    //! Pages made by hand.
    use crate::model::RawRecord;
    use crate::provider::Page;

    /// A page of rows whose id is their key.
    pub(crate) fn page(keys: &[i64]) -> Page {
        let records = keys
            .iter()
            .map(|key| RawRecord {
                id: Some(key.to_string()),
                key: Some(*key),
                parent: None,
                seq: 0,
                json: serde_json::value::RawValue::from_string("{}".to_owned()).unwrap(),
            })
            .collect();
        Page { records, ..Page::default() }
    }
}
